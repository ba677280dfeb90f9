"""The client of one cluster's API server: plain JSON in and out, on lightkube's configuration and authentication.

No models are built: they would cost a second of imports and megabytes, and the resources here are read by few of their fields.
Every client belongs to one :class:`ClusterAccess`; clients share nothing. What watches is in :mod:`.watch`.
"""

from __future__ import annotations

import json
import logging
import random
import weakref
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, cast

import httpx2
import tenacity
from lightkube.core.exceptions import ConfigError

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess, client_options
from airflow_dcp_provider.runner.backends.kubernetes.problems import (
    NOT_FOUND,
    KubernetesProblem,
    problem_of_answer,
    problem_of_silence,
)

logger = logging.getLogger(__name__)

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

#: A list of resources without what they hold.
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

#: Resources on one page of a long list.
PAGE = 200

#: Seconds to connect, and for an answer to begin.
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0

#: Seconds within which one call is tried again, and how often at most.
PATIENCE_SECONDS = 30.0
TRIES = 5

#: No wait between two tries is longer, whatever the server asks for.
_LONGEST_WAIT = 10.0

#: A write with an unknown field is refused, not silently pruned.
_STRICT = {"fieldValidation": "Strict"}


class KubernetesApi:
    """Calls one cluster's API server; any thread may use it. A request is tried again only where that cannot do it twice.

    :param access: which cluster, and who asks.
    :param patience: seconds within which a call is tried again.
    :raises DcpEnvironmentError: DCP469 when the access cannot be used.
    """

    def __init__(self, access: ClusterAccess, *, patience: float = PATIENCE_SECONDS, read_seconds: float = READ_SECONDS) -> None:
        self.cluster = access.name
        self._patience = patience
        self._client = httpx2.Client(**client_options(access, _timeout(read_seconds)))
        # Many hold a client for as long as a task runs and nobody closes it. A forked child must not: the connections are shared.
        weakref.finalize(self, self._client.close).atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Return the JSON answer to one request.

        :param path: below the server's address, for example ``/api/v1/namespaces/x/pods``.
        :param body: JSON values; writes are validated strictly.
        :param accept: the form of the answer, ``application/json`` or :data:`METADATA_LIST`.
        :raises KubernetesProblem: when it is refused or not answered.
        """
        response = self._tried(method, path, _arguments(method, params, body, content_type, accept))
        return cast("dict[str, Any]", _decoded(response.text, self._where(method, path)))

    def each(self, path: str, *, params: Mapping[str, Any] | None = None, accept: str = JSON) -> Iterator[dict[str, Any]]:
        """Yield every resource of a list, however long it is, one page at a time.

        :raises KubernetesProblem: when it is refused or not answered, or when the list has become too old to go on with it.
        """
        query = {**(params or {}), "limit": PAGE}
        while True:
            answer = self.request("GET", path, params=query, accept=accept)
            yield from answer.get("items") or []
            token = (answer.get("metadata") or {}).get("continue")
            if not token:
                return
            query = {**query, "continue": token}

    def text(self, path: str, *, params: Mapping[str, Any] | None = None) -> str:
        """Return a text, such as a container's log; bytes that are no UTF-8 are replaced.

        :raises KubernetesProblem: when it is refused or not answered.
        """
        return self._tried("GET", path, _arguments("GET", params, None, JSON, "*/*")).content.decode("utf-8", errors="replace")

    def get(self, path: str, *, params: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return a resource, or None when there is none of that name.

        :raises KubernetesProblem: also when its kind or namespace is not there (DCP468).
        """
        try:
            return self.request("GET", path, params=params)
        except KubernetesProblem as problem:
            if problem.cause == NOT_FOUND:
                return None
            raise

    def _tried(self, method: str, path: str, arguments: Mapping[str, Any]) -> httpx2.Response:
        policy = tenacity.Retrying(**_retrying(method, self._patience))
        return policy(self._once, method, path, arguments)

    def _once(self, method: str, path: str, arguments: Mapping[str, Any]) -> httpx2.Response:
        where = self._where(method, path)
        try:
            response = self._client.request(method, path, **arguments)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise problem_of_silence(where, error, sent=_may_be_sent(error)) from error
        except (ConfigError, OSError, ValueError) as error:
            raise _no_credentials(self.cluster, error) from error
        if response.is_error or response.is_redirect:
            raise problem_of_answer(where, response.status_code, response.text, response.headers.get("retry-after", ""))
        return response

    def _where(self, method: str, path: str) -> str:
        return f"{method} {path} on cluster {self.cluster}"


def may_try_again(method: str, problem: BaseException) -> bool:
    """Whether a failed request is tried again by the client itself. Pure.

    Reads always where the server or the way to it is to blame; writes only where the server has surely not carried them out: what
    is ambiguous is for the caller, who knows what to look for.
    """
    if not isinstance(problem, KubernetesProblem):
        return False
    if problem.status == 429 or (problem.status == 503 and problem.retry_after is not None):
        return True
    if problem.status == 0 and not problem.ambiguous:
        return True
    return method == "GET" and problem.ambiguous


def _retrying(method: str, patience: float) -> dict[str, Any]:
    return {
        "retry": tenacity.retry_if_exception(lambda error: may_try_again(method, error)),
        "wait": _wait,
        "stop": tenacity.stop_after_attempt(TRIES) | tenacity.stop_after_delay(patience),
        "before_sleep": _log_again,
        "reraise": True,
    }


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next try: what the server asks for, else longer each time and never the same for all."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, KubernetesProblem) else None
    seconds = asked if asked is not None else 0.1 * 2**state.attempt_number
    return min(seconds, _LONGEST_WAIT) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _log_again(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.info("%s; trying again", error.message if isinstance(error, DcpEnvironmentError) else error)


def _timeout(read_seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(read_seconds, connect=CONNECT_SECONDS)


def _arguments(method: str, params: Mapping[str, Any] | None, body: Any, content_type: str, accept: str) -> dict[str, Any]:
    query = dict(params or {})
    if body is None:
        return {"params": query, "headers": {"Accept": accept}}
    if method in {"POST", "PUT", "PATCH"}:
        query = {**_STRICT, **query}
    return {"params": query, "content": json.dumps(body), "headers": {"Content-Type": content_type, "Accept": accept}}


def _may_be_sent(error: Exception) -> bool:
    return not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol))


def _decoded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise KubernetesProblem(f"{where} was answered with something that is not JSON", ambiguous=True) from error


def _no_credentials(cluster: str, error: Exception) -> DcpEnvironmentError:
    return DcpEnvironmentError(
        f"the credentials for cluster {cluster} cannot be had: {type(error).__name__}: {str(error)[:200]}",
        code="DCP469",
        hint="correct the user of the kubeconfig in the cluster's Airflow connection, or install the plugin that it names",
    )
