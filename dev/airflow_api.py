"""Airflow's REST API as any client would use it, and waiting for what it says."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

#: Reading is tried again for 30 s while Airflow answers 5xx. It does so for a moment when it lists asset events: a run that one of
#: them made has no start date while it is queued, and Airflow's own answer does not allow that.
READ_AGAIN = Retry(
    total=None,
    connect=0,
    # The server closes the connection after it failed, maybe while the next request is on its way.
    read=3,
    redirect=0,
    other=0,
    status=7,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods={"GET"},
    backoff_factor=0.25,
    raise_on_status=False,
)


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 120, every: float = 0.0) -> Any:
    """Call ``condition`` until it returns something true and return that.

    :param every: seconds between two calls; 0 for a quarter of a second that grows to a whole one.
    :raises TimeoutError: naming ``what`` when ``seconds`` have passed.
    """
    end, pause = time.monotonic() + seconds, every or 0.25
    while True:
        if found := condition():
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(pause)
        pause = every or min(pause * 1.25, 1.0)


class AirflowApi:
    """One Airflow, as seen through its REST API.

    :param url: where it answers, without a path.
    :param user: a user of its simple auth manager, with the ``password``.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self.user, self.password = url, user, password
        self._token = ""
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.mount("http://", HTTPAdapter(max_retries=READ_AGAIN))

    def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call ``/api/v2/<path>`` and return the JSON answer; HTTP errors raise with the server's text."""
        if not self._token:
            answer = self._http.post(f"{self.url}/auth/token", json={"username": self.user, "password": self.password}, timeout=30)
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        response = self._http.request(
            method, f"{self.url}/api/v2/{path}", headers={"Authorization": f"Bearer {self._token}"}, timeout=60, **kwargs
        )
        if not response.ok:
            raise requests.HTTPError(f"{method} {path}: {response.status_code} {response.text[:2000]}", response=response)
        return response.json() if response.content else None

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs that are active."""
        return {dag["dag_id"] for dag in self.request("GET", "dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the import errors as the UI shows them."""
        errors: list[dict[str, Any]] = self.request("GET", "importErrors", params={"limit": 100})["import_errors"]
        return errors

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self._insist("PATCH", f"dags/{dag_id}", {"is_paused": False}, f"the unpausing of {dag_id}")

    def trigger(self, dag_id: str, logical_date: str | None = None, conf: Mapping[str, Any] | None = None, **extra: Any) -> str:
        """Trigger a run and return its id."""
        body = {"logical_date": logical_date, "conf": dict(conf or {}), **extra}
        run_id: str = self._create(f"dags/{dag_id}/dagRuns", body, f"a run of {dag_id}")["dag_run_id"]
        return run_id

    def backfill(self, dag_id: str, start: str, end: str, *, reprocess: str = "none", max_active_runs: int = 2) -> int:
        """Create a backfill for the data intervals from ``start`` to ``end`` (ISO, both included) and return its id."""
        body: dict[str, Any] = {
            "dag_id": dag_id,
            "from_date": start,
            "to_date": end,
            "reprocess_behavior": reprocess,
            "max_active_runs": max_active_runs,
            "run_backwards": False,
        }

        def ask() -> dict[str, Any] | None:
            try:
                made: dict[str, Any] = self.request("POST", "backfills", json=body)
            except requests.HTTPError as error:
                if error.response is None or not (_is_locked(error.response) or error.response.status_code == HTTPStatus.CONFLICT):
                    raise
                # SQLite was locked half-way. What is there of the backfill, be it for a moment, is ended; its days are taken again.
                for each in self.request("GET", "backfills", params={"dag_id": dag_id})["backfills"]:
                    if each["completed_at"] is None:
                        body["reprocess_behavior"] = "completed"
                        with contextlib.suppress(requests.HTTPError):
                            self.request("PUT", f"backfills/{each['id']}/cancel", json={})
                return None
            return made

        backfill_id: int = wait_until(ask, f"the backfill of {dag_id} to be taken", 60)["id"]
        return backfill_id

    def _create(self, path: str, body: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Create something and return it."""
        return self._insist("POST", path, body, what)

    def _insist(self, method: str, path: str, body: Mapping[str, Any], what: str) -> dict[str, Any]:
        """Write something, for a minute as often as SQLite is locked by the scheduler: then nothing was written."""

        def ask() -> dict[str, Any] | None:
            try:
                written: dict[str, Any] = self.request(method, path, json=body)
            except requests.HTTPError as error:
                if error.response is not None and _is_locked(error.response):
                    return None
                raise
            return written

        answer: dict[str, Any] = wait_until(ask, f"{what} to be taken", 60)
        return answer

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", f"dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "id"})[
            "dag_runs"
        ]
        return runs

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run by task id."""
        found = self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """Return one task instance of a run; cheaper for Airflow than all of them."""
        found: dict[str, Any] = self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")
        return found

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each task of a run."""
        return {task_id: task["state"] for task_id, task in self.tasks(dag_id, run_id).items()}

    def every_run(self) -> list[dict[str, Any]]:
        """Return the runs of all DAGs, at most 100, oldest first."""
        runs: list[dict[str, Any]] = self.request("GET", "dags/~/dagRuns", params={"limit": 100, "order_by": "id"})["dag_runs"]
        return runs

    def every_state(self) -> dict[tuple[str, str], dict[str, str | None]]:
        """Return the states of at most 100 tasks of all runs: DAG id and run id -> task id -> state."""
        states: dict[tuple[str, str], dict[str, str | None]] = {}
        for task in self.request("GET", "dags/~/dagRuns/~/taskInstances", params={"limit": 100})["task_instances"]:
            states.setdefault((task["dag_id"], task["dag_run_id"]), {})[task["task_id"]] = task["state"]
        return states

    def clear(self, dag_id: str, run_id: str, *task_ids: str, only_failed: bool = False, downstream: bool = False) -> None:
        """Clear tasks of one run, as the UI's button does."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": only_failed,
            "reset_dag_runs": True,
            "include_downstream": downstream,
        }
        self._insist("POST", f"dags/{dag_id}/clearTaskInstances", body, f"the clearing of {dag_id}")

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state, as the UI's button does."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self._insist("PATCH", path, {"new_state": state}, f"the state of {dag_id}.{task_id}")

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run's state, as the UI's button does."""
        self._insist("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", {"state": state}, f"the state of a run of {dag_id}")

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return one XCom value."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.request("GET", path, params={"deserialize": "false"})["value"]

    def follows(self, dag_id: str, source_dag_id: str, events: int) -> bool:
        """Whether a DAG that an asset starts has caught up: ``events`` were sent, and its last run began after them and ended.

        Events that come close together may share one run, so the runs cannot be counted.
        """
        sent = self.request("GET", "assets/events", params={"source_dag_id": source_dag_id, "limit": 100})["asset_events"]
        runs = self.runs(dag_id)
        if len(sent) < events or not runs or any(run["state"] not in {"success", "failed"} for run in runs):
            return False
        last = max(dt.datetime.fromisoformat(event["timestamp"]) for event in sent)
        return max(dt.datetime.fromisoformat(run["start_date"]) for run in runs) > last

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """Return a task's log as text."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.request("GET", path, params={"full_content": "true"})["content"]
        return "\n".join(_log_lines(content))

    def wait_run(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """Wait until a run has ended and return its state."""

        def ended() -> str | None:
            state: str = self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in {"success", "failed"} else None

        state: str = wait_until(ended, f"{dag_id} {run_id} to end", seconds, 1.0)
        return state


def _is_locked(answer: requests.Response) -> bool:
    return answer.status_code == 503 or (answer.status_code == 500 and "Database error" in answer.text)


def _log_lines(entries: list[Any]) -> Iterator[str]:
    """Return the texts of a structured log, those of its exceptions among them."""
    for entry in entries:
        if not isinstance(entry, dict):
            yield str(entry)
            continue
        yield str(entry.get("event", entry))
        for error in entry.get("error_detail") or ():
            yield f"{error['exc_type']}: {error['exc_value']}"
