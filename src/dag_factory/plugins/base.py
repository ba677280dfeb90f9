"""The Plugin Interface of the second design document, as small capability protocols.

Every plugin reads its manifests (:class:`Plugin`). What it can do beyond that are capabilities of their own; a plugin offers one by
having its methods, and :func:`capability` answers for those that it lacks with one stable error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from airflow_dcp_provider.model.errors import CapabilityError, Problem
from dag_factory.plugins.plan import LogicalPlan
from dag_factory.primitives.model import Primitive

if TYPE_CHECKING:
    from dag_factory.manifest.resolved import ResolvedManifest

_Capability = TypeVar("_Capability")


@runtime_checkable
class Plugin(Protocol):
    """What every plugin does: it recognises, checks and reads one kind of manifest. All of it is pure.

    A plugin is found by an entry point of the group ``dcp.plugins`` that names a class without required arguments.
    """

    #: The kind as ``defaults.yaml`` names its section, for example ``SparkJob``.
    kind: str

    def get_manifest_type(self) -> str:
        """Return the kind's name in commands and ids, for example ``derived_dataset``."""

    def matches(self, value: Mapping[str, Any]) -> bool:
        """Whether a file with these fields at the top is a manifest of this kind.

        Only the names at the top and plain texts among their values may be looked at; the rest may be missing, because a file that
        cannot be read whole has to be recognised as well.
        """

    def schema(self) -> Mapping[str, Any]:
        """Return the JSON Schema (draft 2020-12) of manifests, see :class:`dag_factory.manifest.schema_check.SchemaChecker`."""

    def lint(self, manifest: ResolvedManifest) -> Sequence[Problem]:
        """Return what the schema cannot say about a manifest that satisfies it: errors and warnings, each with its place.

        Where the user's manifest violates the schema, it is called with a mended one, so that all problems are told at once.
        """

    def parse_manifest(self, manifest: ResolvedManifest) -> LogicalPlan:
        """Return the plan of a manifest in which lint found no error."""

    def primitives(self, plan: LogicalPlan) -> tuple[Primitive, ...]:
        """Return the resources that the plan asks for: tables, one job, one DAG."""


@dataclass(frozen=True)
class Action:
    """One step that brings a resource to the state that a plan wants: ``CREATE_TABLE`` and the name of the table."""

    action: str
    resource: str
    detail: str = ""


@dataclass(frozen=True)
class Sandbox:
    """A place of one user's own, in which plans are tried."""

    id: str
    user: str
    environment: str


@runtime_checkable
class Testable(Protocol):
    """A plugin that can try a plan without running it."""

    def test(self, plan: LogicalPlan) -> Mapping[str, Any]:
        """Return what the trial found, JSON-ready."""


@runtime_checkable
class Plannable(Protocol):
    """A plugin that can say what applying a plan would change."""

    def plan(self, plan: LogicalPlan) -> tuple[Action, ...]:
        """Return the actions that lead from the actual state to the plan's."""


@runtime_checkable
class Applicable(Protocol):
    """A plugin that can make a plan real."""

    def apply(self, plan: LogicalPlan, actions: Sequence[Action]) -> None:
        """Do ``actions``, in order."""


@runtime_checkable
class Runnable(Protocol):
    """A plugin that can run a plan's job."""

    def run(self, plan: LogicalPlan) -> Mapping[str, Any]:
        """Run the job and return its result, JSON-ready."""


@runtime_checkable
class Sandboxed(Protocol):
    """A plugin that has sandboxes."""

    def create_sandbox(self, user: str) -> Sandbox:
        """Make a sandbox for ``user``."""

    def destroy_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox and what is in it."""


def capability(plugin: Plugin, wanted: type[_Capability]) -> _Capability:
    """Return ``plugin`` as one that has the capability ``wanted``.

    :raises CapabilityError: DCP201 when it does not offer it.
    """
    if isinstance(plugin, wanted):
        return plugin
    raise CapabilityError(
        f"the plugin {plugin.get_manifest_type()} is not {wanted.__name__.lower()}",
        hint="what it offers is in the documentation of its kind; nothing was done",
    )
