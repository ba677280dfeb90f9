"""Which faults of the environment end a task at once."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.operators.faults import faults


@pytest.mark.parametrize("code", ["DCP436", "DCP437", "DCP438", "DCP439"])
def test_a_spark_that_is_not_installed_is_not_waited_for(code: str) -> None:
    with pytest.raises(AirflowFailException, match=code), faults():
        raise DcpEnvironmentError("no such Spark", code=code, hint="install it")


@pytest.mark.parametrize("code", ["DCP444", "DCP445", "DCP483"])
def test_what_passes_by_itself_is_left_to_airflows_retries(code: str) -> None:
    with pytest.raises(DcpEnvironmentError), faults():
        raise DcpEnvironmentError("busy", code=code, hint="try again")
