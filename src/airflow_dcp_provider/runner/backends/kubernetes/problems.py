"""What an API server refused, or that it did not answer: one error for every client, with a stable code for each cause.

The answers are those of ``API answers`` in the knowledge of a real cluster: a 403 has four causes that only the message separates.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_dcp_provider.model.errors import DcpEnvironmentError

#: Causes, as :attr:`KubernetesProblem.cause` names them.
UNREACHABLE, CREDENTIALS, RBAC, QUOTA, QUOTA_UNKNOWN = "unreachable", "credentials", "rbac", "quota", "quota-unknown"
WEBHOOK, INVALID, MISSING, CONFLICT, NOT_FOUND, EXPIRED, SERVER = (
    "webhook",
    "invalid",
    "missing",
    "conflict",
    "not-found",
    "expired",
    "server",
)

_CODES = {
    UNREACHABLE: ("DCP460", "check that the API server answers from here; try again"),
    CREDENTIALS: ("DCP461", "renew the token or certificate in the cluster's Airflow connection"),
    RBAC: ("DCP462", "give the connection's user the Role of docs/kubernetes.md in that namespace"),
    QUOTA: ("DCP463", "wait until other applications have ended, ask for less, or have the ResourceQuota raised"),
    QUOTA_UNKNOWN: ("DCP464", "the cluster has not yet computed its quota; it passes by itself within minutes: try again"),
    WEBHOOK: ("DCP465", "read what the webhook says; if it does not answer, look at the Spark operator's webhook"),
    INVALID: ("DCP466", "correct the field in the manifest or in the environment's connection; `pretzel render --server` shows it"),
    MISSING: ("DCP468", "create the namespace, or install the Spark operator and its custom resource definitions"),
}


class KubernetesProblem(DcpEnvironmentError):  # noqa: N818 - a problem, as HTTP calls it
    """A request to an API server that did not succeed.

    :param status: HTTP status, or 0 when there was no answer.
    :param reason: Kubernetes' own word (``AlreadyExists``, ``Forbidden``, ...), or empty.
    :param cause: one of this module's causes.
    :param ambiguous: the request may have been carried out all the same.
    :param retry_after: seconds that the server asks to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        cause: str = SERVER,
        ambiguous: bool = False,
        retry_after: float | None = None,
    ) -> None:
        code, hint = _CODES.get(cause, ("DCP467", "try again; if it goes on, look at the API server's own log"))
        super().__init__(message, code=code, hint=hint)
        self.status = status
        self.reason = reason
        self.cause = cause
        self.ambiguous = ambiguous
        self.retry_after = retry_after


@contextlib.contextmanager
def readable(resource: Mapping[str, Any]) -> Iterator[None]:
    """Read what the Spark Runner keeps in a resource; somebody may have changed it since.

    :raises DcpEnvironmentError: DCP467 when it does not hold what was written there.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = (resource.get("metadata") or {}).get("name", "a resource without a name")
        raise DcpEnvironmentError(
            f"{name} does not hold what the Spark Runner wrote there: {error!r}"[:500],
            code="DCP467",
            hint="somebody has changed it by hand; delete it, and clear the submit task to run the job as a new execution",
        ) from error


def problem_of_answer(where: str, status: int, body: str, retry_after: str = "") -> KubernetesProblem:
    """Return the problem that an answer with an error status means.

    :param where: what was asked, for example ``POST sparkapplications/x on cluster eu-1``.
    :param body: the answer's text; a ``Status`` as JSON, or whatever a proxy in between wrote.
    :param retry_after: the header of that name.
    """
    answer = _status(body)
    message = str(answer.get("message") or body.strip()[:300] or "no message")
    reason = str(answer.get("reason") or "")
    cause = _cause(status, reason, message, answer.get("details") or {})
    return KubernetesProblem(
        f"{where} was refused ({status} {reason or 'without a reason'}): {message}",
        status=status,
        reason=reason,
        cause=cause,
        # A server that broke down, or a proxy that lost it, may have carried the request out before.
        ambiguous=status in {408, 500, 502, 503, 504},
        retry_after=_seconds(retry_after),
    )


def problem_of_silence(where: str, error: BaseException, *, sent: bool) -> KubernetesProblem:
    """Return the problem of a request without an answer.

    :param sent: whether the request may have reached the server.
    """
    why = str(error) or type(error).__name__
    return KubernetesProblem(f"{where} was not answered: {why}", cause=UNREACHABLE, ambiguous=sent)


def _cause(status: int, reason: str, message: str, details: dict[str, Any]) -> str:
    if status == 403:
        return _forbidden(message)
    if status == 404:
        return _not_found(reason, details)
    if "failed calling webhook" in message or "admission webhook" in message:
        return WEBHOOK
    known = {400: INVALID, 413: INVALID, 422: INVALID, 401: CREDENTIALS, 409: CONFLICT, 410: EXPIRED}
    return known.get(status, SERVER)


def _forbidden(message: str) -> str:
    if "status unknown for quota" in message:
        return QUOTA_UNKNOWN
    if "exceeded quota" in message:
        return QUOTA
    if "admission webhook" in message:
        return WEBHOOK
    # A namespace that is being removed takes nothing new, which no Role would mend.
    return MISSING if "because it is being terminated" in message else RBAC


def _not_found(reason: str, details: dict[str, Any]) -> str:
    """Tell an object that is not there from a namespace or a custom resource definition that is not there."""
    if reason != "NotFound" or not details.get("name") or details.get("kind") == "namespaces":
        return MISSING
    return NOT_FOUND


def _status(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None
