"""The Kubeflow backend: one ``SparkApplication`` per attempt, and the resource is the record.

Whatever is asked is answered from the cluster alone, so that any process goes on where another one stopped. Each write is safe to
repeat: what exists is looked at and mended, never made again under another name.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import START_TIMEOUT, Attempt, AttemptRef, AttemptRequest, Cancellation
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.model.names import is_namespace
from airflow_dcp_provider.model.states import ExecutionState
from airflow_dcp_provider.runner.backends.kubernetes import states, tombstones
from airflow_dcp_provider.runner.backends.kubernetes.api import MERGE_PATCH, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import (
    files_config_map,
    files_data,
    is_owned_by,
    kept_request,
    owner_patch,
)
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    ATTEMPT,
    CANCELLED_KIND,
    FENCE_KIND,
    GROUP_VERSION,
    KIND_LABEL,
    REQUEST,
    VERDICT,
    WAITED_BY,
    applications_path,
    core_path,
    execution_selector,
    files_name,
    path_of,
    tombstone_name,
)
from airflow_dcp_provider.runner.backends.kubernetes.pods import is_live, log_piece, pods_of
from airflow_dcp_provider.runner.backends.kubernetes.problems import CONFLICT, NOT_FOUND, KubernetesProblem
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.backends.kubernetes.verdicts import (
    Verdict,
    find_verdict,
    start_failure,
    verdict_text,
    written_verdict,
)

logger = logging.getLogger(__name__)

#: How often a write is tried again after another process was first.
_TRIES = 5

Resource = dict[str, Any]


class KubeflowBackend:
    """Runs attempts through the Kubeflow Spark operator.

    :param environment: what every resource gets.
    :param api_for: returns the client of a cluster by its name.
    :param catalogs: returns alias -> Spark's properties of its Iceberg catalog; called only where something is made.
    """

    name = "kubeflow"
    #: Of the operator's custom resource.
    group_version = GROUP_VERSION

    def __init__(
        self,
        environment: Environment,
        api_for: Callable[[str], KubernetesApi],
        catalogs: Callable[[], Mapping[str, Mapping[str, str]]] = dict,
    ) -> None:
        self._environment = environment
        self._api_for = api_for
        self._catalogs = catalogs

    def render(self, request: AttemptRequest) -> Resource:
        """Return the resource that :meth:`create` would make.

        :raises ManifestError: DCP172 when the job names an image that the environment does not run.
        :raises DcpEnvironmentError: DCP412 when a credential could only be written in clear, DCP482 or DCP486 without an image.
        """
        _check_names(request.ref)
        image = image_for(JobSpec.from_dict(request.job), self._environment)
        return spark_application(request, self._environment, image=image, catalogs=self._catalogs())

    def dry_run(self, request: AttemptRequest) -> Resource:
        """Return the resource as the API server would keep it, checked by its schema, webhooks and quotas; nothing is made.

        :raises KubernetesProblem: when the server would refuse it.
        """
        path = self.applications_path(request.ref.namespace)
        return self._api_for(request.ref.cluster).request("POST", path, params={"dryRun": "All"}, body=self.render(request))

    def create(self, request: AttemptRequest) -> Attempt:
        """Make the attempt's application exactly once; see :meth:`Backend.create`.

        :raises ExecutionError: DCP310 when a resource of that name belongs to another owner.
        :raises DcpEnvironmentError: when the cluster refuses or does not answer. What it may have made is found by the next call.
        """
        api = self._api_for(request.ref.cluster)
        application = self._application(api, request.ref)
        if application is None:
            stone = self._tombstone(api, request.ref)
            if stone is not None:
                return _checked_owner(tombstones.attempt_of(stone), request)
            # Whoever was first, perhaps an earlier try of this one: their request is the attempt's.
            kept = self._keep_files(api, request)
            application = self._post(api, kept)
        if not _is_ours(application):
            raise _foreign(request.ref.name, None)
        _checked_owner(_attempt(application, None, None), request)
        self._mend_files(api, application)
        # A cancel may have come while this process was between looking and making; then the application is deleted here.
        return self._observed(api, application)

    def mend(self, ref: AttemptRef) -> Attempt | None:
        """Make the driver's files of an application sound that is there; unlike :meth:`create`, never make an application.

        :raises DcpEnvironmentError: when the cluster cannot be asked.
        """
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        if application is None or not _is_ours(application):
            return None
        self._mend_files(api, application)
        return self._observed(api, application)

    def get(self, ref: AttemptRef) -> Attempt | None:
        """Return the attempt as it is now, or None when the cluster holds nothing for it."""
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        if application is not None and _is_ours(application):
            return self._observed(api, application)
        stone = self._tombstone(api, ref)
        return tombstones.attempt_of(stone) if stone is not None else None

    def latest(self, ref: AttemptRef) -> Attempt | None:
        """Return the execution's attempt with the highest number, or None."""
        api = self._api_for(ref.cluster)
        mine = execution_selector(ref.execution_id)
        applications = api.request("GET", self.applications_path(ref.namespace), params={"labelSelector": mine}).get("items") or []
        stones = api.request(
            "GET", core_path(ref.namespace, "configmaps"), params={"labelSelector": f"{mine},{KIND_LABEL}={CANCELLED_KIND}"}
        ).get("items")
        application = max(filter(_is_ours, applications), key=_number, default=None)
        stone = max(stones or [], key=_number, default=None)
        if application is not None and (stone is None or _number(stone) <= _number(application)):
            return self._observed(api, application)
        return tombstones.attempt_of(stone) if stone is not None else None

    def claim(self, ref: AttemptRef, round_try: int) -> Attempt:
        """Record that a round waits for the attempt, unless one is recorded.

        :raises DcpEnvironmentError: DCP467 when there is no such attempt any more.
        """
        api = self._api_for(ref.cluster)
        for _ in range(_TRIES):
            application = self._application(api, ref)
            record = application if application is not None else self._tombstone(api, ref)
            if record is None:
                break
            if tombstones.waited_by(record) is None:
                path = self.applications_path(ref.namespace, ref.name) if application else self._stone_path(ref)
                patched = self._annotate(api, path, record, {WAITED_BY: str(round_try)})
                if patched is None:
                    continue
                record = patched
            return self._observed(api, record) if application is not None else tombstones.attempt_of(record)
        raise DcpEnvironmentError(
            f"{ref.name} could not be claimed: it is gone, or others keep changing it",
            code="DCP467",
            hint="try again; if it is gone, nothing proves how it ended",
        )

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        """Write down that the attempt is to end, then delete its application with all that it runs; see :meth:`Backend.cancel`."""
        api = self._api_for(ref.cluster)
        for _ in range(_TRIES):
            application = self._application(api, ref)
            if application is None or not _is_ours(application):
                stone = self._tombstone(api, ref)
                return tombstones.attempt_of(stone) if stone is not None else None
            before = self._observed(api, application)
            if before.state.is_terminal or (before.cancellation is not None and states.is_being_deleted(application)):
                return before
            stone = self._keep_tombstone(api, application, before, cancellation)
            if self._delete(api, application):
                return _attempt(application, stone, None)
        raise DcpEnvironmentError(
            f"{ref.name} could not be deleted: others keep changing it", code="DCP467", hint="cancel it again"
        )

    def is_gone(self, ref: AttemptRef) -> bool:
        """Whether neither a living application nor a living pod is left."""
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        if application is not None and not self._observed(api, application).state.is_terminal:
            return False
        return not any(is_live(pod) for pod in pods_of(api, ref.namespace, ref.name, self.group_version))

    def read_log(self, ref: AttemptRef, offset: int = 0, limit: int = 1_000_000) -> tuple[str, int]:
        """Return whole lines of the driver's log; an offset is the time of the last line that was read, in nanoseconds."""
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        pod = states.driver_pod_name(application) if application is not None else f"{ref.name}-driver"
        return log_piece(api, ref.namespace, pod, offset, limit)

    # What is there

    def applications_path(self, namespace: str, name: str = "") -> str:
        """Return the path of a namespace's applications, or of one of them."""
        return applications_path(namespace, name, self.group_version)

    def _application(self, api: KubernetesApi, ref: AttemptRef) -> Resource | None:
        _check_names(ref)
        return api.get(self.applications_path(ref.namespace, ref.name))

    @staticmethod
    def _stone_path(ref: AttemptRef) -> str:
        return core_path(ref.namespace, "configmaps", tombstone_name(ref))

    def _tombstone(self, api: KubernetesApi, ref: AttemptRef) -> Resource | None:
        return api.get(self._stone_path(ref))

    def _observed(self, api: KubernetesApi, application: Resource) -> Attempt:
        """Return the attempt behind an application, and finish what a process that died left half done."""
        verdict = written_verdict(application)
        if verdict is not None and not states.is_being_deleted(application):
            return _attempt(application, None, verdict)
        request = _request_of(application)
        stone = self._tombstone(api, request.ref)
        if states.is_being_deleted(application) and stone is not None:
            return _attempt(application, stone, None)
        if states.execution_state(application).is_terminal:
            verdict = verdict or find_verdict(api, application, request.job)
        if verdict is not None:
            return self._ended(api, application, stone, verdict)
        if stone is not None:
            self._delete(api, application)
        return _attempt(application, stone, None)

    def _ended(self, api: KubernetesApi, application: Resource, stone: Resource | None, verdict: Verdict) -> Attempt:
        """Write down how the attempt ended; a cancellation that came too late is taken back, or it would be told later on."""
        if stone is not None:
            self._remove(api, self._stone_path(_request_of(application).ref), stone)
        if not verdict.certain:
            return _attempt(application, None, verdict)
        try:
            application = self._annotate(api, path_of(application), application, {VERDICT: verdict_text(verdict)}) or application
        except KubernetesProblem as problem:
            logger.warning("how %s ended could not be written down: %s", application["metadata"]["name"], problem.message)
        return _attempt(application, None, written_verdict(application) or verdict)

    # What is written

    def _keep_files(self, api: KubernetesApi, request: AttemptRequest) -> AttemptRequest:
        """Make the ConfigMap of the driver's files, unless it is there, and return the request that it keeps.

        :raises ExecutionError: DCP310 when it belongs to another owner.
        :raises DcpEnvironmentError: DCP484 when this cluster was closed to the execution.
        """
        files = self._make(api, core_path(request.ref.namespace, "configmaps"), files_config_map(request))
        if (files["metadata"].get("labels") or {}).get(KIND_LABEL) == FENCE_KIND:
            raise DcpEnvironmentError(
                f"{request.ref.name} may not be created on cluster {request.ref.cluster}: a later try has chosen another cluster",
                code="DCP484",
                hint="nothing was created here; the task tries again and finds the execution where it is",
            )
        kept = kept_request(files)
        if kept is None or kept.idempotency_key != request.idempotency_key:
            raise _foreign(files_name(request.ref), kept)
        return kept

    def _post(self, api: KubernetesApi, request: AttemptRequest) -> Resource:
        """Make the application; when it is refused for good, the files go again."""
        try:
            return self._make(api, self.applications_path(request.ref.namespace), self.render(request))
        except DcpEnvironmentError as error:
            refused = not isinstance(error, KubernetesProblem) or (error.status and not error.ambiguous)
            path = core_path(request.ref.namespace, "configmaps", files_name(request.ref))
            if refused and (files := api.get(path)) and not files["metadata"].get("ownerReferences"):
                self._remove(api, path, files)
            raise

    def _make(self, api: KubernetesApi, path: str, resource: Resource) -> Resource:
        """Create a resource, or return the one of that name; where no answer tells, look before asking again."""
        for left in reversed(range(_TRIES)):
            try:
                return api.request("POST", path, body=resource)
            except KubernetesProblem as problem:
                # A quota is checked before the name: who is late may be refused for it though the resource is there.
                existing = api.get(f"{path}/{resource['metadata']['name']}")
                if existing is not None:
                    return existing
                if not left or not (problem.ambiguous or problem.cause == CONFLICT):
                    raise
        raise AssertionError

    def _mend_files(self, api: KubernetesApi, application: Resource) -> None:
        """Make sure that the driver's files are there, are those of this application, and go with it."""
        if states.execution_state(application).is_terminal or states.is_being_deleted(application):
            return
        request = _request_of(application)
        files = self._make(api, core_path(request.ref.namespace, "configmaps"), files_config_map(request))
        same = kept_request(files) == request
        if same and is_owned_by(files, application):
            return
        patch = owner_patch(application) if same else {**owner_patch(application), **files_data(request)}
        path = core_path(request.ref.namespace, "configmaps", files_name(request.ref))
        api.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    def _keep_tombstone(self, api: KubernetesApi, application: Resource, before: Attempt, wish: Cancellation) -> Resource:
        failure = None
        if wish.reason == START_TIMEOUT:
            failure = start_failure(api, application, wish.at - before.request.submitted_at)
        return self._make(api, core_path(before.ref.namespace, "configmaps"), tombstones.tombstone(before, wish, failure))

    @staticmethod
    def _delete(api: KubernetesApi, application: Resource) -> bool:
        """Delete this very application as it was seen, and all that it runs; False when it has changed meanwhile."""
        metadata = application["metadata"]
        if states.is_being_deleted(application):
            return True
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            # The name is free again only when driver and executors are gone.
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        }
        try:
            api.request("DELETE", path_of(application), body=body)
        except KubernetesProblem as problem:
            if problem.cause == NOT_FOUND:
                return True
            if problem.cause == CONFLICT:
                return False
            raise
        return True

    @staticmethod
    def _remove(api: KubernetesApi, path: str, resource: Resource) -> None:
        """Remove this very ConfigMap, if it is still as it was seen."""
        preconditions = {key: resource["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            api.request("DELETE", path, body={"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions})
        except KubernetesProblem as problem:
            if problem.cause not in {NOT_FOUND, CONFLICT}:
                raise

    @staticmethod
    def _annotate(api: KubernetesApi, path: str, resource: Resource, annotations: Mapping[str, str]) -> Resource | None:
        """Add annotations to a resource as it was seen; None when it has changed or gone meanwhile."""
        body = {"metadata": {"resourceVersion": resource["metadata"]["resourceVersion"], "annotations": dict(annotations)}}
        try:
            return api.request("PATCH", path, body=body, content_type=MERGE_PATCH)
        except KubernetesProblem as problem:
            if problem.cause in {CONFLICT, NOT_FOUND}:
                return None
            raise


def _attempt(application: Resource, stone: Resource | None, verdict: Verdict | None) -> Attempt:
    """Return what application, tombstone and verdict together say of the attempt. Pure."""
    state = states.execution_state(application)
    if verdict is not None:
        state = verdict.state
    elif state.is_terminal:
        # It is being deleted after a cancellation, or the operator's FAILED is about a second driver: it has not ended.
        state = ExecutionState.RUNNING
    claim = tombstones.waited_by(application)
    return Attempt(
        request=_request_of(application),
        state=state,
        waited_by=tombstones.waited_by(stone) if claim is None else claim,
        cancellation=tombstones.cancellation_of(stone) if stone is not None else None,
        failure=verdict.failure if verdict else None,
        result=verdict.result if verdict else None,
        started_at=states.started_at(application),
        ended_at=verdict.ended_at if verdict else None,
        spark_ui_url=states.spark_ui_url(application) if state is ExecutionState.RUNNING else "",
        message="" if verdict else states.error_message(application)[:2000],
    )


def _request_of(application: Resource) -> AttemptRequest:
    return AttemptRequest.from_dict(json.loads(application["metadata"]["annotations"][REQUEST]))


def _is_ours(resource: Resource) -> bool:
    return REQUEST in (resource["metadata"].get("annotations") or {})


def _number(resource: Resource) -> int:
    text = (resource["metadata"].get("labels") or {}).get(ATTEMPT, "")
    return int(text) if text.isdecimal() else 0


def _checked_owner(found: Attempt, request: AttemptRequest) -> Attempt:
    """Return the attempt that was found, if it is the request's own.

    :raises ExecutionError: DCP310.
    """
    if found.request.idempotency_key != request.idempotency_key:
        raise _foreign(request.ref.name, found.request)
    return found


def _foreign(name: str, owner: AttemptRequest | None) -> ExecutionError:
    whose = owner.manifest_id if owner is not None else "somebody who is not the Spark Runner"
    return ExecutionError(
        f"{name} exists and belongs to another owner: {whose}",
        code="DCP310",
        hint="find out who made it; an execution's resources are never taken over",
    )


def _check_names(ref: AttemptRef) -> None:
    """Refuse a place that is no name before it becomes part of a path.

    :raises DcpEnvironmentError: DCP466.
    """
    for what, name in (("namespace", ref.namespace), ("resource name", ref.name)):
        if not is_namespace(name):
            raise DcpEnvironmentError(
                f"`{name}` cannot be a Kubernetes {what}",
                code="DCP466",
                hint="correct the namespace template of the environment's connection, or the manifest's name",
            )
