"""The LogicalPlan: a plugin's reading of one manifest for one environment, as a value that prints as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LogicalPlan:
    """What a manifest asks for, before it is decomposed into Primitives (step 2 of the second design document).

    :param plugin_type: the plugin's name in capitals, for example ``DERIVED_DATASET``.
    :param id: the manifest's id, ``namespace/name`` or ``<plugin>/<name>``.
    :param environment: the environment that the manifest was resolved for.
    :param plugin_spec: the plugin's own reading; JSON-ready values only.
    """

    plugin_type: str
    id: str
    environment: str
    plugin_spec: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {
            "plugin_type": self.plugin_type,
            "id": self.id,
            "environment": self.environment,
            "plugin_spec": dict(self.plugin_spec),
        }

    def to_json(self) -> str:
        """Return the plan as indented JSON text."""
        return json.dumps(self.to_dict(), indent=2)
