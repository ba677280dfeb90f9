"""What containers have written, and how a kubelet gives it out."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LogOptions:
    """The query of one ``pods/log`` request."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    #: Seconds since the epoch; earlier lines are left out.
    since: float | None = None

    @classmethod
    def read(cls, query: dict[str, str]) -> LogOptions:
        since = None
        if "sinceTime" in query:
            since = dt.datetime.fromisoformat(query["sinceTime"]).timestamp()
        elif "sinceSeconds" in query:
            since = time.time() - int(query["sinceSeconds"])
        return cls(
            follow=query.get("follow") in ("true", "1"),
            timestamps=query.get("timestamps") in ("true", "1"),
            tail_lines=int(query["tailLines"]) if "tailLines" in query else None,
            limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
            since=since,
        )


@dataclass
class ContainerLog:
    """The lines of one container, with the time of each, and whether more may come."""

    _lines: list[tuple[int, str]] = field(default_factory=list)
    #: How many lines a rotation has taken away.
    _dropped: int = 0
    _ended: bool = False
    _latest: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def write(self, line: str) -> None:
        with self._changed:
            # No two lines have one time: whoever reads on from a time stamp misses none.
            self._latest = max(time.time_ns(), self._latest + 1)
            self._lines.append((self._latest, line))
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will be written: followers come to their end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def rotate(self) -> None:
        """Drop what was written so far, as a kubelet does that gives out the newest file alone."""
        with self._changed:
            self._dropped += len(self._lines)
            self._lines.clear()

    @property
    def text(self) -> str:
        with self._changed:
            return "".join(f"{line}\n" for _, line in self._lines)

    def read(self, options: LogOptions, stopped: threading.Event) -> Iterator[bytes]:
        """Yield what ``options`` ask for; when following, until the container or the kubelet ends."""
        left = options.limit_bytes
        for chunk in self._chunks(options, stopped):
            if left is not None and len(chunk) >= left:
                yield chunk[:left]
                return
            left = None if left is None else left - len(chunk)
            yield chunk

    def _chunks(self, options: LogOptions, stopped: threading.Event) -> Iterator[bytes]:
        with self._changed:
            position = self._dropped
            if options.tail_lines is not None:
                position += max(0, len(self._lines) - options.tail_lines)
        while True:
            with self._changed:
                position = max(position, self._dropped)
                fresh = self._lines[position - self._dropped :]
                position += len(fresh)
                over = self._ended or not options.follow or stopped.is_set()
            for at, line in fresh:
                if options.since is None or at / 1e9 >= options.since:
                    yield _format(at, line, timestamps=options.timestamps)
            if over:
                return
            with self._changed:
                if position == self._dropped + len(self._lines) and not self._ended:
                    self._changed.wait(0.5)


def _format(at: int, line: str, *, timestamps: bool) -> bytes:
    if not timestamps:
        return f"{line}\n".encode()
    seconds, nanoseconds = divmod(at, 10**9)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z {line}\n".encode()
