"""Folders to parse: manifests with a loader, the same DAGs hand-written, the same tasks for dag-factory."""

from __future__ import annotations

import pprint
from pathlib import Path
from typing import Any

LOADER = "from dag_factory import load_dags  # airflow\n\nglobals().update(load_dags())\n"

_MANIFEST = """\
apiVersion: dcp.example.com/v1
kind: SparkJob
metadata:
  name: job-{n:05d}
  namespace: benchmark
  team: data
  owner: data@example.com
  labels: {{cost-center: benchmark}}
spec:
  engine: {{type: spark-oss, version: "3.5"}}
  resources:
    driver: {{cores: 1, memory: 2g}}
    executor: {{cores: 2, memory: 4g, instances: 2}}
  sparkConf:
    spark.sql.shuffle.partitions: "64"
  coreEtl:
    jobSpec:
      sources:
        - name: flights
          catalog: pedregal
          database: raw
          table: flights
          filter: "ds = '{{{{ ds }}}}'"
      transformations:
        - name: daily
          query: |
            SELECT origin, COUNT(*) AS flights, AVG(dep_delay) AS delay, ds
            FROM flights
            WHERE carrier <> 'X{n}'
            GROUP BY origin, ds
      sinks:
        - name: out
          catalog: pedregal
          database: benchmark
          table: daily_{n:05d}
          mode: overwrite
          partitionBy: [ds]
  orchestration:
    schedule: "{minute} 6 * * *"
    startDate: "2024-01-01"
    retryPolicy: {{maxRetries: 2, retryInterval: 60}}
"""

_HEAD = """\
# Every DAG of this file is what a manifest of the other folder becomes, written by hand.
import datetime as dt

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param

from airflow_dcp_provider.operators.publish import IcebergPublishOperator
from airflow_dcp_provider.operators.spark_runner import SparkRunnerSubmitOperator
from airflow_dcp_provider.operators.tables import EnsureTablesOperator
from airflow_dcp_provider.sensors.spark_execution import SparkExecutionSensor
"""

_DAG = """
with DAG(
    {dag_id!r},
    schedule=CronDataIntervalTimetable({schedule!r}, timezone="UTC"),
    start_date={start_date},
    catchup={catchup!r},
    description={description!r},
    tags={tags!r},
    doc_md={doc_md!r},
    params={{
        "environment": Param({environment!r}, type="string", enum={environments!r}, title={environment_title!r},
                             description={environment_text!r}),
        "parameters": Param({{}}, type="object", title={parameters_title!r}, description={parameters_text!r}),
    }},
    default_args={{"owner": {owner!r}, "retries": {retries!r}, "retry_delay": dt.timedelta(seconds={retry_delay!r})}},
) as {variable}:
    jobs = {jobs}
    ensure_tables = EnsureTablesOperator(task_id="ensure_tables", tables={tables})
    submit = SparkRunnerSubmitOperator(task_id="submit", jobs=jobs, inlets=[{inlets}])
    wait = SparkExecutionSensor(task_id="wait", execution=submit.output, jobs=jobs)
    publish = IcebergPublishOperator(task_id="publish", execution=wait.output, outlets=[{outlets}])
    ensure_tables >> submit >> wait >> publish
"""

_DAG_FACTORY_LOADER = """\
from airflow.sdk import DAG  # airflow
from dagfactory import load_yaml_dags

load_yaml_dags(globals_dict=globals(), config_filepath={path!r})
"""

_DAG_FACTORY_DAG = """\
job-{n:05d}:
  default_args: {{owner: data@example.com, retries: 2, start_date: 2024-01-01}}
  schedule: "{minute} 6 * * *"
  description: a benchmark
  tags: [benchmark]
  tasks:
    - {{task_id: ensure_tables, operator: airflow.providers.standard.operators.empty.EmptyOperator}}
    - {{task_id: submit, operator: airflow.providers.standard.operators.empty.EmptyOperator, dependencies: [ensure_tables]}}
    - {{task_id: wait, operator: airflow.providers.standard.operators.empty.EmptyOperator, dependencies: [submit]}}
    - {{task_id: publish, operator: airflow.providers.standard.operators.empty.EmptyOperator, dependencies: [wait]}}
"""

_EMPTY_HEAD = """\
import datetime as dt

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
"""

_EMPTY_DAG = """
with DAG(
    "job-{n:05d}", schedule="{minute} 6 * * *", description="a benchmark", tags=["benchmark"],
    default_args={{"owner": "data@example.com", "retries": 2, "start_date": dt.datetime(2024, 1, 1)}},
) as dag_{n}:
    ensure_tables = EmptyOperator(task_id="ensure_tables")
    submit = EmptyOperator(task_id="submit")
    wait = EmptyOperator(task_id="wait")
    publish = EmptyOperator(task_id="publish")
    ensure_tables >> submit >> wait >> publish
"""


def write_manifests(folder: Path, count: int) -> Path:
    """Write ``count`` manifests and a loader; return the loader file."""
    folder.mkdir(parents=True)
    for n in range(count):
        (folder / f"job_{n:05d}.yaml").write_text(_MANIFEST.format(n=n, minute=n % 60), encoding="utf-8")
    loader = folder / "loader.py"
    loader.write_text(LOADER, encoding="utf-8")
    return loader


def write_hand_written(folder: Path, manifests: Path) -> Path:
    """Write one file that holds by hand what the manifests become; return it."""
    from dag_factory.folder import ManifestFolder
    from dag_factory.manifest.settings import CompileSettings

    folder.mkdir(parents=True)
    loaded = ManifestFolder(manifests, ("local",), CompileSettings(), folder / "cache").load()
    if loaded.errors:
        raise SystemExit("\n".join(str(error) for error in loaded.errors.values()))
    file = folder / "hand_written.py"
    file.write_text(_HEAD + "".join(_hand_written_dag(parts) for parts in loaded.parts), encoding="utf-8")
    return file


def _hand_written_dag(parts: Any) -> str:
    from dag_factory.dag import build_dag_from_parts

    dag = build_dag_from_parts(parts, ("local",), "local")
    environment, parameters = dag.params.get_param("environment"), dag.params.get_param("parameters")
    return _DAG.format(
        dag_id=dag.dag_id,
        schedule=parts.dag["schedule"],
        start_date="dt.datetime(2024, 1, 1, tzinfo=dt.UTC)",
        catchup=dag.catchup,
        description=dag.description,
        tags=sorted(dag.tags),
        doc_md=dag.doc_md,
        environment=environment.value,
        environments=environment.schema["enum"],
        environment_title=environment.schema["title"],
        environment_text=environment.description,
        parameters_title=parameters.schema["title"],
        parameters_text=parameters.description,
        owner=dag.default_args["owner"],
        retries=dag.default_args["retries"],
        retry_delay=dag.default_args["retry_delay"].total_seconds(),
        variable=dag.dag_id.replace("-", "_"),
        jobs=pprint.pformat(parts.jobs, sort_dicts=False, width=120),
        tables=pprint.pformat(parts.tables, sort_dicts=False, width=120),
        inlets=", ".join(f"Asset(name={uri!r}, uri={uri!r})" for uri in parts.inlets),
        outlets=", ".join(f"Asset(name={uri!r}, uri={uri!r})" for uri in parts.outlets),
    )


def write_dag_factory(folder: Path, count: int) -> Path:
    """Write ``count`` DAGs of four empty tasks as one dag-factory file; return the loader file."""
    folder.mkdir(parents=True)
    text = "".join(_DAG_FACTORY_DAG.format(n=n, minute=n % 60) for n in range(count))
    (folder / "dags.yml").write_text(text, encoding="utf-8")
    loader = folder / "loader.py"
    loader.write_text(_DAG_FACTORY_LOADER.format(path=str(folder / "dags.yml")), encoding="utf-8")
    return loader


def write_empty(folder: Path, count: int) -> Path:
    """Write the DAGs of :func:`write_dag_factory` by hand; return the file."""
    folder.mkdir(parents=True)
    file = folder / "empty.py"
    file.write_text(_EMPTY_HEAD + "".join(_EMPTY_DAG.format(n=n, minute=n % 60) for n in range(count)), encoding="utf-8")
    return file
