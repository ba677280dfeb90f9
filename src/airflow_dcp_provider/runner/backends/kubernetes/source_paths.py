"""Which paths a job on a cluster may read files from: those of object stores, and of its environment's volumes of data. Pure.

Everything else that a path can name is the pod's own: the token of its service account, the credentials of catalogs, the
environment of its processes; or it is an address that only the cluster reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import ExecutionError
from airflow_dcp_provider.model.job import JobSpec

#: Schemes of file systems that are reached by the environment's own credentials.
REMOTE = frozenset({"abfs", "abfss", "adl", "cosn", "gs", "hdfs", "obs", "oss", "s3", "s3a", "s3n", "viewfs", "wasb", "wasbs"})

#: Kinds of volumes that hold data. The others may hold secrets, as `secret` and `projected` do, and a `csi` driver can.
DATA = frozenset({"emptyDir", "ephemeral", "hostPath", "nfs", "persistentVolumeClaim"})

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")


def check_source_paths(job: JobSpec, environment: Environment) -> None:
    """Raise for a source whose path is not for a job to read.

    :raises ExecutionError: DCP345.
    """
    data = {volume.get("name") for volume in environment.volumes if DATA & volume.keys()}
    mounts = [str(mount.get("mountPath") or "") for mount in environment.volume_mounts if mount.get("name") in data]
    remote = has_remote_default(environment)
    for source in job.core_etl.job.sources:
        if source.type == "iceberg" or source.path is None or is_readable(source.path, mounts, remote_default=remote):
            continue
        raise ExecutionError(
            f"source `{source.name}` of {job.manifest_id} reads `{source.path}`, which is not for jobs in {environment.name}",
            code="DCP345",
            hint="files are read from object stores (s3a://, gs://, abfss://, hdfs://) and below the `volume_mounts` of the "
            "environment's volumes of data, without `..`",
        )


def is_readable(path: str, mounts: Iterable[str], *, remote_default: bool = False) -> bool:
    """Whether files may be read from ``path``.

    :param mounts: where the environment mounts volumes.
    :param remote_default: a path without a scheme is not one of the pod's own files.
    """
    match = _SCHEME.match(path)
    scheme = match.group(1).lower() if match else ""
    if scheme in REMOTE or (not scheme and remote_default):
        return True
    local = re.sub(r"/+", "/", path[match.end() :] if match else path)
    # Patterns may stand below a mount, and lead nowhere else: `..` is the only way up, and `\` could hide one.
    return (
        scheme in {"", "file"}
        and ".." not in local
        and "\\" not in local
        and any(mount.strip("/") and local.startswith(f"/{mount.strip('/')}/") for mount in mounts)
    )


def has_remote_default(environment: Environment) -> bool:
    """Whether the environment's default file system is another one than the pod's own."""
    default = (
        environment.spark_defaults.get("spark.hadoop.fs.defaultFS") or environment.spark_defaults.get("spark.fs.defaultFS") or ""
    )
    return default.partition(":")[0].lower() in REMOTE
