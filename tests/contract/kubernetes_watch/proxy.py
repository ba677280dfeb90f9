"""A TCP proxy between a client and the API server, which the test may cut, silence or shut. It sees only TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Passes bytes between clients and one port of this machine.

    :param port: the API server's.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._serving: set[asyncio.Task[None]] = set()
        self.opened = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._passing.set()
        self.cut()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    def cut(self) -> None:
        """Break every connection at once, in the middle of whatever it carries."""
        for writer in self._connections:
            writer.transport.abort()

    def silence(self) -> None:
        """From now on let nothing through, in either direction, without closing anything."""
        self._passing.clear()

    def speak(self) -> None:
        """Let everything through again, what was held back too."""
        self._passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self._connections.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            server_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
            self._connections.add(upstream)
            ways = [asyncio.create_task(self._pass(*way)) for way in ((reader, upstream), (server_reader, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for each in (writer, upstream):
                if each is not None:
                    each.transport.abort()
                    self._connections.discard(each)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                await self._passing.wait()
                writer.write(piece)
                await writer.drain()
