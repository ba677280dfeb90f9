"""Opening the embedded catalog in this process: one SQLite file and one warehouse folder under a home folder."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_dcp_provider.embedded_catalog.names import location_of
from airflow_dcp_provider.model.errors import DcpEnvironmentError

if TYPE_CHECKING:
    from airflow_dcp_provider.embedded_catalog.sqlite import SqliteCatalog

#: The name under which the catalog's rows are kept; every process must use the same one.
CATALOG_NAME = "embedded"

#: How long a writer waits for another process's write, in seconds.
BUSY_TIMEOUT = 30


class EmbeddedCatalog:
    """The catalog of one home folder.

    :param home: folder that holds ``catalog.db`` and ``warehouse/``; it is made when it is missing.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(home).expanduser().resolve()

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "catalog.db"

    @property
    def warehouse(self) -> Path:
        """The folder below which every table lives."""
        return self.home / "warehouse"

    def properties(self) -> dict[str, str]:
        """Return the pyiceberg properties that open this catalog as ``type: sql`` under :data:`CATALOG_NAME`."""
        return {
            "type": "sql",
            "uri": f"sqlite:///{self.database}?timeout={BUSY_TIMEOUT}",
            "warehouse": location_of(self.warehouse),
        }

    def catalog(self, **properties: str) -> SqliteCatalog:
        """Open the catalog with pyiceberg, creating it when it is missing.

        Any number of processes may do so at once; only one creates the tables.

        :param properties: further pyiceberg properties, for example ``py-io-impl``.
        :raises DcpEnvironmentError: DCP425 when the home folder or the SQLite file cannot be used.
        """
        from airflow_dcp_provider.embedded_catalog.sqlite import SqliteCatalog

        try:
            with self._locked():
                return SqliteCatalog(CATALOG_NAME, self.database, BUSY_TIMEOUT, warehouse=location_of(self.warehouse), **properties)
        except (OSError, sqlite3.Error) as error:
            raise DcpEnvironmentError(
                f"the embedded catalog at {self.home} cannot be used: {_first_line(error)}",
                code="DCP425",
                hint="check that DCP_HOME is on a local disk, is writable, has space, and that catalog.db is not damaged",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that lets one process at a time create or open the SQLite file."""
        self.warehouse.mkdir(parents=True, exist_ok=True)
        with (self.home / "catalog.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
