#!/bin/sh
# Starts a driver or an executor; the operator says which. The work is done by Spark's own entrypoint: this one only says which Python
# runs, so that driver and executors never differ in it, and keeps what they write readable to their group.
set -eu
PYSPARK_PYTHON="${PYSPARK_PYTHON:-/usr/bin/python3}"
PYSPARK_DRIVER_PYTHON="${PYSPARK_DRIVER_PYTHON:-$PYSPARK_PYTHON}"
export PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
umask 0027
exec /opt/entrypoint.sh "$@"
