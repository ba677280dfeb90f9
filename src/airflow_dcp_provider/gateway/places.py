"""Where fields of a job stand in its manifest, as far as the task knows it, and problems that point there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_dcp_provider.model.errors import Position, Problem
from airflow_dcp_provider.model.job import JobSpec

#: Field of a job as the manifest spells it (``resources.driver.memory``, ``sparkConf.<setting>``, ``engine.image``) -> file, line
#: and column. A hand-written DAG's job has none.
Places = Mapping[str, Sequence[str | int]]


def problem(code: str, message: str, job: JobSpec, field: str, *, places: Places | None, hint: str) -> Problem:
    """Return a problem with a field of ``job``, at its place where that is known, else with the manifest's id and the field."""
    found = (places or {}).get(field)
    if found:
        file, line, column = found
        return Problem(code, message, Position(str(file), int(line), int(column)), hint)
    return Problem(code, f"{job.manifest_id}, {field}: {message}", None, hint)
