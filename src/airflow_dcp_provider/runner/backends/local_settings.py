"""What the local backend needs to know of its machine and its environment, as a value that is written beside each attempt."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_dcp_provider.model.environment import DEFAULT_CATALOG
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.quantities import memory_bytes
from airflow_dcp_provider.runner.machine import usable_memory

#: The jar that this version is tested with.
DEFAULT_ICEBERG_JAR = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.12.0"

_ARCHIVE_MODES = ("use", "make", "off")


@dataclass(frozen=True)
class LocalSettings:
    """Settings of the local backend.

    :param java: a Java home; empty for ``JAVA_HOME`` or ``java`` on the PATH.
    :param iceberg_jar: a path, a Maven coordinate, or ``package:<distribution>`` for an installed package that carries the jar.
    :param python: the Python that runs the driver; empty for this one. It needs pyspark.
    :param spark_submit: the command that takes ``spark-submit``'s arguments; empty for pyspark's own.
    :param max_processes: how many Sparks run at once on this host; further attempts wait.
    :param memory_limit: bytes that one Spark may use; 0 for three quarters of the machine's memory.
    :param cores: threads of one Spark; 0 for all of the machine's.
    :param class_archive: ``use`` the JVM's class archive where there is one, ``make`` it where it is missing (that run takes about
        20 s longer, all later ones are about 4 s shorter), or ``off``.
    :param spark_ui: whether Spark's own web page is served on 127.0.0.1 while an attempt runs.
    :param catalogs: alias -> Spark's properties of an external Iceberg catalog; other aliases are the embedded catalog.
    :param write_catalog: the alias that unqualified names mean.
    :param spark_defaults: Spark configuration below the manifest's own.
    :param pass_environment: names of further environment variables that Spark may see.
    """

    java: str = ""
    iceberg_jar: str = DEFAULT_ICEBERG_JAR
    python: str = ""
    spark_submit: tuple[str, ...] = ()
    max_processes: int = 2
    memory_limit: int = 0
    cores: int = 0
    class_archive: str = "use"
    spark_ui: bool = True
    catalogs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    write_catalog: str = DEFAULT_CATALOG
    spark_defaults: Mapping[str, str] = field(default_factory=dict)
    pass_environment: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **changes: Any) -> LocalSettings:
        """Return the settings that environment variables give.

        ``DCP_LOCAL_JAVA``, ``DCP_LOCAL_ICEBERG_JAR``, ``DCP_LOCAL_PYTHON``, ``DCP_LOCAL_MAX_PROCESSES``, ``DCP_LOCAL_MEMORY_LIMIT``
        (like ``4g``), ``DCP_LOCAL_CORES``, ``DCP_LOCAL_CLASS_ARCHIVE``, ``DCP_LOCAL_SPARK_UI`` (``true`` or ``false``).

        :param environment: the variables; None for this process's own.
        :param changes: fields that the caller sets itself.
        :raises DcpEnvironmentError: DCP447 when a variable does not hold what it should.
        """
        known = os.environ if environment is None else environment
        found: dict[str, Any] = {}
        for name, read in _READERS.items():
            text = known.get(f"DCP_LOCAL_{name.upper()}", "")
            if not text:
                continue
            try:
                found[name] = read(text)
            except ValueError as error:
                raise DcpEnvironmentError(
                    f"the environment variable DCP_LOCAL_{name.upper()} is `{text}`: {error}",
                    code="DCP447",
                    hint="correct the variable or remove it",
                ) from error
        return cls(**{**found, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values. They may hold credentials of catalogs."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LocalSettings:
        """Build settings from :meth:`to_dict`'s values, also after they were JSON."""
        return cls(
            **{
                **data,
                "spark_submit": tuple(data.get("spark_submit") or ()),
                "pass_environment": tuple(data.get("pass_environment") or ()),
            }
        )

    @property
    def driver_python(self) -> str:
        """The Python that runs the driver."""
        return self.python or sys.executable

    def memory_limit_bytes(self) -> int:
        """Return the bytes that one Spark may use."""
        return self.memory_limit or usable_memory()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("it must be a whole number of at least 1")
    return int(text)


def _mode(text: str) -> str:
    if text not in _ARCHIVE_MODES:
        raise ValueError("it must be use, make or off")
    return text


def _flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("it must be true or false")
    return text.lower() == "true"


_READERS: dict[str, Any] = {
    "java": str,
    "iceberg_jar": str,
    "python": str,
    "max_processes": _count,
    "memory_limit": memory_bytes,
    "cores": _count,
    "class_archive": _mode,
    "spark_ui": _flag,
}
