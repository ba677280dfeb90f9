"""What spark-submit runs: ``spark-submit --py-files core_etl.zip main.py --job-spec spec.json``.

spark-submit starts a file and not a package, so this file starts the package that the zip holds. On a cluster nobody gives
``--py-files``: there the zip lies beside this file, in one volume.
"""

import runpy
import sys
from pathlib import Path

_ZIP = Path(__file__).absolute().parent / "core_etl.zip"
if _ZIP.is_file():
    sys.path.insert(0, str(_ZIP))

runpy.run_module("core_etl", run_name="__main__", alter_sys=True)
