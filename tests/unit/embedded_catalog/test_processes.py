"""The embedded catalog in several processes at once."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog

SCHEMA = Schema(NestedField(1, "id", LongType()))


def serve(home: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_dcp_provider.embedded_catalog", "--home", str(home)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def add_columns(catalog: Catalog, prefix: str, count: int) -> None:
    """Add columns one by one, each a commit that is tried again while it conflicts."""
    for number in range(count):
        while True:
            try:
                with catalog.load_table("db.t").update_schema() as update:
                    update.add_column(f"{prefix}{number}", LongType())
                break
            except CommitFailedException:
                continue


def test_servers_that_start_at_once_share_one_catalog_and_lose_no_commit(tmp_path: Path) -> None:
    servers = [serve(tmp_path) for _ in range(2)]
    try:
        first, second = (load_catalog(f"server{number}", type="rest", uri=uri) for number, (_, uri) in enumerate(servers))
        first.create_namespace("db")
        second.create_table("db.t", SCHEMA)
        with ThreadPoolExecutor() as pool:
            for job in [
                pool.submit(add_columns, catalog, prefix, 6) for catalog, prefix in ((first, "a"), (second, "b"), (first, "c"))
            ]:
                job.result()
        with EmbeddedCatalog(tmp_path).catalog() as direct:
            names = {column.name for column in direct.load_table("db.t").schema().fields}
        assert names == {"id"} | {f"{prefix}{number}" for prefix in "abc" for number in range(6)}
    finally:
        for process, _ in servers:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(20) for process, _ in servers]
        for process, _ in servers:
            assert process.stdout
            process.stdout.close()
    assert codes == [0, 0]
