"""Packing the driver for where the project is not installed: one small zip, and the script that spark-submit starts."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

#: The package's name inside the zip.
PACKAGE = "core_etl"

#: Not needed where the driver runs: this module, and the script that stands beside the zip.
_LEFT_OUT = ("bundle.py", "main.py")

#: The earliest time that a zip can hold; the same for every file, so that equal sources give equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def build_zip(target: Path) -> Path:
    """Write the driver's zip to ``target`` and return it. Equal sources give equal bytes; readers never see half a file."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=str(target.parent), prefix=".core_etl-")
    with os.fdopen(number, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(Path(__file__).parent.glob("*.py")):
            if source.name in _LEFT_OUT:
                continue
            entry = zipfile.ZipInfo(f"{PACKAGE}/{source.name}", _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source.read_bytes())
    Path(name).chmod(0o644)
    Path(name).replace(target)
    return target


def main_script() -> Path:
    """Return the script to give to spark-submit; it starts the zip that lies beside it."""
    return Path(__file__).with_name("main.py")


def lay_driver(folder: Path) -> Path:
    """Write the zip and the script into ``folder`` and return the script."""
    build_zip(folder / f"{PACKAGE}.zip")
    script = folder / "main.py"
    script.write_bytes(main_script().read_bytes())
    return script
