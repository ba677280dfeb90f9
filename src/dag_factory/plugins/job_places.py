"""Where a manifest says what its environment limits, so that a task can name file, line and column when it asks for too much.

Limits belong to an environment's connection, which is read when a run begins; nothing but these few places is kept until then.
"""

from __future__ import annotations

from collections.abc import Iterator

from dag_factory.manifest.node import Node
from dag_factory.manifest.resolved import ResolvedManifest

#: Settings of ``sparkConf`` that a limit is held against begin so.
_LIMITED = ("spark.driver.", "spark.executor.", "spark.dynamicAllocation.", "spark.memory.", "spark.yarn.")

#: Where kinds of manifests keep the job's settings.
_BLOCKS = ("spec", "workflow")


def job_places(manifest: ResolvedManifest) -> dict[str, tuple[str, int, int]]:
    """Return field -> file, line, column: of ``resources.*``, ``engine.image`` limited settings of ``sparkConf``."""
    found: dict[str, tuple[str, int, int]] = {}
    for block in _BLOCKS:
        if (node := manifest.get(block)) is not None:
            for field, value in _fields(node):
                found[field] = (value.file, value.line, value.column)
    return found


def _fields(block: Node) -> Iterator[tuple[str, Node]]:
    for role in ("driver", "executor"):
        sizes = block.get("resources", role)
        for name, value in (sizes.fields if sizes else {}).items():
            yield f"resources.{role}.{name}", value
    if image := block.get("engine", "image"):
        yield "engine.image", image
    settings = block.get("sparkConf")
    for name, value in (settings.fields if settings else {}).items():
        if name.startswith(_LIMITED):
            yield f"sparkConf.{name}", value
