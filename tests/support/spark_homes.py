"""Folders that look like installed Sparks, and virtual environments that hold one."""

from __future__ import annotations

from pathlib import Path


def a_spark(home: Path, version: str, scala: str = "2.13") -> Path:
    """Make a Spark's home, as far as finding it needs."""
    for folder in ("bin", "jars"):
        (home / folder).mkdir(parents=True)
    (home / "bin" / "spark-submit").touch(mode=0o755)
    (home / "jars" / f"spark-core_{scala}-{version}.jar").touch()
    return home


def a_venv(folder: Path, version: str) -> Path:
    """Make a virtual environment that has pyspark, and beside its Python pyspark's own script."""
    home = a_spark(folder / "lib" / "python3.12" / "site-packages" / "pyspark", version)
    (folder / "bin").mkdir()
    (folder / "bin" / "spark-submit").touch(mode=0o755)
    python = folder / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho '{home}'\n")
    python.chmod(0o755)
    return folder
