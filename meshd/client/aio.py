"""AsyncMesh: `Mesh` for trio. Each call waits in a thread, which a cancellation abandons."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from meshd.client.mesh import ASK_S, Letter, Mesh
from meshd.jobs.specification import Job
from protocols.letter import INBOX

T = TypeVar("T")


class AsyncMesh:
    """The calls of `Mesh`, awaited."""

    def __init__(self, home: Path | None = None) -> None:
        self._mesh = Mesh(home)

    async def status(self) -> dict[str, Any]:
        return await self._run(self._mesh.status)

    async def nodes(self) -> list[dict[str, Any]]:
        return await self._run(self._mesh.nodes)

    async def submit(self, job: Job | Path, **options: Any) -> str:
        """As `Mesh.submit`."""
        return await self._run(partial(self._mesh.submit, job, **options))

    async def job(self, id: str) -> dict[str, Any]:
        return await self._run(partial(self._mesh.job, id))

    async def wait(self, id: str) -> dict[str, Any]:
        return await self._run(partial(self._mesh.wait, id))

    async def result(self, id: str) -> list[bytes]:
        return await self._run(partial(self._mesh.result, id))

    async def cancel(self, id: str) -> dict[str, Any]:
        return await self._run(partial(self._mesh.cancel, id))

    async def send(self, node: str, body: bytes, **options: Any) -> str:
        """As `Mesh.send`."""
        return await self._run(partial(self._mesh.send, node, body, **options))

    async def receive(self, port: str = INBOX) -> AsyncIterator[Letter]:
        """As `Mesh.receive`, for ever."""
        while True:
            for letter in await self._run(partial(self._mesh.read, port, ASK_S)):
                yield letter
                await self._run(partial(self._mesh.take, letter))

    async def _run(self, ask: Callable[[], T]) -> T:
        import trio  # here, as blocking programs must start without it

        return await trio.to_thread.run_sync(ask, abandon_on_cancel=True)  # type: ignore[call-arg]
