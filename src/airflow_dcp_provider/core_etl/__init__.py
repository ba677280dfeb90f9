"""The PySpark driver: sources, SQL transformations, sinks.

It runs where the rest of the project is not installed: standard library and pyspark only, Python 3.8 and newer, relative imports
only, shipped as one small zip (:mod:`.bundle`). What it is given and what it reports is ``The driver's contract`` in
``docs/architecture.md``.

``spec`` reads the job; ``session`` starts Spark; ``views`` registers sources and transformations; ``shape`` decides how a result
becomes a table's rows; ``plan`` checks a sink before anything is written; ``keeping`` decides whether a result is kept and
``measure`` counts it in one pass; ``write`` commits with ``commits``; ``iceberg`` is all that touches Iceberg's Java side;
``diagnosis`` explains failures; ``report`` prints the result.
"""

VERSION = 1

#: Names the environment variable that holds a JSON object: Spark setting -> absolute path of the file that holds its value. A name
#: without a slash is that of an environment variable, for whoever starts the driver in a way of their own.
SECRET_SETTINGS = "DCP_SECRET_SETTINGS"  # noqa: S105 - a name
