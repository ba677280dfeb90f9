"""The JVM's class archive: Spark's classes as one file that is mapped instead of loaded, which halves Spark's start.

Made at the end of a run that is asked to make it, because that takes about 20 s of two cores; no run makes it unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airflow_dcp_provider.model.names import short_hash
from airflow_dcp_provider.runner.backends.java import Java


@dataclass(frozen=True)
class ClassArchive:
    """One archive.

    :param path: where it is once it is made.
    :param new: where a run writes it first.
    :param mode: ``use``, ``make`` or ``off``.
    """

    path: Path
    new: Path
    mode: str

    def options(self) -> tuple[str, ...]:
        """Return the JVM options of a run."""
        if self.mode == "off":
            return ()
        if self.path.exists():
            return (f"-XX:SharedArchiveFile={self.path}",)
        return (f"-XX:ArchiveClassesAtExit={self.new}",) if self.mode == "make" else ()

    def keep(self) -> None:
        """Put an archive that a successful run has written where later runs look for it."""
        if self.new.exists():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.new.replace(self.path)


def class_archive(cache: Path, folder: Path, mode: str, *, java: Java, spark_home: Path, jar: Path) -> ClassArchive:
    """Return the archive for this Java, Spark and jar; another one of any of them has an archive of its own.

    :param cache: folder of the archives.
    :param folder: the attempt's folder, on the same file system.
    """
    core = next((path.name for path in sorted((spark_home / "jars").glob("spark-core_*.jar"))), "")
    # The JVM compares the class path by name, size and time and refuses what differs; the key spares it the comparison.
    key = short_hash("|".join([java.version, str(java.home), str(spark_home), core, str(jar), str(jar.stat().st_size)]), 16)
    # A Java without an archive of its own classes (a package's runtime) does not start when it is to make one on top of it.
    has_base = (java.home / "lib" / "server" / "classes.jsa").exists()
    return ClassArchive(cache / f"spark-{key}.jsa", folder / "classes.jsa", mode if has_base else "off")
