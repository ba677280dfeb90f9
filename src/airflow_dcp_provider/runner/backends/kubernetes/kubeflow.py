"""The Kubeflow backend: one ``SparkApplication`` per attempt, and the resource is the record.

Whatever is asked is answered from the cluster alone, so that any process goes on where another one stopped. Each write is safe to
repeat: what exists is looked at and mended, never made again under another name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow_dcp_provider.gateway.images import image_for
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import START_TIMEOUT, Attempt, AttemptRef, AttemptRequest, Cancellation
from airflow_dcp_provider.model.job import JobSpec
from airflow_dcp_provider.runner.backends.kubernetes import states, tombstones
from airflow_dcp_provider.runner.backends.kubernetes.api import MERGE_PATCH, KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.config_maps import (
    Beside,
    annotations_of,
    beside,
    config_maps_of,
    of_attempt,
    waited_by,
)
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import (
    files_config_map,
    is_owned_by,
    kept_request,
    owner_patch,
)
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    CANCELLED_KIND,
    CLOSED,
    FENCE_KIND,
    GROUP_VERSION,
    KIND_LABEL,
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
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem
from airflow_dcp_provider.runner.backends.kubernetes.records import (
    attempt_of,
    check_names,
    checked_owner,
    foreign,
    is_ours,
    number_of,
    request_of,
)
from airflow_dcp_provider.runner.backends.kubernetes.spark_application import spark_application
from airflow_dcp_provider.runner.backends.kubernetes.verdicts import (
    Verdict,
    find_verdict,
    start_failure,
    verdict_text,
    written_verdict,
)
from airflow_dcp_provider.runner.backends.kubernetes.writes import LOOKS, annotate, delete_application, make, remove

logger = logging.getLogger(__name__)

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
        check_names(request.ref)
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
            # What cannot be rendered is said before anything is made.
            self.render(request)
            stone = self._tombstone(api, request.ref)
            if stone is not None:
                return checked_owner(tombstones.attempt_of(stone), request)
            # Whoever was first, perhaps an earlier try of this one: their request is the attempt's.
            kept = self._keep_files(api, request)
            application = self._post(api, kept)
        if not is_ours(application):
            raise foreign(request.ref.name, None)
        checked_owner(attempt_of(application, Beside(), None), request)
        self._mend_files(api, application)
        # While this process was between looking and making, another one may have made its application and that been cancelled:
        # then this one is deleted here.
        return self._observed(api, application)

    def mend(self, ref: AttemptRef) -> Attempt | None:
        """Make the driver's files of an application sound that is there; unlike :meth:`create`, never make an application.

        :raises DcpEnvironmentError: when the cluster cannot be asked.
        """
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        if application is None or not is_ours(application):
            return None
        self._mend_files(api, application)
        return self._observed(api, application)

    def get(self, ref: AttemptRef) -> Attempt | None:
        """Return the attempt as it is now, or None when the cluster holds nothing for it."""
        api = self._api_for(ref.cluster)
        application = self._application(api, ref)
        if application is not None and is_ours(application):
            return self._observed(api, application)
        stone = self._tombstone(api, ref)
        return tombstones.attempt_of(stone) if stone is not None else None

    def latest(self, ref: AttemptRef) -> Attempt | None:
        """Return the execution's attempt with the highest number, or None."""
        api = self._api_for(ref.cluster)
        mine = {"labelSelector": execution_selector(ref.execution_id)}
        applications = api.request("GET", self.applications_path(ref.namespace), params=mine).get("items") or []
        config_maps = config_maps_of(api, ref)
        application = max(filter(is_ours, applications), key=number_of, default=None)
        stones = [each for each in config_maps if each["metadata"]["labels"][KIND_LABEL] == CANCELLED_KIND]
        stone = max(stones, key=number_of, default=None)
        if application is not None and (stone is None or number_of(stone) <= number_of(application)):
            return self._observed(api, application, of_attempt(config_maps, number_of(application)))
        return tombstones.attempt_of(stone) if stone is not None else None

    def claim(self, ref: AttemptRef, round_try: int) -> Attempt:
        """Record that a round waits for the attempt, unless one is recorded.

        :raises DcpEnvironmentError: DCP467 when there is no such attempt any more.
        """
        api = self._api_for(ref.cluster)
        for _ in range(LOOKS):
            application = self._application(api, ref)
            if application is not None:
                self._mend_files(api, application)
            around = beside(api, ref)
            record = _claimable(application, around)
            if record is None:
                break
            if waited_by(around.files, application, around.stone) is None:
                patched = annotate(api, path_of(record), record, {WAITED_BY: str(round_try)})
                if patched is None:
                    continue
                record = patched
            if application is None:
                return tombstones.attempt_of(record)
            if record["metadata"]["name"] == tombstone_name(ref):
                return attempt_of(application, replace(around, stone=record), None)
            if record["metadata"]["name"] == files_name(ref):
                return self._observed(api, application, replace(around, files=record))
            return self._observed(api, record, around)
        raise DcpEnvironmentError(
            f"{ref.name} could not be claimed: it is gone, or others keep changing it",
            code="DCP467",
            hint="try again; if it is gone, nothing proves how it ended",
        )

    def cancel(self, ref: AttemptRef, cancellation: Cancellation) -> Attempt | None:
        """Write down that the attempt is to end, then delete its application with all that it runs; see :meth:`Backend.cancel`."""
        api = self._api_for(ref.cluster)
        for _ in range(LOOKS):
            application = self._application(api, ref)
            if application is None or not is_ours(application):
                stone = self._tombstone(api, ref)
                return tombstones.attempt_of(stone) if stone is not None else None
            before = self._observed(api, application)
            if before.state.is_terminal or (before.cancellation is not None and states.is_being_deleted(application)):
                return before
            stone = self._delete(api, application, self._keep_tombstone(api, application, before, cancellation))
            if stone is not None:
                return attempt_of(application, Beside(stone=stone), None)
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
        check_names(ref)
        return api.get(self.applications_path(ref.namespace, ref.name))

    @staticmethod
    def _stone_path(ref: AttemptRef) -> str:
        return core_path(ref.namespace, "configmaps", tombstone_name(ref))

    def _tombstone(self, api: KubernetesApi, ref: AttemptRef) -> Resource | None:
        return api.get(self._stone_path(ref))

    def _observed(self, api: KubernetesApi, application: Resource, around: Beside | None = None) -> Attempt:
        """Return the attempt behind an application, and finish what a process that died left half done.

        :param around: what stands beside it where the caller has seen that; None to ask the cluster.
        """
        request = request_of(application)
        around = around or beside(api, request.ref)
        verdict = written_verdict(application)
        if verdict is not None and not states.is_being_deleted(application):
            return attempt_of(application, replace(around, stone=None), verdict)
        if states.is_being_deleted(application) and around.stone is not None:
            return attempt_of(application, around, None)
        if states.execution_state(application).is_terminal:
            verdict = verdict or find_verdict(api, application, request.job)
        if verdict is not None:
            return self._ended(api, application, around, verdict)
        if around.stone is not None:
            self._delete(api, application, around.stone)
        return attempt_of(application, around, None)

    def _ended(self, api: KubernetesApi, application: Resource, around: Beside, verdict: Verdict) -> Attempt:
        """Write down how the attempt ended; a cancellation that came too late is taken back, or it would be told later on."""
        if around.stone is not None:
            remove(api, self._stone_path(request_of(application).ref), around.stone)
            around = replace(around, stone=None)
        if not verdict.certain:
            return attempt_of(application, around, verdict)
        try:
            application = annotate(api, path_of(application), application, {VERDICT: verdict_text(verdict)}) or application
        except KubernetesProblem as problem:
            logger.warning("how %s ended could not be written down: %s", application["metadata"]["name"], problem.message)
        return attempt_of(application, around, written_verdict(application) or verdict)

    # What is written

    def _keep_files(self, api: KubernetesApi, request: AttemptRequest) -> AttemptRequest:
        """Make the ConfigMap of the driver's files, unless it is there, and return the request that it keeps.

        :raises ExecutionError: DCP310 when it belongs to another owner.
        :raises DcpEnvironmentError: DCP484 when this cluster was closed to the execution.
        """
        files = make(api, core_path(request.ref.namespace, "configmaps"), files_config_map(request))
        if (files["metadata"].get("labels") or {}).get(KIND_LABEL) == FENCE_KIND:
            raise DcpEnvironmentError(
                f"{request.ref.name} may not be created on cluster {request.ref.cluster}: a later try has chosen another cluster",
                code="DCP484",
                hint="nothing was created here; the task tries again and finds the execution where it is",
            )
        kept = kept_request(files)
        if kept is None or kept.idempotency_key != request.idempotency_key:
            raise foreign(files_name(request.ref), kept)
        return kept

    def _post(self, api: KubernetesApi, request: AttemptRequest) -> Resource:
        """Make the application; when it is refused for good, the files go again."""
        try:
            return make(api, self.applications_path(request.ref.namespace), self.render(request))
        except DcpEnvironmentError as error:
            refused = not isinstance(error, KubernetesProblem) or (error.status and not error.ambiguous)
            path = core_path(request.ref.namespace, "configmaps", files_name(request.ref))
            if refused and (files := api.get(path)) and not files["metadata"].get("ownerReferences"):
                remove(api, path, files)
            raise

    def _mend_files(self, api: KubernetesApi, application: Resource) -> None:
        """Make sure that the driver's files are there, are those of this application, and go with it.

        Whoever made the application may have died before it did so.
        """
        if states.is_being_deleted(application):
            return
        request = request_of(application)
        path = core_path(request.ref.namespace, "configmaps")
        # As a rule they are there: looking costs less than sending them all to be told so.
        files = api.get(f"{path}/{files_name(request.ref)}")
        if files is None and not states.execution_state(application).is_terminal:
            files = make(api, path, files_config_map(request))
        if files is None or (is_owned_by(files, application) and kept_request(files) == request):
            return
        if kept_request(files) != request:
            # What they hold cannot be changed: others take their place, with the claim.
            remove(api, f"{path}/{files_name(request.ref)}", files)
            files = make(api, path, files_config_map(request, annotations_of(files)))
            if kept_request(files) != request:
                # They changed meanwhile; the next look sees to it.
                return
        api.request("PATCH", f"{path}/{files_name(request.ref)}", body=owner_patch(application), content_type=MERGE_PATCH)

    def _delete(self, api: KubernetesApi, application: Resource, stone: Resource) -> Resource | None:
        """Delete a cancelled application as it was seen; returns the tombstone with its claim, or None when anything has changed.

        The claim goes with the files. So they are closed first: whoever claims the attempt from then on does so on the tombstone.
        """
        ref = request_of(application).ref
        files = api.get(core_path(ref.namespace, "configmaps", files_name(ref)))
        if files is not None and is_owned_by(files, application) and CLOSED not in annotations_of(files):
            files = annotate(api, path_of(files), files, {CLOSED: "true"})
            if files is None:
                return None
        claim = waited_by(files, application)
        if claim is not None and waited_by(stone) is None:
            claimed = annotate(api, path_of(stone), stone, {WAITED_BY: str(claim)})
            if claimed is None:
                return None
            stone = claimed
        return stone if delete_application(api, application) else None

    def _keep_tombstone(self, api: KubernetesApi, application: Resource, before: Attempt, wish: Cancellation) -> Resource:
        failure = None
        if wish.reason == START_TIMEOUT:
            failure = start_failure(api, application, wish.at - before.request.submitted_at)
        return make(api, core_path(before.ref.namespace, "configmaps"), tombstones.tombstone(before, wish, failure))


def _claimable(application: Resource | None, around: Beside) -> Resource | None:
    """Return the resource that a claim is written on, or None when there is none any more."""
    if application is None:
        return around.stone
    if states.is_being_deleted(application):
        # Nobody minds a write on what goes away, and without a tombstone there is nothing else.
        return around.stone or application
    if around.is_closed and around.stone is not None:
        return around.stone
    # The files of what has ended may have been removed; its operator is done with it.
    return around.files or (application if states.execution_state(application).is_terminal else None)
