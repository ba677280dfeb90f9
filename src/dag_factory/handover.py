"""Whether Airflow takes a DAG: it is built and serialized once, as the DAG processor does, before it is handed over.

The DAG processor writes all DAGs of a file at once, and whatever it or its database refuses then would take the others down.
Manifests that are new or have changed are checked in the process that compiles them; the cache keeps that it was done.

What a database refuses depends on values, and every value of every manifest is looked at (:mod:`dag_factory.storable`). What
Airflow's serializer refuses depends on the kinds of values only: a text is a text to it. So of manifests that are alike but for
their texts and numbers one is built and serialized for all; it would otherwise cost more than all the rest of reading a manifest.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from airflow_dcp_provider.model.errors import ManifestError, Position, Problem
from dag_factory.dag import build_dag_from_parts
from dag_factory.parts import DagParts
from dag_factory.storable import faults

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 3.0
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization  # type: ignore[assignment,attr-defined]


class HandoverCheck:
    """Checks the DAGs of one deployment.

    :param environments: environments that the trigger form offers.
    """

    def __init__(self, environments: Sequence[str], deployment_environment: str) -> None:
        self._environments = environments
        self._deployment_environment = deployment_environment
        self._taken: set[Hashable] = set()

    def __call__(self, parts: DagParts) -> None:
        """Refuse the parts of a DAG that Airflow would not take.

        :raises ManifestError: DCP190 when Airflow refuses to build or to serialize the DAG, DCP185 when its database would.
        """
        shape = (_shape(parts.dag), bool(parts.inlets), bool(parts.outlets))
        if shape in self._taken:
            return
        dag = build_dag_from_parts(parts, self._environments, self._deployment_environment)
        where = Position(parts.path, 1, 1)
        try:
            plain: Mapping[str, Any] = DagSerialization.to_dict(dag)
        except Exception as error:
            text = f"Airflow cannot serialize the DAG: {type(error).__name__}: {error}"
            raise ManifestError([Problem("DCP190", text, where)]) from error
        if fault := next(faults(plain), ""):
            raise ManifestError([Problem("DCP185", f"Airflow's database cannot keep the DAG: {fault}", where)])
        self._taken.add(shape)


def _shape(value: Any) -> Hashable:
    """Return what all values have in common that are the same but for texts, numbers and the length of lists."""
    if isinstance(value, Mapping):
        return tuple(sorted((key, _shape(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return frozenset(_shape(item) for item in value)
    return type(value).__name__
