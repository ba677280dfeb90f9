"""The arguments with which ``deploy/Dockerfile`` builds the image of a version of Spark: ``python -m dev.image 4.1``."""

from __future__ import annotations

import sys

from airflow_dcp_provider.model.spark_versions import DEFAULT_SPARK_VERSION, SPARK_VERSIONS, SparkVersion


def build_arguments(row: SparkVersion) -> dict[str, str]:
    """Return the Dockerfile's arguments for a version of Spark, argument -> value."""
    return {
        "SPARK_VERSION": row.image,
        "SCALA_VERSION": row.scala,
        "ICEBERG_SPARK": row.name,
        "ICEBERG_VERSION": row.iceberg,
        "HADOOP_VERSION": row.hadoop,
        "AWS_SDK": row.aws_sdk,
        "UNITY_CATALOG_VERSION": row.unity_catalog,
    }


def main() -> int:
    """Print the arguments as ``deploy/build.sh`` reads them; 4 when there is no such version."""
    name = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_SPARK_VERSION
    if name not in SPARK_VERSIONS:
        print(f"Spark {name} is not supported; choose among {', '.join(SPARK_VERSIONS)}", file=sys.stderr)
        return 4
    print(" ".join(f"{key}={value}" for key, value in build_arguments(SPARK_VERSIONS[name]).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
