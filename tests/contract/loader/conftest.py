"""A DAGs folder that Airflow's own code parses, as the DAG processor, a task process or anyone else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.dag_processing.processor import _serialize_dags
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner

from tests.support.manifests import write_folder

try:
    from airflow.dag_processing.dagbag import BundleDagBag
except ImportError:  # Airflow 3.0
    from airflow.models.dagbag import DagBag

    BundleDagBag = functools.partial(DagBag, include_examples=False)


@dataclass
class Parsed:
    """What Airflow got out of the folder's Python files."""

    dags: dict[str, DAG]
    serialized: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass
class DagsFolder:
    """A DAGs folder and the ways in which Airflow reads it."""

    root: Path
    monkeypatch: pytest.MonkeyPatch

    def write(self, manifests: dict[str, str], **options: str) -> None:
        write_folder(self.root, manifests, **options)

    def as_processor(self) -> Parsed:
        """Parse and serialize as a process of the DAG processor does."""
        with self.monkeypatch.context() as patch:
            patch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
            bag = self._bag()
            serialized, errors = _serialize_dags(bag, structlog.get_logger())
        plain = [(each if isinstance(each, dict) else each.data)["dag"] for each in serialized]
        return Parsed(bag.dags, {dag["dag_id"]: dag for dag in plain}, self._relative({**bag.import_errors, **errors}))

    def as_task(self, dag_id: str, task_id: str = "wait") -> Parsed:
        """Parse as the process of one task does."""
        with self.monkeypatch.context() as patch:
            patch.setattr(task_runner, "SUPERVISOR_COMMS", object(), raising=False)
            return self.as_anyone(dag_id, task_id)

    def as_anyone(self, dag_id: str | None = None, task_id: str | None = None) -> Parsed:
        """Parse as the command line does."""
        with self.monkeypatch.context() as patch:
            if dag_id is not None:
                patch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
            if task_id is not None:
                patch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)
            bag = self._bag()
        return Parsed(bag.dags, errors=self._relative(bag.import_errors))

    def _relative(self, errors: dict[str, str]) -> dict[str, str]:
        """Errors by path below the folder; before Airflow 3.2 they have the whole path."""
        return {str(Path(self.root, path).relative_to(self.root)): text for path, text in errors.items()}

    def _bag(self) -> Any:
        return BundleDagBag(self.root, bundle_path=self.root, load_op_links=False)


@pytest.fixture
def dags_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DagsFolder:
    monkeypatch.setenv("DCP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIRFLOW__DCP__ENVIRONMENTS", "local,prod")
    # Airflow imports the bundle's files with the bundle on the path, and leaves it there.
    monkeypatch.syspath_prepend(tmp_path / "dags")
    return DagsFolder(tmp_path / "dags", monkeypatch)


@pytest.fixture
def run_task() -> Callable[[DAG, str], Any]:
    """Run one task's ``execute`` as a worker would, without a supervisor behind it."""

    def run(dag: DAG, task_id: str) -> Any:
        return dag.get_task(task_id).execute({})  # type: ignore[union-attr, arg-type]

    return run
