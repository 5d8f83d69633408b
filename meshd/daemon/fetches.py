"""Fetches: blobs that a person asks of another node, and how far they are."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.daemon.names import Names
from meshd.daemon.probes import until
from meshd.driver import Happening
from meshd.seam import BlobFailed, BlobKept, BlobUnwanted, BlobWanted
from protocols import cid as cids
from protocols.errors import InputError, MeshError
from protocols.types import SECOND, Cid, Duration, NodeId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

PATIENCE_NS: Duration = 600 * SECOND
"""A fetch to which nothing comes for so long has failed: a daemon may start again meanwhile."""

LOOK_S = 0.25
RATE_S = 5.0
"""The rate is that of so many seconds."""

HELD_S = 600.0
"""How long a blob that is there stays wanted while its fetcher listens, to read it."""

ANSWER_S = 10.0


class Fetches:
    """A fetch is wanted while somebody listens to it; what has come stays when nobody does."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    def fetch(self, name: str, node: str) -> AsyncIterator[Json]:
        """Rows: "progress", then "stored" or "failed". Raises InputError "bad-cid", and the codes
        of a node that is not known, at once.
        """
        return self._fetch(cids.check(name, InputError), self._names.find(node))

    async def _fetch(self, cid: Cid, source: NodeId) -> AsyncIterator[Json]:
        driver = self._daemon.driver

        def about(happening: Happening) -> bool:
            return isinstance(happening, BlobFailed) and happening.cid == cid

        wanted = True
        with driver.watch(about) as watcher:
            driver.post(BlobWanted(cid, source, PATIENCE_NS))
            try:
                pace = _Pace()
                while not self._daemon.blobs.has(cid):
                    failed: Happening | None = None
                    with trio.move_on_after(LOOK_S):
                        failed = await watcher.next()
                    if isinstance(failed, BlobFailed):
                        wanted = False
                        yield {**self._row(cid, pace), "event": "failed", "code": failed.code}
                        return
                    yield {**self._row(cid, pace), "event": "progress"}
                size = self._daemon.blobs.size(cid)
                row = {**self._row(cid, pace), "bytes": size, "come": size, "event": "stored"}
                began = trio.current_time()
                while trio.current_time() < began + HELD_S:  # a row that nobody takes ends this
                    yield row
                    await trio.sleep(1.0)
            finally:
                if wanted:
                    driver.post(BlobUnwanted(cid))

    def _row(self, cid: Cid, pace: _Pace) -> Json:
        found = self._daemon.node.blobs.progress(cid)
        size = None if found is None else found.size
        come = 0 if found is None else found.come
        pace.see(come)
        rate = pace.bytes_s
        left_s = None if size is None or not rate else round((size - come) / rate, 1)
        return {
            "cid": cid,
            "bytes": size,
            "come": come,
            "resumed": 0 if found is None else found.resumed,
            "rate_bytes_s": None if rate is None else round(rate),
            "left_s": left_s,
            "code": "",
        }

    async def keep(self, name: str, kept: bool) -> Json:
        """A blob stays, or need not. Raises InputError "bad-cid", MeshError "kept-full"."""
        cid, blobs = cids.check(name, InputError), self._daemon.node.blobs
        self._daemon.driver.post(BlobKept(cid, kept))
        if not await until(lambda: (cid in blobs.kept()) == kept, ANSWER_S):
            raise MeshError("kept-full", "as many blobs are kept as may be; drop another first")
        return {"cid": cid, "kept": kept, "here": self._daemon.blobs.has(cid)}


class _Pace:
    """Bytes a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, come: int) -> None:
        now = trio.current_time()
        self._seen.append((now, come))
        while self._seen[0][0] < now - RATE_S:
            self._seen.popleft()

    @property
    def bytes_s(self) -> float | None:
        (first, before), (last, come) = self._seen[0], self._seen[-1]
        return (come - before) / (last - first) if last > first else None
