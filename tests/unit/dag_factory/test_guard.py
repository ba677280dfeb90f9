"""Work in child processes with a budget: whatever one piece does, the others are done."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dag_factory.guard import Budget, Note, Outcome, Stop, guarded

SMALL = Budget(cpu_seconds=0.5, wall_seconds=5.0, memory_bytes=256 * 1024**2, result_bytes=10_000)


def outcomes(work: Callable[[int, Note], Any], count: int, budget: Budget = SMALL, **options: Any) -> list[Outcome]:
    return sorted(guarded(work, count, budget, **options), key=lambda outcome: outcome.index)


def loop() -> Any:
    while True:
        pass


def fill() -> Any:
    return len(b"x" * 1024**3)


def big_power() -> Any:
    return len(str(9**9**9))


def segfault() -> Any:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> Any:
    os._exit(0)


def killed() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def exits() -> Any:
    raise SystemExit(3)


def fails() -> Any:
    raise KeyError("oops")


def large() -> Any:
    return "x" * 20_000


def no_json() -> Any:
    return object()


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("bad", "stop", "detail"),
    [
        (loop, Stop.TIME, "it used 0.5 s of the processor's time"),
        (big_power, Stop.TIME, "it used 0.5 s of the processor's time"),
        (fill, Stop.MEMORY, "it needs more than 256 MiB"),
        (killed, Stop.MEMORY, "its process was killed"),
        (segfault, Stop.CRASH, "its process ended by signal 11"),
        (leave, Stop.CRASH, "its process ended"),
        (exits, Stop.CRASH, "its process ended"),
        (fails, Stop.CRASH, "KeyError: 'oops'"),
        (no_json, Stop.CRASH, "TypeError: Object of type object is not JSON serializable"),
        (large, Stop.SIZE, "it makes 20002 bytes, and 10000 are allowed"),
    ],
)
def test_a_bad_piece_ends_alone(bad: Callable[[], Any], stop: Stop, detail: str, processes: int) -> None:
    def work(index: int, note: Note) -> Any:
        note(f"began {index}")
        return bad() if index in {1, 2} else index * 10

    done = outcomes(work, 5, processes=processes)
    assert [(each.index, each.value, each.stop) for each in done] == [
        (0, 0, None),
        (1, None, stop),
        (2, None, stop),
        (3, 30, None),
        (4, 40, None),
    ]
    assert {each.detail for each in done if each.stop} == {detail}
    assert [each.notes for each in done] == [(f"began {index}",) for index in range(5)]


def test_what_waits_for_ever_is_ended_by_the_clock() -> None:
    reader, writer = os.pipe()
    done = outcomes(lambda index, note: os.read(reader, 1).decode() if index == 0 else 1, 2, Budget(wall_seconds=0.3))
    os.close(reader)
    os.close(writer)
    assert [(each.value, each.stop) for each in done] == [(None, Stop.TIME), (1, None)]


def test_after_the_deadline_nothing_is_waited_for_and_no_process_is_left() -> None:
    pids: list[str] = []

    def work(index: int, note: Note) -> Any:
        note(str(os.getpid()))
        return os.getpid() if index == 0 else loop()

    began = time.monotonic()
    done = outcomes(work, 4, Budget(cpu_seconds=60), deadline=began + 0.5)
    assert time.monotonic() - began < 3
    assert [each.stop for each in done] == [None, *[Stop.UNFINISHED] * 3]
    pids.append(str(done[0].value))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids[0]), 0)


def test_a_caller_that_turns_away_leaves_no_process() -> None:
    work = guarded(lambda index, note: os.getpid() if index == 0 else loop(), 3, Budget(cpu_seconds=60))
    pid = next(work).value
    work.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_many_pieces_share_few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dag_factory.guard._PIECES_PER_CHILD", 10)
    done = outcomes(lambda index, note: os.getpid(), 25)
    assert [each.index for each in done] == list(range(25))
    assert len({each.value for each in done}) == 3
    assert os.getpid() not in {each.value for each in done}


def test_where_no_process_can_be_started_the_work_is_not_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    done = outcomes(lambda index, note: index, 2)
    assert [(each.stop, each.detail) for each in done] == [
        (Stop.UNFINISHED, "no process could be started: [Errno 11] Resource temporarily unavailable")
    ] * 2


def test_other_threads_of_the_process_do_not_matter() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert [each.value for each in outcomes(lambda index, note: index, 3)] == [0, 1, 2]
    finally:
        stop.set()
        thread.join()


def test_without_work_nothing_is_started() -> None:
    assert outcomes(lambda index, note: index, 0) == []
