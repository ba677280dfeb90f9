"""A circuit per cluster: a cluster that fails is left alone for a while, then tried by one caller, and heals when that goes well.

It lives in one process and saves time only. Whether a job may be created elsewhere never depends on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

#: Failures in a row after which a cluster is left alone, and for how many seconds.
FAILURES = 3
COOLING = 30.0

State = Literal["closed", "open", "half-open"]


class Circuit:
    """The health of one cluster as this process has seen it. Safe for threads.

    :param failures: so many failures in a row open the circuit.
    :param cooling: seconds until an open circuit lets one probe through.
    :param clock: returns seconds that only grow.
    """

    def __init__(self, failures: int = FAILURES, cooling: float = COOLING, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures, self._cooling, self._clock = failures, cooling, clock
        self._failed = 0
        self._opened_at: float | None = None
        #: When a probe was let through, so that one that never reports does not keep the circuit half-open for ever.
        self._probed_at: float | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """``closed`` (healthy), ``open`` (left alone) or ``half-open`` (a probe is due or under way)."""
        with self._lock:
            return self._state()

    def allows(self) -> bool:
        """Whether the caller may ask the cluster now; of those that come while the circuit is half-open, one may."""
        with self._lock:
            state = self._state()
            if state == "closed":
                return True
            now = self._clock()
            waiting = self._probed_at is not None and now - self._probed_at < self._cooling
            if state == "open" or waiting:
                return False
            self._probed_at = now
            return True

    def succeeded(self) -> None:
        """Record that the cluster answered."""
        with self._lock:
            self._failed, self._opened_at, self._probed_at = 0, None, None

    def failed(self) -> None:
        """Record that the cluster did not answer."""
        with self._lock:
            half_open = self._state() == "half-open"
            self._failed += 1
            if half_open or (self._opened_at is None and self._failed >= self._failures):
                self._opened_at, self._probed_at = self._clock(), None

    def _state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock() - self._opened_at < self._cooling else "half-open"


class Circuits:
    """The circuits of one process, made as they are asked for.

    :param make: makes the circuit of a cluster that has none yet.
    """

    def __init__(self, make: Callable[[], Circuit] = Circuit) -> None:
        self._make = make
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._lock = threading.Lock()

    def of(self, connection: str, cluster: str) -> Circuit:
        """Return the circuit of one cluster; environments that share connection and name share it."""
        with self._lock:
            return self._circuits.setdefault((connection, cluster), self._make())
