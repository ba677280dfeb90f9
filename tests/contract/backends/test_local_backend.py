"""What the local backend alone promises: nobody else ends an attempt on a machine whose Airflow is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_dcp_provider.model.states import ExecutionState as State
from tests.contract.backends.conftest import LocalRig
from tests.contract.backends.test_backend import ended
from tests.support.executions import job, request


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[LocalRig]:
    made = LocalRig(tmp_path)
    yield made
    made.close()


class TestDeadline:
    def test_the_backend_itself_ends_an_attempt_at_its_deadline(self, backend):
        asked = request(spec=job(hold=True), deadline=time.time() + 1.0)
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert (done.state, done.cancellation) == (State.TIMEOUT, None)
        assert done.ended_at >= asked.deadline

    def test_an_attempt_that_is_created_past_its_deadline_does_not_start(self, rig, backend):
        asked = request(deadline=time.time() - 1.0)
        backend.create(asked)
        assert ended(backend, asked.ref).state is State.TIMEOUT
        assert rig.starts() == []
