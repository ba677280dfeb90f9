"""Which execution a request means: keys, ids and fingerprints (``Identity`` in the design). Pure functions."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

#: The namespace of every execution id. It never changes: another value would make every running execution a stranger.
_NAMESPACE = uuid.UUID("6f1d3c1e-6a57-5c0b-9d0e-3b0b8f6f8c11")

#: What stands in fingerprints for a Spark version that is not named. It never changes either.
_UNNAMED_SPARK = "3.5"


def idempotency_key(  # noqa: PLR0917 - the parts of the key, in the order of the design
    manifest_id: str,
    environment: str,
    dag_id: str,
    run_id: str,
    map_index: int,
    round_try: int,
    nonce: str,
) -> str:
    """Return the key that names one execution; equal arguments give equal keys, different ones different keys.

    The join is a JSON list, because every plain separator can also stand inside a run id.

    :param round_try: the try of ``submit`` that began its round of tries.
    :param nonce: lives as long as the DAG run, so that a run that is deleted and made again is another one.
    """
    parts = [manifest_id, environment, dag_id, run_id, map_index, round_try, nonce]
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=True)


def execution_id(key: str) -> str:
    """Return the id of the execution that ``key`` names: a version 5 UUID as text."""
    return str(uuid.uuid5(_NAMESPACE, key))


def job_fingerprint(job: Mapping[str, Any]) -> str:
    """Return the fingerprint of a job, as :meth:`JobSpec.to_dict` gives it.

    A job that names no version of Spark has the fingerprint that it always had, that of one for 3.5: which Spark the environment
    gives it is no part of what it is.
    """
    engine = job.get("engine")
    if isinstance(engine, Mapping) and engine.get("version", "") is None:
        job = {**job, "engine": {**engine, "version": _UNNAMED_SPARK}}
    return fingerprint(job)


def fingerprint(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of ``value`` as canonical JSON; the order of keys does not matter, the order of lists does.

    :raises TypeError: when ``value`` holds something that is not JSON.
    :raises ValueError: when ``value`` holds NaN or an infinity, which JSON lacks.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
