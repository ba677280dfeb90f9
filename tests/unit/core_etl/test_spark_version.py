"""The driver on a Spark that its manifest does not name."""

import json

import pytest

from airflow_dcp_provider.core_etl.faults import EXIT_USER, DriverError
from airflow_dcp_provider.core_etl.spark_version import check_spark
from airflow_dcp_provider.core_etl.spec import parse_job


@pytest.mark.parametrize(
    ("version", "requested"), [("3.5.9", ""), ("3.5.9", "3.5"), ("3.5.9", "3.5.1"), ("4.1.4", "4"), ("4.1.0-SNAPSHOT", "4.1")]
)
def test_releases_of_the_line_will_do(version: str, requested: str) -> None:
    check_spark(version, requested)


@pytest.mark.parametrize(("version", "requested"), [("3.5.9", "4.1"), ("4.0.5", "4.1.4"), ("4.1.4", "3"), ("3.5.9", "3.50")])
def test_another_line_is_refused(version: str, requested: str) -> None:
    with pytest.raises(DriverError) as caught:
        check_spark(version, requested)
    assert (caught.value.code, caught.value.exit_code) == ("DCP436", EXIT_USER)
    assert caught.value.message == f"the job asks for Spark {requested}, and this is Spark {version}; nothing was run"


@pytest.mark.parametrize(("field", "expected"), [({}, ""), ({"spark_version": None}, ""), ({"spark_version": "4.1"}, "4.1")])
def test_the_job_spec_may_name_it(field: dict[str, str], expected: str) -> None:
    assert parse_job(json.dumps({"version": 1, "execution_id": "e", **field})).spark_version == expected
