"""The driver's files as a ConfigMap, which is also the first mark that an attempt leaves on its cluster.

It is made before the application and keeps the request of whoever was first: all that race for an attempt render the same one. It
is then owned by the application, so that it goes with it.
"""

from __future__ import annotations

import base64
import functools
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_dcp_provider.core_etl.bundle import build_zip, main_script
from airflow_dcp_provider.model.execution import AttemptRequest
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    FILES_KIND,
    KIND_LABEL,
    files_name,
    labels,
)
from airflow_dcp_provider.runner.backends.spark_command import driver_job_spec

#: Where the driver sees the files.
MOUNT = "/etc/dcp"
MAIN, ZIP, JOB_SPEC = "main.py", "core_etl.zip", "job-spec.json"

#: Where an image keeps the driver that it brings itself.
IMAGE_MAIN = "/opt/dcp/main.py"

_REQUEST = "request.json"


def files_config_map(request: AttemptRequest, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the ConfigMap of an attempt.

    :param annotations: of an earlier one, whose place this one takes.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": files_name(request.ref),
            "namespace": request.ref.namespace,
            "labels": {**labels(request), KIND_LABEL: FILES_KIND},
            **({"annotations": dict(annotations)} if annotations else {}),
        },
        # Nobody who may write to ConfigMaps can change what the driver runs; annotations stay open, which claims need.
        "immutable": True,
        **files_data(request),
    }


def files_data(request: AttemptRequest) -> dict[str, Any]:
    """Return the ConfigMap's ``data`` and ``binaryData``: driver, job spec and the request itself."""
    return {
        "data": {
            MAIN: main_script().read_text(encoding="utf-8"),
            JOB_SPEC: json.dumps(driver_job_spec(request)),
            _REQUEST: json.dumps(request.to_dict()),
        },
        "binaryData": {ZIP: _driver_zip()},
    }


def kept_request(config_map: Mapping[str, Any]) -> AttemptRequest | None:
    """Return the request that a ConfigMap keeps, or None when it is none of ours."""
    try:
        return AttemptRequest.from_dict(json.loads(config_map["data"][_REQUEST]))
    except (KeyError, TypeError, ValueError):
        return None


def owner_patch(application: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch that makes the application the ConfigMap's owner."""
    reference = {
        "apiVersion": application["apiVersion"],
        "kind": application["kind"],
        "name": application["metadata"]["name"],
        "uid": application["metadata"]["uid"],
    }
    return {"metadata": {"ownerReferences": [reference]}}


def is_owned_by(config_map: Mapping[str, Any], application: Mapping[str, Any]) -> bool:
    """Whether the ConfigMap goes when the application goes."""
    owners = config_map["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == application["metadata"]["uid"] for owner in owners)


@functools.cache
def _driver_zip() -> str:
    with tempfile.TemporaryDirectory(prefix="dcp-") as folder:
        return base64.b64encode(build_zip(Path(folder) / ZIP).read_bytes()).decode("ascii")
