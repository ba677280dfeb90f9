"""The HTTP side of a watch, on aiohttp: lists, single looks and the stream of changes, as bytes.

The other clients of this package are httpx2's. For a stream of 150 changes a second that costs 2.5 times the CPU of aiohttp, whose
parser is compiled; ``docs/decisions/0011-one-watch-instead-of-shared-streams.md`` has the figures.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from lightkube.core.exceptions import ConfigError

from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess, client_options
from airflow_dcp_provider.runner.backends.kubernetes.problems import KubernetesProblem, problem_of_answer, problem_of_silence

#: Seconds to connect, and for a whole answer that is no stream.
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0

#: Bytes after which reading pauses until what was read has been handled: what comes meanwhile is then read at once.
_READ_AHEAD = 2**16


class WatchClient:
    """Reads from one cluster's API server, on one event loop, with the credentials as they were when it was opened.

    :param options: as :func:`~airflow_dcp_provider.runner.backends.kubernetes.access.client_options` returns them.
    """

    def __init__(self, cluster: str, options: Mapping[str, Any]) -> None:
        self.cluster = cluster
        self._base = str(options["base_url"]).rstrip("/")
        self._auth: httpx2.Auth | None = options["auth"]
        self._proxy = _proxy(self._base, options["proxy"], from_environment=bool(options["trust_env"]))
        verify: ssl.SSLContext = options["verify"]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verify),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_AHEAD,
        )

    @classmethod
    async def open(cls, access: ClusterAccess) -> WatchClient:
        """Return a client; certificates are read in a thread.

        :raises DcpEnvironmentError: DCP469 when the access cannot be used.
        """
        return cls(access.name, await asyncio.to_thread(client_options, access, httpx2.Timeout(ANSWER_SECONDS)))

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    def where(self, path: str) -> str:
        """Return what messages call a request."""
        return f"watching {path} on cluster {self.cluster}"

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Return the body of one answer.

        :raises KubernetesProblem: when it is refused or not answered.
        """
        seconds = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._answer(path, params, seconds) as response:
            return await response.read()

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str], silence_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the pieces of one watch as they come; they end anywhere, not only at the end of a line.

        :param silence_seconds: how long the server may say nothing before the connection counts as lost.
        :raises KubernetesProblem: when it is refused, cut or silent for too long.
        """
        seconds = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
        async with self._answer(path, {**params, "watch": "true"}, seconds) as response:
            yield response.content.iter_any()

    @asynccontextmanager
    async def _answer(
        self, path: str, params: Mapping[str, str] | None, seconds: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        where = self.where(path)
        headers = await self._headers()
        if self._session.closed:
            raise KubernetesProblem(f"{where} was not answered: the connection was given back")
        try:
            async with self._session.get(
                self._base + path, params=params, headers=headers, timeout=seconds, proxy=self._proxy, allow_redirects=False
            ) as response:
                if response.status != 200:
                    text = (await response.content.read(65536)).decode(errors="replace")
                    raise problem_of_answer(where, response.status, text, response.headers.get("Retry-After", ""))
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise problem_of_silence(where, error, sent=True) from error

    async def _headers(self) -> dict[str, str]:
        """Return the headers that prove who asks, from the same source as every other client's."""
        headers = {"Accept": "application/json"}
        if self._auth is None:
            return headers
        flow = self._auth.async_auth_flow(httpx2.Request("GET", self._base))
        try:
            headers["Authorization"] = (await anext(flow)).headers["Authorization"]
        except (ConfigError, OSError, ValueError) as error:
            raise DcpEnvironmentError(
                f"the credentials for cluster {self.cluster} cannot be had: {type(error).__name__}: {str(error)[:200]}",
                code="DCP469",
                hint="correct the user of the kubeconfig in the cluster's Airflow connection, or install the plugin that it names",
            ) from error
        finally:
            await flow.aclose()
        return headers


def is_expired(problem: BaseException) -> bool:
    """Whether the server no longer knows the resource version, or the page, that it was asked for."""
    return isinstance(problem, KubernetesProblem) and problem.status == 410


def _proxy(base: str, given: str | None, *, from_environment: bool) -> str | None:
    """Return the proxy on the way to the server: the kubeconfig's, else the environment's (never a password from a netrc file)."""
    parts = urlsplit(base)
    if given or not from_environment or proxy_bypass(parts.hostname or ""):
        return given
    return getproxies().get(parts.scheme)
