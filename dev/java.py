"""Says before anything long starts whether this machine has a Java that Spark can use: ``python -m dev.java``."""

import sys

from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.runner.backends.java import find_java


def main() -> int:
    """Print what is wrong; 0 when there is a fitting Java, 4 (the environment's fault) otherwise."""
    try:
        find_java()
    except DcpError as error:
        print(error)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
