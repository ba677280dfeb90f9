"""The ConfigMaps beside an application: the driver's files, which carry the claim of the round that waits, and the tombstone.

The claim is not on the application itself. The operator of Kubeflow submits within a loop that begins again when its write of the
status meets a changed resource: whoever writes to an application whose state is still empty makes it submit a second time, meet its
own driver, and call the application failed (seen on 2.5.2, ``reconcileNewSparkApplication``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.model.execution import AttemptRef
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import (
    ATTEMPT,
    CANCELLED_KIND,
    CLOSED,
    FILES_KIND,
    KIND_LABEL,
    WAITED_BY,
    core_path,
    execution_selector,
)

Resource = dict[str, Any]


@dataclass(frozen=True)
class Beside:
    """What stands beside an attempt's application, as far as it is there.

    :param files: the ConfigMap of the driver's files.
    :param stone: the tombstone of a cancelled attempt.
    """

    files: Resource | None = None
    stone: Resource | None = None

    @property
    def is_closed(self) -> bool:
        """Whether a cancellation has read the claim of the files: a later one belongs on the tombstone."""
        return CLOSED in annotations_of(self.files)


def beside(api: KubernetesApi, ref: AttemptRef) -> Beside:
    """Return what stands beside one attempt's application, by one request."""
    found = config_maps_of(api, ref, f"{ATTEMPT}={ref.attempt}")
    return of_attempt(found, ref.attempt)


def config_maps_of(api: KubernetesApi, ref: AttemptRef, selector: str = "") -> list[Resource]:
    """Return files and tombstones of an execution in the attempt's namespace.

    :param selector: a label selector that they satisfy as well.
    """
    wanted = [execution_selector(ref.execution_id), f"{KIND_LABEL} in ({FILES_KIND},{CANCELLED_KIND})", selector]
    answer = api.request(
        "GET", core_path(ref.namespace, "configmaps"), params={"labelSelector": ",".join(each for each in wanted if each)}
    )
    return list(answer.get("items") or [])


def of_attempt(config_maps: Iterable[Resource], number: int) -> Beside:
    """Return those of one attempt."""
    mine = {
        labels[KIND_LABEL]: each
        for each in config_maps
        if (labels := each["metadata"].get("labels") or {}).get(ATTEMPT) == str(number)
    }
    return Beside(mine.get(FILES_KIND), mine.get(CANCELLED_KIND))


def waited_by(*resources: Mapping[str, Any] | None) -> int | None:
    """Return the round that has claimed an attempt, from the first resource that tells it."""
    for resource in resources:
        text = annotations_of(resource).get(WAITED_BY)
        if text and text.isdecimal():
            return int(text)
    return None


def annotations_of(resource: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return a resource's annotations; none of a resource that is not there."""
    return (resource or {}).get("metadata", {}).get("annotations") or {}
