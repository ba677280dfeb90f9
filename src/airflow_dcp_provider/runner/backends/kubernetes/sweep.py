"""What is left over on one cluster, for :mod:`airflow_dcp_provider.runner.sweeper`: two lists to see it, and safe ways to mend it.

Whatever is deleted is deleted as it was seen, by its UID and resource version: what somebody has made or changed since is not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dcp_provider.model.execution import AttemptRef, AttemptRequest, Cancellation
from airflow_dcp_provider.model.names import label_value
from airflow_dcp_provider.runner.backends.kubernetes import states
from airflow_dcp_provider.runner.backends.kubernetes.api import METADATA_LIST, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    ATTEMPT,
    CANCELLED_KIND,
    ENVIRONMENT,
    EXECUTION_ID,
    FENCE_KIND,
    FILES_KIND,
    KIND_LABEL,
    PLURAL,
    REQUEST,
    applications_path,
    core_path,
)
from airflow_dcp_provider.runner.backends.kubernetes.problems import CONFLICT, NOT_FOUND, KubernetesProblem
from airflow_dcp_provider.runner.sweeper import Action, Files, Finding, Leftover, Remains, Rules, Waits, decide

logger = logging.getLogger(__name__)

#: How a ConfigMap's name ends that belongs to the attempt of the name before it.
_SUFFIXES = {FILES_KIND: "-files", FENCE_KIND: "-files", CANCELLED_KIND: "-cancelled"}

#: The kind of ConfigMap that each finding removes.
_REMOVED = {Leftover.FILES: FILES_KIND, Leftover.FENCE: FENCE_KIND, Leftover.TOMBSTONE: CANCELLED_KIND}

Resource = Mapping[str, Any]
#: Namespace and name of an attempt.
Key = tuple[str, str]


@dataclass
class _Seen:
    """What belongs to one attempt, by kind; the application in full, ConfigMaps by their metadata."""

    application: Resource | None = None
    config_maps: dict[str, Resource] = field(default_factory=dict)


class ClusterPlace:
    """One environment's namespace of one cluster, or all of its namespaces there.

    :param backend: of the environment; it mends.
    :param api: the cluster's client.
    :param environment: only what carries its label is looked at: environments may share a namespace.
    :param namespace: empty for all namespaces, which asks for the right to list them all.
    :param intents: attempt's name -> a cancellation that could not be sent.
    :param cancel: ends an attempt, for example :meth:`airflow_dcp_provider.runner.runner.SparkRunner.cancel`.
    """

    def __init__(
        self,
        backend: KubeflowBackend,
        api: KubernetesApi,
        environment: str,
        namespace: str = "",
        *,
        intents: Mapping[str, Cancellation] | None = None,
        cancel: Callable[[AttemptRef, Cancellation], Any] | None = None,
    ) -> None:
        self.name = f"cluster {api.cluster}, {f'namespace {namespace}' if namespace else 'all namespaces'}"
        self._backend = backend
        self._group_version = backend.group_version
        self._api = api
        self._environment = environment
        self._namespace = namespace
        self._intents = intents or {}
        self._cancel = cancel or backend.cancel
        self._seen: dict[Key, _Seen] = {}

    def findings(self, rules: Rules, now: float, waits: Waits) -> Sequence[Finding]:
        """Return what is left over; see :meth:`airflow_dcp_provider.runner.sweeper.Place.findings`.

        :raises KubernetesProblem: when the cluster cannot be asked, or does not let this be listed.
        """
        return [finding for remains in self.remains() for finding in decide(remains, rules, now, waits)]

    def remains(self) -> list[Remains]:
        """Return what there is of every attempt of the environment.

        :raises KubernetesProblem: as :meth:`findings`.
        """
        mine = f"{ENVIRONMENT}={label_value(self._environment)}"
        # ConfigMaps first: whoever makes an attempt makes its files first, so that an application seen later is no surprise, while
        # files seen later might belong to an application that was not there yet when applications were listed.
        config_maps = self._api.each(
            self._path("configmaps"), params={"labelSelector": f"{mine},{KIND_LABEL}"}, accept=METADATA_LIST
        )
        seen = _by_attempt(config_maps)
        for application in self._api.each(self._path(PLURAL), params={"labelSelector": mine}):
            key = (application["metadata"]["namespace"], application["metadata"]["name"])
            seen.setdefault(key, _Seen()).application = application
        self._seen = seen
        found = (self._remains_of(key, one) for key, one in sorted(seen.items()))
        return [one for one in found if one is not None]

    def carry_out(self, finding: Finding) -> None:
        """Do what the finding says; see :meth:`airflow_dcp_provider.runner.sweeper.Place.carry_out`.

        :raises DcpError: when it cannot be done.
        """
        if finding.action is Action.DELETE:
            self._remove(finding)
        elif finding.action is Action.MEND:
            self._backend.mend(finding.ref)
        elif finding.action is Action.CANCEL and finding.cancellation is not None:
            self._cancel(finding.ref, finding.cancellation)
        elif finding.action is Action.CANCEL:
            # The tombstone is there: whoever looks at the application then deletes it.
            self._backend.get(finding.ref)

    def _remove(self, finding: Finding) -> None:
        ref, kind = finding.ref, _REMOVED[finding.leftover]
        seen = self._seen.get((ref.namespace, ref.name), _Seen()).config_maps.get(kind)
        if seen is None:
            return
        if kind == FILES_KIND and self._api.get(applications_path(ref.namespace, ref.name, self._group_version)) is not None:
            # Somebody has just made the application that the files were waiting for.
            return
        preconditions = {key: seen["metadata"][key] for key in ("uid", "resourceVersion")}
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        try:
            self._api.request("DELETE", core_path(ref.namespace, "configmaps", seen["metadata"]["name"]), body=body)
        except KubernetesProblem as problem:
            if problem.cause not in {NOT_FOUND, CONFLICT}:
                raise

    def _path(self, plural: str) -> str:
        base = f"/apis/{self._group_version}" if plural == PLURAL else "/api/v1"
        return f"{base}/namespaces/{self._namespace}/{plural}" if self._namespace else f"{base}/{plural}"

    def _remains_of(self, key: Key, seen: _Seen) -> Remains | None:
        application = seen.application
        if application is None:
            return self._without_application(key, seen)
        request = _request_of(application)
        if request is None:
            # Somebody else's, under our label: it is left alone, and so is what stands beside it.
            return None
        return Remains(
            request.ref,
            request,
            states.execution_state(application),
            _made_at(application),
            states.is_being_deleted(application),
            _files(seen.config_maps.get(FILES_KIND), application),
            _made_at(seen.config_maps.get(FILES_KIND)),
            _made_at(seen.config_maps[CANCELLED_KIND]) if CANCELLED_KIND in seen.config_maps else None,
            intent=self._intents.get(request.ref.name),
        )

    def _without_application(self, key: Key, seen: _Seen) -> Remains:
        files, stone, fence = (seen.config_maps.get(kind) for kind in (FILES_KIND, CANCELLED_KIND, FENCE_KIND))
        labels = next(iter(seen.config_maps.values()))["metadata"].get("labels") or {}
        number = labels.get(ATTEMPT, "1")
        return Remains(
            AttemptRef(
                execution_id=labels.get(EXECUTION_ID, ""),
                attempt=int(number) if number.isdecimal() else 1,
                environment=self._environment,
                cluster=self._api.cluster,
                namespace=key[0],
                name=key[1],
            ),
            files=Files.NONE if files is None else Files.UNOWNED,
            files_at=_made_at(files),
            stone_at=None if stone is None else _made_at(stone),
            fence_at=None if fence is None else _made_at(fence),
        )


def _by_attempt(config_maps: Iterable[Resource]) -> dict[Key, _Seen]:
    """Return ConfigMaps by namespace and attempt; those of a kind or a name that is none of ours are left out."""
    found: dict[Key, _Seen] = {}
    for config_map in config_maps:
        metadata = config_map["metadata"]
        kind = (metadata.get("labels") or {}).get(KIND_LABEL, "")
        suffix = _SUFFIXES.get(kind)
        if suffix is not None and metadata["name"].endswith(suffix):
            key = (metadata["namespace"], metadata["name"].removesuffix(suffix))
            found.setdefault(key, _Seen()).config_maps[kind] = config_map
    return found


def _request_of(application: Resource) -> AttemptRequest | None:
    try:
        return AttemptRequest.from_dict(json.loads(application["metadata"]["annotations"][REQUEST]))
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("%s carries no request of the Spark Runner: %s", application["metadata"]["name"], error)
        return None


def _files(files: Resource | None, application: Resource) -> Files:
    if files is None:
        return Files.NONE
    owners = files["metadata"].get("ownerReferences") or []
    return Files.OWNED if any(owner.get("uid") == application["metadata"]["uid"] for owner in owners) else Files.UNOWNED


def _made_at(resource: Resource | None) -> float:
    return (states.epoch(resource["metadata"].get("creationTimestamp")) if resource is not None else None) or 0.0
