"""Which rights the Spark Runner needs in a namespace, as in ``deploy/kubernetes/role.yaml``, and what of it a user lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.names import GROUP_VERSION, PLURAL

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """Verbs on one resource.

    :param group: the API group; empty for the core one.
    :param resource: plural, with a subresource after ``/``.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{', '.join(self.verbs)} {resource}"

    def rule(self) -> dict[str, Any]:
        """Return the right as a rule of a Role."""
        return {"apiGroups": [self.group], "resources": [self.resource], "verbs": list(self.verbs)}


def rights(group_version: str = GROUP_VERSION) -> tuple[Right, ...]:
    """Return everything that submitting, waiting, cancelling, reading logs, diagnosing and sweeping ask for.

    :param group_version: of the applications, by the environment's backend.
    """
    applications = Right(group_version.partition("/")[0], PLURAL, ("get", "list", "watch", "create", "delete", "patch"))
    return (applications, *_CORE_RIGHTS)


_CORE_RIGHTS = (
    Right("", "configmaps", ("get", "list", "create", "delete", "patch")),
    Right("", "pods", ("get", "list")),
    Right("", "pods/log", ("get",)),
    Right("", "events", ("list",)),
)


def missing_rights(api: KubernetesApi, namespace: str, needed: Iterable[Right]) -> tuple[Right, ...]:
    """Return those of the ``needed`` rights that the client's user lacks in ``namespace``, with the verbs that are missing.

    Every user may ask this about itself. The namespace need not exist.

    :raises KubernetesProblem: when the cluster does not answer.
    """
    found = []
    for right in needed:
        lacking = tuple(verb for verb in right.verbs if not _allowed(api, namespace, right, verb))
        if lacking:
            found.append(Right(right.group, right.resource, lacking))
    return tuple(found)


def _allowed(api: KubernetesApi, namespace: str, right: Right, verb: str) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "namespace": namespace,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.request("POST", _REVIEWS, body=review)["status"]["allowed"])
