"""What a fake driver is ordered to do, and what it leaves behind; the same orders as ``tests/support/fake_spark_submit.py``.

The orders are the JSON object that the query of the job's first transformation is, or that stands in a comment of it (``/* {} */``);
an application without a job spec, or with nothing but SQL in it, gets the default: write a line, end with 0.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from airflow_dcp_provider.core_etl.report import message

JOB_SPEC = "job-spec.json"
OUT_OF_MEMORY = 137


@dataclass(frozen=True)
class Orders:
    """What one driver does."""

    #: Lines that it writes first.
    lines: tuple[str, ...] = ("driver: started",)
    #: Wait for ``OperatorSimulator.release()`` before ending.
    hold: bool = False
    #: The exit code; 137 is reported with the reason ``OOMKilled``.
    exit: int = 0
    #: Leave the result line out.
    no_result: bool = False
    #: Keep the result out of the termination log: it is in the log alone.
    no_termination_log: bool = False
    #: How many sinks the result tells of.
    sinks: int = 0
    #: The error's message when the driver fails.
    message: str = "the driver says no"
    #: How many executor pods it starts.
    executors: int = 0
    #: Replay this recorded trace instead of all the above.
    trace: str = ""

    @property
    def reason(self) -> str:
        """The container's ``reason``, as a kubelet gives it."""
        if self.exit == 0:
            return "Completed"
        return "OOMKilled" if self.exit == OUT_OF_MEMORY else "Error"


@dataclass(frozen=True)
class Job:
    """A driver's orders and whose attempt it is."""

    orders: Orders = field(default_factory=Orders)
    execution_id: str = ""
    attempt: int = 0
    #: Whether there is a job spec, and with it a result.
    known: bool = False

    def result_line(self) -> str:
        """The last line that ``core_etl`` prints, or nothing."""
        if not self.known or self.orders.no_result:
            return ""
        failed = self.orders.exit != 0
        error = {"code": "DCP329", "message": self.orders.message, "hint": "mend it"} if failed else None
        result: dict[str, Any] = {
            "version": 1,
            "execution_id": self.execution_id,
            "attempt": self.attempt,
            "status": "failed" if failed else "succeeded",
            "error": error,
            "sinks": [{"name": f"sink_{number}", "result": "no-change"} for number in range(self.orders.sinks)],
            "seconds": {},
        }
        return "DCP_RESULT " + json.dumps(result)

    def termination_message(self) -> str:
        """What the driver leaves in its termination log."""
        line = self.result_line()
        return message(line) if line and not self.orders.no_termination_log else ""


def read_job(files: dict[str, Any] | None) -> Job:
    """Return the job in a ConfigMap's ``job-spec.json``."""
    text = (files or {}).get("data", {}).get(JOB_SPEC)
    if text is None and JOB_SPEC in (binary := (files or {}).get("binaryData", {})):
        text = base64.b64decode(binary[JOB_SPEC]).decode()
    if text is None:
        return Job()
    spec = json.loads(text)
    return Job(_orders(spec), spec.get("execution_id", ""), spec.get("attempt", 0), known=True)


def _orders(spec: dict[str, Any]) -> Orders:
    transformations = spec.get("transformations") or [{}]
    query = transformations[0].get("query") or ""
    comment = re.search(r"/\* (\{.*\}) \*/", query)
    try:
        given = json.loads(comment[1] if comment else query)
    except json.JSONDecodeError:
        return Orders()
    if not isinstance(given, dict):
        return Orders()
    known = {key: value for key, value in given.items() if key in Orders.__dataclass_fields__}
    return Orders(**{**known, **({"lines": tuple(given["lines"])} if "lines" in given else {})})


def files_volumes(application: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the application's volumes from which the driver has its job: its own ``<name>-files``, when it mounts that."""
    wanted = f"{application['metadata']['name']}-files"
    return [volume for volume in application["spec"].get("volumes", ()) if volume.get("configMap", {}).get("name") == wanted]
