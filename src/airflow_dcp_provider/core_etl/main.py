"""What spark-submit runs: ``spark-submit --py-files core_etl.zip main.py --job-spec spec.json``.

spark-submit starts a file and not a package, so this file starts the package that the zip holds.
"""

import runpy

runpy.run_module("core_etl", run_name="__main__", alter_sys=True)
