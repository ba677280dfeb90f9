"""Stands in for spark-submit: a real small process that writes each sink with pyiceberg, marked as core_etl marks it.

The first transformation's query is a JSON object: ``rows`` is how many rows are written; without it nothing is, ``no-change`` is said,
and a second is saved. ``forget`` writes nothing and claims that it did, ``exit`` is the exit code, ``fail_attempts`` up to which
attempt it exits with it, ``hold`` waits for ``<home>/release``. Every start is one line in ``<home>/starts``.
"""

import json
import os
import sys
import time
from pathlib import Path

spec_file = Path(sys.argv[sys.argv.index("--job-spec") + 1])
home = spec_file.parents[3]
spec = json.loads(spec_file.read_text())
orders = json.loads(spec["transformations"][0]["query"])
with (home / "starts").open("a") as file:
    file.write(f"{spec['execution_id']} {spec['attempt']} {os.getpid()}\n")
print(f"driver of attempt {spec['attempt']} for {spec['ds']}", flush=True)
while orders.get("hold") and not (home / "release").exists():
    time.sleep(0.02)


def write(sink, rows):
    # Most drivers write nothing, and these take a second.
    import pyarrow as pa

    from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
    from airflow_dcp_provider.model.job import Column
    from airflow_dcp_provider.tables.ensure import ensure_table
    from airflow_dcp_provider.tables.model import TableSpec

    catalog = EmbeddedCatalog(home).catalog()
    columns = (Column("n", "long"), Column("ds", "string"))
    table_spec = TableSpec(sink["catalog"], sink["database"], sink["table"], columns=columns, partition_by=("ds",))
    ensure_table(catalog, table_spec)
    marks = {
        "dcp.execution-id": spec["execution_id"],
        "dcp.attempt": str(spec["attempt"]),
        "dcp.fingerprint": spec["fingerprint"],
        "dcp.partition": f"ds={spec['ds']}",
        "dcp.rows": str(rows),
    }
    table = catalog.load_table(table_spec.identifier)
    table.append(pa.table({"n": list(range(rows)), "ds": [spec["ds"]] * rows}), snapshot_properties=marks)
    catalog.close()


code = orders.get("exit", 0) if spec["attempt"] <= orders.get("fail_attempts", 1000) else 0
sinks = []
for sink in spec["sinks"] if code == 0 else []:
    written = "rows" in orders or orders.get("forget")
    if "rows" in orders:
        write(sink, orders["rows"])
    sinks.append({"name": sink["name"], "table": "", "result": "written" if written else "no-change", "reason": "nothing new"})
error = {"code": "DCP320", "message": "column nope does not exist", "hint": "correct the query"} if code else None
named = {"version": 1, "execution_id": spec["execution_id"], "attempt": spec["attempt"]}
result = {**named, "status": "failed" if code else "succeeded", "error": error, "sinks": sinks, "seconds": {}}
print("the last line before the result", flush=True)
Path(os.environ["DCP_TERMINATION_LOG"]).write_text(f"DCP_RESULT {json.dumps(result)}\n")
print("DCP_RESULT " + json.dumps(result), flush=True)
sys.exit(code)
