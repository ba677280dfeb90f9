"""Reading a driver's log in pieces, from kubelets as they stamp their lines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_dcp_provider.runner.backends.kubernetes import pods
from airflow_dcp_provider.runner.backends.kubernetes.pods import log_end, log_piece

SECOND = 1_000_000_000
START = 1_795_325_277 * SECOND


class Kubelet:
    """Gives out a log as a kubelet does on a node of that time zone; counts the bytes that it was made to send."""

    def __init__(self, *lines: tuple[int, str], zone: dt.timezone | None = dt.UTC) -> None:
        self.lines = lines
        self.zone = zone
        self.sent: list[int] = []

    def text(self, path: str, *, params: dict[str, Any]) -> str:
        assert path == "/api/v1/namespaces/team/pods/job-driver/log"
        since = dt.datetime.fromisoformat(params["sinceTime"]).timestamp() if "sinceTime" in params else 0
        lines = "".join(f"{self.stamp(at)} {line}\n" for at, line in self.lines if at >= since * SECOND)
        self.sent.append(min(len(lines), params["limitBytes"]))
        return lines[: params["limitBytes"]]

    def stamp(self, at: int) -> str:
        if self.zone is None:
            return "Nov 22 05:27:57"
        seconds, fraction = divmod(at, SECOND)
        moment = dt.datetime.fromtimestamp(seconds, self.zone)
        zone = "Z" if self.zone is dt.UTC else moment.isoformat()[-6:]
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}{zone}"

    def read(self, offset: int = 0, limit: int = 1_000_000) -> tuple[str, int]:
        return log_piece(self, "team", "job-driver", offset, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [0, 2, -9.5])
def test_a_node_may_be_in_any_time_zone(hours: float) -> None:
    zone = dt.timezone(dt.timedelta(hours=hours)) if hours else dt.UTC
    kubelet = Kubelet((START + 5, "first"), (START + SECOND, "second"), zone=zone)
    assert kubelet.read() == ("first\nsecond\n", START + SECOND)
    assert kubelet.read(START + 5) == ("second\n", START + SECOND)
    assert kubelet.read(START + SECOND) == ("", START + SECOND)


def test_a_log_is_read_in_pieces_of_whole_lines() -> None:
    kubelet = Kubelet(*((START + number * SECOND, str(number) * 50_000) for number in range(10)))
    text, offset = "", 0
    while piece := kubelet.read(offset, 100_000)[0]:
        offset = kubelet.read(offset, 100_000)[1]
        assert len(piece) <= 150_000
        text += piece
    assert text.split() == [str(number) * 50_000 for number in range(10)]


def test_a_log_whose_stamps_are_none_is_not_read_to_its_end() -> None:
    kubelet = Kubelet(*((START + number, "x" * 1000) for number in range(1000)), zone=None)
    assert kubelet.read(limit=1000) == ("", 0)
    assert sum(kubelet.sent) < 100_000


@pytest.mark.parametrize(
    ("offset", "lines"),
    [(0, [(START, "x" * 500_000)]), (START + 499, [(START + number, "x" * 1000) for number in range(500)])],
)
def test_a_second_of_more_than_can_be_read_at_once_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, offset: int, lines: list[tuple[int, str]]
) -> None:
    """It would be asked for again and again, and what comes after it never be shown."""
    monkeypatch.setattr(pods, "_MOST", 300_000)
    kubelet = Kubelet(*lines, (START + 2 * SECOND, "last"))
    piece, offset = kubelet.read(offset, limit=1000)
    assert (piece, offset) == ("(here more of the log was written within a second than can be read)\n", START + SECOND)
    assert max(kubelet.sent) <= 300_000
    assert kubelet.read(offset) == ("last\n", START + 2 * SECOND)


class Tail:
    """Gives out the end of a log as a kubelet does: a limit in bytes counts from the first of the lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.asked: list[int] = []

    def text(self, path: str, *, params: dict[str, Any]) -> str:
        self.asked.append(params["tailLines"])
        return "".join(f"{line}\n" for line in self.lines[-params["tailLines"] :])[: params["limitBytes"]]


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        (["x"] * 5_000, [1000]),
        (["y" * 100_000] * 200, [1000, 100, 10]),
        (["y" * 15_000] * 1_000, [1000, 100]),
        (["y" * 9_000_000], [1000, 100, 10, 1]),
    ],
)
def test_the_end_of_a_log_is_bounded_and_is_its_end(lines: list[str], asked: list[int]) -> None:
    kubelet = Tail(*lines, "the last line")
    text = log_end(kubelet, "team", "job-driver")  # type: ignore[arg-type]
    assert text is not None
    assert kubelet.asked == asked
    assert len(text) <= 2 * 1024 * 1024
    assert text.endswith("the last line\n")
