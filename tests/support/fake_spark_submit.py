"""Stands in for spark-submit: a real small process that does what the job's first transformation tells it.

The transformation's query is a JSON object: ``hold`` waits until the file ``<home>/release`` is there, ``lines`` are printed, ``child``
starts a process of its own session that outlives it, ``no_result`` leaves the result out, ``exit`` is the exit code. Every start is
one line in ``<home>/starts``.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

spec_file = Path(sys.argv[sys.argv.index("--job-spec") + 1])
home = spec_file.parents[3]
spec = json.loads(spec_file.read_text())
orders = json.loads(spec["transformations"][0]["query"])

with (home / "starts").open("a") as file:
    file.write(f"{spec['execution_id']} {spec['attempt']} {os.getpid()}\n")

for line in orders.get("lines", []):
    print(line, flush=True)
if orders.get("child"):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
while orders.get("hold") and not (home / "release").exists():
    time.sleep(0.02)

code = orders.get("exit", 0)
if not orders.get("no_result"):
    error = None if code == 0 else {"code": "DCP329", "message": orders.get("message", "the driver says no"), "hint": "mend it"}
    named = {"version": 1, "execution_id": spec["execution_id"], "attempt": spec["attempt"]}
    result = {**named, "status": "failed" if code else "succeeded", "error": error, "sinks": [], "seconds": {}}
    Path(os.environ["DCP_TERMINATION_LOG"]).write_text(f"DCP_RESULT {json.dumps(result)}\n")
    print("DCP_RESULT " + json.dumps(result), flush=True)
sys.exit(code)
