"""Work on texts that strangers wrote, in child processes with a budget of time and memory for each piece.

Whatever a piece of work does, loop, fill the memory, crash the interpreter, it ends alone: the child is gone, the piece is named,
and another child goes on with the rest. Many pieces share one child, which costs one ``fork`` and a pipe, so that the ordinary case
stays cheap. What a child hands back is JSON, never a pickle.

Limits are the kernel's (``setitimer``, ``setrlimit``): they also hold inside of C code, and when the parent is killed meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import struct
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

#: What a frame of the pipe holds before its payload: its kind, and the payload's length.
_HEAD = struct.Struct(">cI")
_NOTE, _RESULT, _STOPPED = b"n", b"r", b"s"

#: How much longer than its own clock the parent waits for a child, in seconds.
_PATIENCE = 5.0

#: A child is replaced after so many pieces, so that what libraries keep counts against nobody.
_PIECES_PER_CHILD = 1000


@dataclass(frozen=True)
class Budget:
    """What one piece of work may use.

    :param cpu_seconds: time of the processor: what other processes do on a busy machine counts against nobody.
    :param wall_seconds: time by the clock, for work that waits.
    :param memory_bytes: address space beyond what the process has as it begins.
    :param result_bytes: size of what is handed back, as JSON.
    """

    cpu_seconds: float = 4.0
    wall_seconds: float = 20.0
    memory_bytes: int = 768 * 1024**2
    result_bytes: int = 32 * 1024**2


class Stop(StrEnum):
    """Why there is no result."""

    TIME = "time"
    MEMORY = "memory"
    SIZE = "size"
    CRASH = "crash"
    #: Nothing is wrong with the piece: the time for all of them was over, or no child could be started.
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Outcome:
    """What became of one piece of work.

    :param index: which piece, counted from 0.
    :param value: what the work returned, None when it was stopped.
    :param stop: why it was stopped, None when it was not.
    :param detail: more on the stop, for people.
    :param notes: what the work noted on its way, also when it was stopped.
    """

    index: int
    value: Any = None
    stop: Stop | None = None
    detail: str = ""
    notes: tuple[str, ...] = ()


#: Takes a short text that reaches the parent at once.
Note = Callable[[str], None]


def guarded(
    work: Callable[[int, Note], Any],
    count: int,
    budget: Budget,
    *,
    processes: int = 1,
    deadline: float | None = None,
) -> Generator[Outcome, None, None]:
    """Do ``count`` pieces of work, each within the budget; yield their outcomes as they become known, each once.

    :param work: does the piece of a number and returns JSON-ready values. It runs in a child and must not rely on what it changes.
    :param processes: how many children work at once.
    :param deadline: moment of :func:`time.monotonic` after which nothing is waited for.
    """
    shares = [deque(range(start, count, processes)) for start in range(min(processes, count))]
    running: dict[int, _Child] = {}
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        stack.callback(_end_all, running)

        def start(share: deque[int]) -> Iterator[Outcome]:
            try:
                child = _Child.start(work, share, budget)
            except OSError as error:
                yield from (Outcome(index, stop=Stop.UNFINISHED, detail=f"no process could be started: {error}") for index in share)
            else:
                running[child.reader] = child
                selector.register(child.reader, selectors.EVENT_READ)

        for share in shares:
            yield from start(share)
        while running and not (deadline is not None and time.monotonic() >= deadline):
            for key, _ in selector.select(_pause(running.values(), deadline)):
                child = running[key.fd]
                alive = child.read()
                yield from child.outcomes()
                if not alive:
                    selector.unregister(key.fd)
                    del running[key.fd]
                    yield from child.close()
                    if child.share:
                        yield from start(child.share)
            for child in running.values():
                child.end_if_late()
        unfinished = [index for child in running.values() for index in child.share]
        _end_all(running)
        yield from (Outcome(index, stop=Stop.UNFINISHED, detail="the time for all of them was over") for index in unfinished)


def _end_all(running: dict[int, _Child]) -> None:
    while running:
        running.popitem()[1].end()


def _pause(children: Iterable[_Child], deadline: float | None) -> float:
    moments = [child.late for child in children]
    if deadline is not None:
        moments.append(deadline)
    return max(0.0, min(moments) - time.monotonic())


@dataclass
class _Child:
    """A child process, and what of its share of the work is not done.

    :param pending: how many pieces of the share this child still has to do.
    """

    pid: int
    reader: int
    share: deque[int]
    budget: Budget
    pending: int
    late: float = 0.0
    killed: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _notes: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, work: Callable[[int, Note], Any], share: deque[int], budget: Budget) -> _Child:
        reader, writer = os.pipe()
        pieces = list(share)[:_PIECES_PER_CHILD]
        try:
            with warnings.catch_warnings():
                # Python warns where there are threads. The child runs the work alone and ends; no lock of theirs is needed for it.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if pid == 0:
            _run_child(work, pieces, budget, reader, writer)
        os.close(writer)
        child = cls(pid, reader, share, budget, len(pieces))
        child._wait_anew()
        return child

    def _wait_anew(self) -> None:
        self.late = time.monotonic() + self.budget.wall_seconds + _PATIENCE

    def read(self) -> bool:
        """Read what is there; return whether there may be more."""
        data = os.read(self.reader, 1 << 16)
        self._buffer += data
        return bool(data)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes that were read whole."""
        while len(self._buffer) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            if kind == _NOTE:
                self._notes.append(payload.decode("utf-8", "surrogatepass"))
                continue
            notes, self._notes = tuple(self._notes), []
            self._wait_anew()
            self.pending -= 1
            index = self.share.popleft()
            if kind == _RESULT:
                yield Outcome(index, json.loads(payload), notes=notes)
            else:
                stop, _, detail = payload.decode("utf-8", "replace").partition(" ")
                yield Outcome(index, stop=Stop(stop), detail=detail, notes=notes)

    def end_if_late(self) -> None:
        """Kill a child that its own clock has not ended."""
        if time.monotonic() >= self.late:
            self.killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._wait_anew()

    def close(self) -> Iterator[Outcome]:
        """Take leave of a child that has ended; yield the outcome of the piece that ended it."""
        os.close(self.reader)
        status = _wait_for(self.pid)
        if not self.pending:
            return
        stop, detail = _cause(status, self.budget, killed=self.killed)
        yield Outcome(self.share.popleft(), stop=stop, detail=detail, notes=tuple(self._notes))

    def end(self) -> None:
        """End a child that is not needed any more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.close(self.reader)
        _wait_for(self.pid)


def _wait_for(pid: int) -> int:
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        # Somebody else has waited for every child of this process.
        return -1


def _cause(status: int, budget: Budget, *, killed: bool) -> tuple[Stop, str]:
    if killed:
        return Stop.TIME, f"it was not done after {budget.wall_seconds:g} s"
    if status < 0 or not os.WIFSIGNALED(status):
        return Stop.CRASH, "its process ended"
    number = os.WTERMSIG(status)
    if number == signal.SIGPROF:
        return Stop.TIME, f"it used {budget.cpu_seconds:g} s of the processor's time"
    if number == signal.SIGALRM:
        return Stop.TIME, f"it was not done after {budget.wall_seconds:g} s"
    if number == signal.SIGKILL:
        # Nobody else kills our child but the kernel, when the machine's memory is used up.
        return Stop.MEMORY, "its process was killed"
    return Stop.CRASH, f"its process ended by signal {number}"


def _run_child(work: Callable[[int, Note], Any], pieces: Sequence[int], budget: Budget, reader: int, writer: int) -> NoReturn:
    """The child's whole life. It never returns to what the parent was doing."""
    code = 1
    try:
        os.close(reader)
        _obey(budget)

        def write(kind: bytes, payload: bytes) -> None:
            view = memoryview(_HEAD.pack(kind, len(payload)) + payload)
            while view:
                view = view[os.write(writer, view) :]

        def note(text: str) -> None:
            write(_NOTE, text.encode("utf-8", "surrogatepass"))

        for index in pieces:
            signal.setitimer(signal.ITIMER_PROF, budget.cpu_seconds)
            signal.setitimer(signal.ITIMER_REAL, budget.wall_seconds)
            kind, payload = _done(work, index, note, budget)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            write(kind, payload)
        code = 0
    finally:
        os._exit(code)


def _done(work: Callable[[int, Note], Any], index: int, note: Note, budget: Budget) -> tuple[bytes, bytes]:
    try:
        payload = json.dumps(work(index, note), separators=(",", ":")).encode()
    except MemoryError:
        return _STOPPED, f"{Stop.MEMORY} it needs more than {budget.memory_bytes // 1024**2} MiB".encode()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this piece's
        return _STOPPED, f"{Stop.CRASH} {type(error).__name__}: {error}"[:2000].encode("utf-8", "replace")
    if len(payload) > budget.result_bytes:
        return _STOPPED, f"{Stop.SIZE} it makes {len(payload)} bytes, and {budget.result_bytes} are allowed".encode()
    return _RESULT, payload


def _obey(budget: Budget) -> None:
    """Set this process's limits, and let the clocks' signals end it."""
    import resource

    for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if used := _address_space():
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        lowest = min(limit for limit in (used + budget.memory_bytes, soft, hard) if limit != resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_AS, (lowest, hard))
    # What the parent has made stays; looking for garbage in it would copy its memory.
    gc.freeze()
    gc.enable()


def _address_space() -> int:
    """Return the size of this process's address space in bytes, 0 where it cannot be known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - cheap
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
