"""Kinds of manifests as the command line spells them: the plugins' names with hyphens, ``derived-dataset`` or ``spark-job``."""

from __future__ import annotations

from importlib.metadata import entry_points

from airflow_dcp_provider.model.errors import UsageError


def plugin_words() -> dict[str, str]:
    """Return each installed plugin's word on the command line and its name, in order; no plugin is imported for it."""
    names = sorted({point.name for point in entry_points(group="dcp.plugins")})
    return {name.replace("_", "-"): name for name in names}


def check_kind(wanted: str | None, found: str, file: str) -> None:
    """Accept a manifest of the plugin ``found`` where the command line asked for ``wanted``, or for none.

    :raises UsageError: DCP204 when they differ.
    """
    if wanted is not None and wanted != found:
        word = found.replace("_", "-")
        raise UsageError(
            f"{file} is not a {wanted.replace('_', '-')} manifest, it is a {word} one",
            code="DCP204",
            hint=f"leave the kind out, or write `pretzel {word} ...`",
        )
