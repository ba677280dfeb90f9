"""The Spark of the driver's contract, for attacks."""

from tests.contract.core_etl.conftest import home, jar, lake, server, spark

__all__ = ["home", "jar", "lake", "server", "spark"]
