"""Which plugins there are: entry points of the group ``dcp.plugins``, from this package and from any other."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from airflow_dcp_provider.model.errors import Problem, UsageError
from dag_factory.manifest.problems import hint_for
from dag_factory.plugins.base import Plugin

GROUP = "dcp.plugins"


@dataclass(frozen=True)
class Registry:
    """The plugins of this installation.

    :param plugins: by manifest type, in the order of the types' names.
    :param faults: what is wrong with plugins that could not be loaded, as warnings: their manifests are not recognised.
    """

    plugins: Mapping[str, Plugin] = field(default_factory=dict)
    faults: tuple[Problem, ...] = ()

    def get(self, manifest_type: str) -> Plugin:
        """Return the plugin of a manifest type.

        :raises UsageError: DCP200 when there is none.
        """
        wanted = manifest_type.replace("-", "_")
        if wanted not in self.plugins:
            hint = hint_for(wanted, list(self.plugins), "there are")
            raise UsageError(f"there is no plugin for manifests of the type `{manifest_type}`", hint=hint)
        return self.plugins[wanted]

    def matching(self, value: Mapping[str, Any]) -> tuple[Plugin, ...]:
        """Return the plugins that claim a file with these fields at the top: none for foreign YAML, and one if all is well."""
        return tuple(plugin for plugin in self.plugins.values() if plugin.matches(value))

    def by_kind(self) -> dict[str, Plugin]:
        """Return the plugins by the names of their sections in ``defaults.yaml``."""
        return {plugin.kind: plugin for plugin in self.plugins.values()}


@functools.cache
def load_registry() -> Registry:
    """Return the installed plugins, found once for each process."""
    plugins: dict[str, Plugin] = {}
    faults: list[Problem] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        plugin, fault = _load(entry)
        if plugin is not None and plugin.get_manifest_type() in plugins:
            if type(plugins[plugin.get_manifest_type()]) is type(plugin):
                # The same package twice on the path, as in an editable install.
                continue
            fault = f"it is for manifests of the type `{plugin.get_manifest_type()}`, which another plugin has already"
        if fault:
            hint = "mend or uninstall the package; until then its manifests are not recognised"
            faults.append(
                Problem("DCP182", f"the plugin `{entry.name}` ({entry.value}) is left out: {fault}", None, hint, "", "warning")
            )
        elif plugin is not None:
            plugins[plugin.get_manifest_type()] = plugin
    return Registry(dict(sorted(plugins.items())), tuple(faults))


def _load(entry: EntryPoint) -> tuple[Plugin | None, str]:
    try:
        plugin = entry.load()()
    except Exception as error:  # noqa: BLE001 - another package's fault must not take every manifest down
        return None, f"{type(error).__name__}: {error}"
    if not isinstance(plugin, Plugin):
        return None, "it lacks methods that every plugin has"
    return plugin, ""
