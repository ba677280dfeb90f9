"""What spark-submit runs: ``spark-submit main.py --job-spec spec.json``, with ``core_etl.zip`` beside this file.

spark-submit starts a file and not a package, so this file starts the package that the zip holds. Executors need neither: what
``--py-files`` would do, to send the zip to them, only takes time.
"""

import runpy
import sys
from pathlib import Path

_ZIP = Path(__file__).absolute().parent / "core_etl.zip"
if _ZIP.is_file():
    sys.path.insert(0, str(_ZIP))

runpy.run_module("core_etl", run_name="__main__", alter_sys=True)
