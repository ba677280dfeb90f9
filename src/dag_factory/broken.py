"""What stands in for the DAG of a manifest that cannot be used: an import error of its own, or a DAG that finishes what runs.

Two different needs:

* The DAG processor must report the manifest's problems under the manifest's own path. An exception out of the loader file would be
  the loader's, and Airflow then takes every DAG of that file for stale. :class:`ImportErrorDag` fails alone, when it is serialized,
  and says that it comes from the manifest.
* A task process needs a DAG with the task it shall run. :func:`fallback_dag` has the four tasks: ``wait`` and ``publish`` work from
  the execution's handle, so that a run that waits while its manifest is edited is neither killed nor pointed at another job;
  ``ensure_tables`` and ``submit`` raise the manifest's error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.exceptions import SerializationError
from airflow.sdk import DAG, Asset, BaseOperator

from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.names import short_hash
from airflow_dcp_provider.model.texts import cut, one_line
from airflow_dcp_provider.operators.publish import IcebergPublishOperator
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor
from dag_factory.dag import TASK_IDS, task_defaults
from dag_factory.parts import DagParts

#: The column of Airflow's database for the file of an import error has 1024 characters.
_LONGEST_PATH = 1_000


class ManifestCannotBeUsed(SerializationError):  # noqa: N818 - Airflow shows the class name before the problems
    """The text that Airflow's list of import errors shows for a manifest. Airflow passes this family on unwrapped."""


class _LocatedDag(DAG):
    """A DAG that can name another file than the loader as its own.

    Airflow assigns where it found a DAG: first ``fileloc``, the loader file's absolute path, then ``relative_fileloc``, its path in
    the bundle, which it may derive from the first. Both are remembered; only then ``fileloc`` answers with the shown file.
    """

    # Absolute path of the file to show, or empty for the loader.
    _shown: str = ""
    _loader: str = ""
    _loader_in_bundle: str | None = None

    @property
    def fileloc(self) -> str:
        """The file that Airflow shows and reads the DAG's code from."""
        return self._shown if self._shown and self._loader_in_bundle else self._loader

    @fileloc.setter
    def fileloc(self, value: str) -> None:
        self._loader = value

    @property
    def relative_fileloc(self) -> str | None:
        """The file in the bundle that Airflow imports to get this DAG."""
        return self._loader_in_bundle

    @relative_fileloc.setter
    def relative_fileloc(self, value: str | None) -> None:
        self._loader_in_bundle = value


class ManifestDag(_LocatedDag):
    """The DAG of a manifest; Airflow can show the manifest as its code."""

    def show_code_of(self, manifest: str) -> None:
        """Show this file as the DAG's code. Only for the DAG processor: elsewhere Airflow may import what ``fileloc`` names.

        :param manifest: absolute path of the manifest.
        """
        self._shown = manifest


class ImportErrorDag(_LocatedDag):
    """A DAG without tasks that Airflow cannot serialize: its error is recorded under the manifest's path, and nothing else happens.

    The key of an import error is ``relative_fileloc`` from Airflow 3.2 on, ``fileloc`` before; both are the manifest's here.

    :param manifest: absolute path of the manifest.
    :param error: what is wrong with it.
    """

    def __init__(self, manifest: str, error: DcpError) -> None:
        # Airflow keeps the path in its database, which takes neither a name that is not UTF-8 nor one that is too long.
        self._shown = cut(one_line(manifest), _LONGEST_PATH)
        self._error = error
        readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(manifest).name)[:150]
        # Tags and description, because policies ask for them.
        super().__init__(
            f"import-error.{readable}.{short_hash(manifest)}",
            description=f"Stands for {self._shown}, which cannot be used",
            tags=["import-error"],
            auto_register=False,
        )

    @property
    def relative_fileloc(self) -> str | None:
        """The manifest's path in the bundle, which follows from the loader's absolute path and its path in the bundle."""
        if self._loader_in_bundle is None:
            return None
        from_loader = os.path.relpath(self._shown, Path(self._loader).parent)
        return os.path.normpath(Path(self._loader_in_bundle).parent / from_loader)

    @relative_fileloc.setter
    def relative_fileloc(self, value: str | None) -> None:
        self._loader_in_bundle = value

    @property
    def edge_info(self) -> dict[str, Any]:
        """Read by nothing but serialization, which ends here.

        :raises ManifestCannotBeUsed: always, with every problem of the manifest.
        """
        raise ManifestCannotBeUsed(f"\n{self._error}")

    @edge_info.setter
    def edge_info(self, value: dict[str, Any]) -> None:
        """Ignored; the base class sets its default."""


class ManifestErrorOperator(BaseOperator):
    """Stands in for a task that needs a manifest which cannot be used; fails with the manifest's error when it is run.

    :param error: what to raise.
    """

    def __init__(self, *, error: DcpError, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Any) -> Any:  # noqa: ARG002
        """Raise the manifest's error."""
        raise self.error


def fallback_dag(dag_id: str, error: DcpError, known: DagParts | None = None) -> DAG:
    """Return a DAG with the usual four tasks of which only ``wait`` and ``publish`` work.

    :param dag_id: the id of the DAG whose task is to be run.
    :param error: why the manifest cannot be used now.
    :param known: what the DAG was made of when its manifest last was good, for the tasks' owner,
        pool and tags and for the assets that they announce.
    """
    # Owner, pool and tags are as they were, also because the deployment's policies may ask for them.
    spec: Mapping[str, Any] = known.dag if known else {"owner": "airflow", "airflow": {}, "tags": ["manifest-error"]}
    defaults = task_defaults(spec["owner"], spec["airflow"])
    dag = DAG(dag_id, schedule=None, default_args=defaults, tags=spec["tags"], auto_register=False)
    ensure = ManifestErrorOperator(task_id=TASK_IDS[0], dag=dag, error=error)
    submit = ManifestErrorOperator(task_id=TASK_IDS[1], dag=dag, error=error)
    wait = SparkExecutionSensor(task_id=TASK_IDS[2], dag=dag, execution=submit.output, jobs=None)
    assets = [Asset(name=uri, uri=uri) for uri in (known.outlets if known else ())]
    publish = IcebergPublishOperator(task_id=TASK_IDS[3], dag=dag, execution=wait.output, outlets=assets)
    ensure >> submit >> wait >> publish
    return dag
