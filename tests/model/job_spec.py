"""The job that a run gives to the driver: its document and its SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any

from .actions import LAYOUTS, Run, Sequence

ALIAS = "pedregal"
DATABASE = "model"
SQL = {"timestamp": "timestamp_ntz", "timestamptz": "timestamp"}


@dataclass(frozen=True)
class Identity:
    """Which run this is: ``number`` names the run, ``execution`` and ``attempt`` what it is tried by."""

    number: int = 0
    execution: str = ""
    attempt: int = 1

    def of(self, run: Run) -> Identity:
        """Return the identity of the next run."""
        if run.again == "attempt" and self.execution:
            return Identity(self.number, self.execution, self.attempt + 1)
        if run.again is None or not self.execution:
            return Identity(self.number + 1, f"execution-{self.number + 1}")
        return Identity(self.number, f"{self.execution}-again")

    def run_name(self, sink: str) -> str:
        """Return what names the run's writing of a sink, as appends remember it."""
        return f"run-{self.number}:{sink}"


def document(sequence: Sequence, run: Run, identity: Identity, tables: Mapping[str, str]) -> dict[str, Any]:
    """Return the job spec of a run.

    :param tables: the names of the tables ``main``, ``second`` and ``source``.
    """
    columns = sequence.columns
    spell = str.upper if run.upper else str.lower
    result = [(name, kind) for name, kind in columns if not (run.adds_day and name == "ds")]
    partition_by = [spell(name) for name, _ in LAYOUTS[sequence.layout]]
    declared = [{"name": name, "type": kind} for name, kind in columns] if sequence.declared else None
    sink = {
        "name": "main",
        "catalog": ALIAS,
        "database": DATABASE,
        "table": tables["main"],
        "input": "result",
        "mode": run.mode,
        "partition_by": partition_by,
        "merge_keys": [spell(key) for key in run.keys] if run.mode == "merge" else [],
        "columns": declared,
    }
    sources = []
    steps = [{"name": "result", "query": _query(sequence, run, result, spell)}]
    sinks = [sink]
    if run.reads in ("source", "distinct"):
        sources.append({"name": "src", "catalog": ALIAS, "database": DATABASE, "table": tables["source"]})
    if run.reads == "self" or run.second == "echo":
        sources.append({"name": "me", "catalog": ALIAS, "database": DATABASE, "table": tables["main"]})
    if run.second:
        second = {**sink, "name": "second", "table": tables["second"]}
        if run.second == "echo":
            second.update({"input": "echo", "mode": "overwrite", "merge_keys": [], "columns": None})
            steps.append({"name": "echo", "query": "SELECT * FROM me"})
        sinks.append(second)
    return {
        "version": 1,
        "execution_id": identity.execution,
        "attempt": identity.attempt,
        "fingerprint": "f" * 64,
        "manifest_id": "model/job",
        "run_key": f"run-{identity.number}",
        "ds": run.day,
        "sources": sources,
        "transformations": steps,
        "sinks": sinks,
    }


def _query(sequence: Sequence, run: Run, columns: Rows[tuple[str, str]], spell: Callable[[str], str]) -> str:
    if run.reads == "values":
        names = [name for name, _ in sequence.columns]
        lines = [
            "(" + ", ".join(_literal(row[names.index(name)], kind) for name, kind in columns) + ")"
            for row in run.rows or [(None,) * len(names)]
        ]
        listed = ", ".join(spell(name) for name, _ in columns)
        return f"SELECT * FROM VALUES {', '.join(lines)} AS t({listed}){'' if run.rows else ' WHERE false'}"
    words = [f"CAST(id + {run.raised} AS INT) AS {spell('id')}" if run.raised else spell("id")]
    listed = ", ".join([*words, *(spell(name) for name, _ in columns[1:])])
    distinct = "DISTINCT " if run.reads == "distinct" else ""
    return f"SELECT {distinct}{listed} FROM {'me' if run.reads == 'self' else 'src'}"


def _literal(value: Any, kind: str) -> str:
    if value is None:
        return f"CAST(NULL AS {SQL.get(kind, kind)})"
    if kind == "int":
        return str(value)
    if kind == "double":
        return f"CAST('{value!r}' AS DOUBLE)"
    if kind == "string":
        return "'" + value.replace("'", "\\'") + "'"
    return f"{SQL.get(kind, kind)}'{value}'"
