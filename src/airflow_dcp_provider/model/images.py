"""Which container images an environment runs: its registry, its rules per engine version, and what a manifest may name itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: ``any``: every reference; ``tag``: it has a tag other than ``latest``, or a digest; ``digest``: it has a digest.
IMAGE_POLICIES = ("any", "tag", "digest")


@dataclass(frozen=True)
class Images:
    """An environment's image rules. No registry and no image is assumed.

    :param registry: put before references that name no registry of their own, for example ``registry.example.com/spark``.
    :param rules: ``<engine type>/<engine version>``, ``<engine version>`` or ``default`` -> image.
    :param policy: one of :data:`IMAGE_POLICIES`.
    :param allowed_registries: registries, or registries with a path, that images may come from; empty means any.
    :param core_etl: whether the images bring ``core_etl`` at ``/opt/dcp``; otherwise it is sent along with each application.
    """

    registry: str = ""
    rules: Mapping[str, str] = field(default_factory=dict)
    policy: str = "any"
    allowed_registries: tuple[str, ...] = ()
    core_etl: bool = False
