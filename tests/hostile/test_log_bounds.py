"""A driver's log is its author's to fill: reading its end, and hiding secrets in it, takes bounded time and memory."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_dcp_provider.core_etl.diagnosis import diagnose as explain
from airflow_dcp_provider.core_etl.diagnosis import throwables
from airflow_dcp_provider.runner.backends.kubernetes.pods import log_end
from airflow_dcp_provider.runner.diagnosis import diagnose, parse_result
from airflow_dcp_provider.runner.diagnosis_text import MASK, bounded_tail, masked, one_line

SIZE = 400_000
HARD = [
    "eyJaaaaaaaa-",
    "eyJaaaaaaaa.",
    "eyJaaaaaaaa.eyJaaaaaaaa",
    "password=",
    'password="',
    "password='\"",
    "password -",
    "token ",
    "secret\t",
    "bearer ",
    "basic a",
    "authorization:",
    "a://",
    "a://b:",
    "a:b@",
    "a://b:c",
    "?sig=",
    "AKIA",
    "AKIAAAAAAAAAAAAA-",
    "a.",
    "-",
    " ",
    "é",
]


@pytest.mark.parametrize("piece", HARD)
def test_masking_is_quick_whatever_the_text(piece: str) -> None:
    text = piece * (SIZE // len(piece))
    began = time.process_time()
    assert len(masked(text)) < 60_000
    one_line(text)
    bounded_tail([text] * 3, 100)
    # A text of this length that is looked through again from each of its places takes minutes.
    assert time.process_time() - began < 2


@pytest.mark.parametrize("filler", [0, 10, 15_950, 15_990, 19_900, 19_980, 19_990, 19_999, 25_000])
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(filler: int) -> None:
    text = f"{'x ' * (filler // 2)}https://me:hush-hush@example.com password=hush-hush {'y ' * SIZE}"
    assert "hush" not in masked(text)


def test_short_texts_stay_as_they_are() -> None:
    assert masked("nothing to hide, in 12 words") == "nothing to hide, in 12 words"
    assert masked("token=abc x") == f"token={MASK} x"
    assert masked("Bearer eyJhbGciOiJIUzI1.eyJzdWIiOiIx.abc") == f"Bearer {MASK}"
    assert masked("jwt eyJhbGciOiJIUzI1.eyJzdWIiOiIx.abc-d end") == f"jwt {MASK} end"


def test_an_error_that_a_driver_reports_is_bounded() -> None:
    result = {
        "version": 1,
        "status": "failed",
        "error": {"code": "DCP321", "message": "eyJaaaaaaaa-" * 50_000, "hint": "h" * 10**6},
    }
    log = f"DCP_RESULT {json.dumps(result)}\n"
    began = time.process_time()
    parsed = parse_result(log)
    assert parsed is not None
    failure = diagnose(20, parsed, log)
    assert time.process_time() - began < 2
    assert len(failure.message) < 60_000
    assert len(failure.hint) < 60_000


class Kubelet:
    """Gives out the end of a log as a kubelet does: the beginning of the last lines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.asked: list[tuple[int, int]] = []
        self.sent = 0

    def text(self, path: str, *, params: dict[str, Any]) -> str:
        assert path.endswith("/pods/p/log")
        self.asked.append((params["tailLines"], params["limitBytes"]))
        found = "".join(f"{line}\n" for line in self.lines[-params["tailLines"] :])[: params["limitBytes"]]
        self.sent += len(found)
        return found


def test_the_end_of_an_ordinary_log_is_one_request() -> None:
    kubelet = Kubelet(["a line"] * 5000 + ["DCP_RESULT {}"])
    found = log_end(kubelet, "n", "p")  # type: ignore[arg-type]
    assert found is not None
    assert found.count("\n") == 1000
    assert found.endswith("DCP_RESULT {}\n")
    assert len(kubelet.asked) == 1


@pytest.mark.parametrize("width", [10_000, 100_000, 1_000_000])
def test_the_last_line_of_a_log_with_huge_lines_is_still_found(width: int) -> None:
    kubelet = Kubelet(["x" * width] * 1000 + ["DCP_RESULT {}"])
    found = log_end(kubelet, "n", "p")  # type: ignore[arg-type]
    assert found is not None
    assert found.endswith("DCP_RESULT {}\n")
    assert len(kubelet.asked) <= 4
    assert kubelet.sent <= 10 * 1024 * 1024


def test_a_last_line_without_end_is_cut() -> None:
    kubelet = Kubelet(["x" * 10_000_000])
    found = log_end(kubelet, "n", "p")  # type: ignore[arg-type]
    assert found is not None
    assert len(found) == kubelet.asked[-1][1] <= 4 * 1024 * 1024


@pytest.mark.parametrize(
    "message",
    [
        "403 " * 100_000,
        "x\n " * 100_000,
        "Total size of serialized results " * 30_000,
        "java.lang.RuntimeException: " * 30_000,
        "[DATA_SOURCE_NOT_FOUND]" * 30_000,
    ],
    ids=lambda message: message[:10],
)
def test_a_long_message_that_sql_makes_up_is_explained_soon(message: str) -> None:
    began = time.process_time()
    assert len(str(explain(throwables(RuntimeError(message)), "the query"))) < 5_000
    assert time.process_time() - began < 2
