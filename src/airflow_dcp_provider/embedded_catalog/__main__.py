"""``python -m airflow_dcp_provider.embedded_catalog --home FOLDER [--port PORT] [--host IP]``: serve the catalog until a signal.

The first line of the output is the catalog's URI.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from airflow_dcp_provider.embedded_catalog.server import HOST, CatalogServer
from airflow_dcp_provider.model.errors import DcpError
from airflow_dcp_provider.model.home import dcp_home


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the catalog until SIGINT or SIGTERM, and return the exit code: 0, or 4 when the environment is at fault."""
    parser = argparse.ArgumentParser(prog="python -m airflow_dcp_provider.embedded_catalog", description=__doc__)
    parser.add_argument("--home", type=Path, default=None, help="folder of catalog.db and warehouse/ (default: DCP_HOME)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: 127.0.0.1); another one lets everybody in")
    arguments = parser.parse_args(argv)

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with CatalogServer(arguments.home or dcp_home(), arguments.port, arguments.host) as server:
            sys.stdout.write(f"{server.uri}\n")
            sys.stdout.flush()
            server.wait_until_open()
            ended.wait()
    except DcpError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
