"""The asynchronous client of the stand-ins: it goes on asking while the API server is down, as controllers do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.support.kubernetes.api_server import ApiServer

PAUSE = 0.2
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def checked(answer: httpx.Response) -> httpx.Response:
    """Return the answer.

    :raises httpx.HTTPStatusError: when it is an error, with the server's words.
    """
    if answer.is_error:
        request = answer.request
        said = f"{request.method} {request.url.path}: {answer.status_code} {answer.text}"
        raise httpx.HTTPStatusError(said, request=request, response=answer)
    return answer


class RigClient:
    """Requests as the admin. Every one is repeated until the server answers; an answer below 500 is the caller's to read."""

    def __init__(self, api: ApiServer) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self._http = httpx.AsyncClient(
            base_url=api.url,
            verify=api.ssl_context(),
            headers={"Authorization": f"Bearer {api.token}"},
            trust_env=False,
            timeout=10,
            limits=limits,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a request until it is answered and return the answer, which may be an error of the caller's."""
        if method == "PATCH":
            options.setdefault("headers", MERGE_PATCH)
        while True:
            try:
                answer = await self._http.request(method, path, json=body, **options)
            except httpx.TransportError:
                await asyncio.sleep(PAUSE)
                continue
            if answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            await asyncio.sleep(PAUSE)

    async def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return the object, or None when there is none."""
        answer = await self.ask("GET", path, params=query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        found: dict[str, Any] = checked(answer).json()
        return found

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """List the objects below ``path``."""
        found = await self.get(path, **query)
        return list(found["items"]) if found else []

    async def version(self, path: str) -> str:
        """Return where a collection stands now: what is there can be left alone by watching from here."""
        version: str = checked(await self.ask("GET", path, params={"limit": "1"})).json()["metadata"]["resourceVersion"]
        return version

    async def watch(self, path: str, since: str, **query: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield every change after ``since``; after a break all objects as ADDED, and DELETED for those that have gone."""
        known: dict[str, dict[str, Any]] = {}
        async for kind, changed in self._followed(path, query, since, known):
            yield kind, changed
        while True:
            listed = checked(await self.ask("GET", path, params=query)).json()
            present = {each["metadata"]["uid"]: each for each in listed["items"]}
            for gone in known.keys() - present.keys():
                yield "DELETED", known[gone]
            known = present
            for each in listed["items"]:
                yield "ADDED", each
            async for kind, changed in self._followed(path, query, listed["metadata"]["resourceVersion"], known):
                yield kind, changed

    async def _followed(
        self, path: str, query: dict[str, str], version: str, known: dict[str, dict[str, Any]]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield the changes and keep ``known`` up to date."""
        async for kind, changed in self._changes(path, query, version):
            if kind == "DELETED":
                known.pop(changed["metadata"]["uid"], None)
            else:
                known[changed["metadata"]["uid"]] = changed
            yield kind, changed

    async def _changes(self, path: str, query: dict[str, str], version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        parameters = {**query, "watch": "true", "resourceVersion": version}
        timeout = httpx.Timeout(10, read=None)
        try:
            async with self._http.stream("GET", path, params=parameters, timeout=timeout) as answer:
                if answer.is_success:
                    async for line in answer.aiter_lines():
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            return
                        yield event["type"], event["object"]
        except (httpx.TransportError, json.JSONDecodeError):
            await asyncio.sleep(PAUSE)
