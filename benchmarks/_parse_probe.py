"""One sample: parses a DAG file as Airflow does, in a process that has everything of Airflow imported already.

    python -m benchmarks._parse_probe FILE [--dag-id ID] [--import MODULE ...]

Prints the CPU and wall seconds of the parse and the number of DAGs as one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import logging
import os
import resource
import time
from pathlib import Path


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--dag-id", default="")
    arguments.add_argument("--import", dest="imports", action="append", default=[])
    arguments.add_argument("--repeat", type=int, default=1)
    given = arguments.parse_args()

    import airflow.dag_processing.processor  # noqa: F401 - what a parsing process has from its parent
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.execution_time import task_runner

    for module in given.imports:
        importlib.import_module(module)
    logging.disable(logging.CRITICAL)
    # As in a process of the DAG processor or of a task: a supervisor answers, and a task names its DAG.
    task_runner.SUPERVISOR_COMMS = object()
    if given.dag_id:
        os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = given.dag_id
        os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "wait"
    samples = []
    for _ in range(given.repeat):
        gc.collect()
        wall, cpu = time.perf_counter(), _cpu()
        bag = DagBag(given.file, safe_mode=True, load_op_links=False, bundle_path=given.file.parent)
        samples.append((_cpu() - cpu, time.perf_counter() - wall))
    if bag.import_errors:
        raise SystemExit(str(bag.import_errors))
    best = sorted(samples)[len(samples) // 2]
    print(json.dumps({"cpu": best[0], "wall": best[1], "dags": len(bag.dags)}))


def _cpu() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
