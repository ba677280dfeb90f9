"""What the local backend alone promises: nobody else ends an attempt on a machine whose Airflow is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_dcp_provider.model.states import ExecutionState as State
from tests.contract.backends.conftest import LocalRig
from tests.contract.backends.test_backend import ended
from tests.support.executions import job, request, wait_for


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


class TestLog:
    @pytest.mark.parametrize("hold", [True, False])
    def test_a_piece_ends_with_a_line(self, rig, backend, hold):
        lines = [f"line {number} of a driver that says much" for number in range(40)]
        asked = request(spec=job(lines=lines, hold=hold))
        backend.create(asked)
        wait_for(lambda: lines[-1] in backend.read_log(asked.ref)[0], "the driver's lines")
        if not hold:
            ended(backend, asked.ref)
        pieces = pieces_of(backend, asked.ref, 100)
        assert set(lines) < {line for piece in pieces for line in piece.splitlines()}
        assert len(pieces) > 10

    def test_a_line_longer_than_a_piece_is_read_in_several(self, rig, backend):
        long = "ü" * 75
        asked = request(spec=job(lines=["before", long, "after"], hold=True))
        backend.create(asked)
        wait_for(lambda: "after\n" in backend.read_log(asked.ref)[0], "the driver's lines")
        pieces = pieces_of(backend, asked.ref, 51)
        assert "".join(pieces) == backend.read_log(asked.ref)[0]
        assert f"before\n{long}\nafter\n" in "".join(pieces)


def pieces_of(backend, ref, limit: int) -> list[str]:
    pieces, offset = [], 0
    while True:
        text, offset = backend.read_log(ref, offset, limit)
        if not text:
            return pieces
        pieces.append(text)
