"""The failure guide names every cause that a diagnosis finds, and whose fault it is."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_dcp_provider.model.error_codes import CLUSTER_FAILURE_CODES, FAILURE_CODES, PROOF_CODES
from airflow_dcp_provider.runner.diagnosis_kubernetes import KIND_OF_CODE
from airflow_dcp_provider.runner.diagnosis_log_rules import EXECUTOR_RULES, LOG_RULES
from airflow_dcp_provider.runner.diagnosis_rules import DRIVER_END_RULES, SUBMISSION_RULES
from airflow_dcp_provider.runner.diagnosis_start_rules import START_RULES
from tests.unit.runner.diagnosis_samples import SAMPLES

GUIDE = (Path(__file__).parents[3] / "docs" / "failures.md").read_text("utf-8")
#: code -> whose fault the guide says it is.
ROWS = dict(re.findall(r"^\| (DCP\d{3}) \|.*\| (user|resources|platform) \|[^|]*\|$", GUIDE, re.MULTILINE))


def test_every_cause_is_in_the_guide_once():
    assert set(ROWS) == {*FAILURE_CODES, *CLUSTER_FAILURE_CODES}
    codes = re.findall(r"^\| (DCP\d{3}) \|", GUIDE, re.MULTILINE)
    assert sorted(codes) == sorted(set(codes))
    assert set(codes) >= set(PROOF_CODES)


def test_the_guide_says_whose_fault_the_diagnosis_finds_it():
    rules = (*SUBMISSION_RULES, *DRIVER_END_RULES, *START_RULES, *LOG_RULES, *EXECUTOR_RULES)
    found = {(rule.code, rule.kind.value) for rule in rules}
    found |= {(code, kind.value) for code, kind in KIND_OF_CODE.items()}
    found |= {(code, kind) for _, kind, code, _ in SAMPLES.values()}
    assert {(code, kind) for code, kind in found if ROWS[code] != kind} == set()


def test_the_guide_quotes_what_is_said():
    for words in (
        "killed for using more memory than its limit of",
        "has not taken up the application",
        "is not in the driver's image",
    ):
        assert words in GUIDE
