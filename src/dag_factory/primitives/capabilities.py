"""The Primitive Interface of the second design document, as small capability protocols.

A primitive is a value (:mod:`dag_factory.primitives.model`); what can be done with it on a platform is a capability of a controller
for it. A controller offers a capability by having its methods; :func:`capability` answers for those that it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from airflow_dcp_provider.model.errors import CapabilityError
from dag_factory.plugins.plan import LogicalPlan

#: A state of a resource: JSON-ready values by name.
State = Mapping[str, Any]

_Capability = TypeVar("_Capability")


@runtime_checkable
class DesiredState(Protocol):
    """Knows what a plan wants of a resource."""

    def get_desired_state(self, plan: LogicalPlan) -> State:
        """Return the state that ``plan`` wants."""


@runtime_checkable
class ActualState(Protocol):
    """Can look at a resource on the platform."""

    def get_actual_state(self) -> State | None:
        """Return the resource's state, or None when it does not exist."""


@runtime_checkable
class Creatable(Protocol):
    """Can make a resource."""

    def create(self, state: State) -> None:
        """Make the resource as ``state`` says."""


@runtime_checkable
class Updatable(Protocol):
    """Can change a resource."""

    def update(self, desired: State, actual: State) -> None:
        """Bring the resource from ``actual`` to ``desired``."""


@runtime_checkable
class Deletable(Protocol):
    """Can remove a resource."""

    def delete(self) -> None:
        """Remove the resource."""


@runtime_checkable
class Startable(Protocol):
    """A job that can be started and stopped."""

    def start(self) -> None:
        """Start the job."""

    def stop(self) -> None:
        """Stop the job."""


@runtime_checkable
class Observable(Protocol):
    """A job whose progress can be asked for."""

    def get_status(self) -> Mapping[str, Any]:
        """Return how the job is doing, JSON-ready."""


def capability(primitive: object, wanted: type[_Capability]) -> _Capability:
    """Return ``primitive`` as one that has the capability ``wanted``.

    :raises CapabilityError: DCP201 when it does not offer it.
    """
    if isinstance(primitive, wanted):
        return primitive
    raise CapabilityError(
        f"{type(primitive).__name__} is not {wanted.__name__.lower()}",
        hint="this kind of resource does not offer that; nothing was done",
    )
