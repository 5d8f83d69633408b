"""Ports: what a driver needs carried out, and by whom: clock, links, store, blobs, workers."""

from __future__ import annotations

from typing import Protocol

from meshd.seam import RunShard
from protocols.priority import Priority
from protocols.types import Cid, Instant, LinkId, NodeId


class ClockPort(Protocol):
    """Tells the time. Only the driver asks; a node is told."""

    def now(self) -> Instant:
        """Mission time; never goes back."""
        ...

    def real_seconds_until(self, instant: Instant) -> float:
        """Seconds of the driver's own clock until a mission instant (0 when past)."""
        ...


class LinkPort(Protocol):
    """Opens, closes and writes links. Answers come back as events through the driver's `post`."""

    def open(self, node: NodeId, addresses: tuple[str, ...]) -> None: ...
    def close(self, link: LinkId, code: str) -> None: ...
    def send(self, link: LinkId, frame: bytes, priority: Priority) -> None: ...


class StorePort(Protocol):
    """Durable rows. `commit` returns once the rows are on disk (off the loop where it blocks)."""

    def load(self) -> tuple[tuple[str, bytes], ...]: ...
    async def commit(self, rows: list[tuple[str, bytes | None]]) -> None: ...


class BlobPort(Protocol):
    """Content-addressed bytes on disk, bounded, verified when whole. What reads, writes or hashes
    blocks: a driver calls it in a thread.
    """

    def resume(self, cid: Cid) -> tuple[int | None, tuple[tuple[int, int], ...]]:
        """Size, if known, and sorted intervals of what is here of a blob that is to be fetched."""
        ...

    def close(self, cid: Cid, *, keep: bool) -> None:
        """It is fetched no more; what has come stays while there is room, or goes."""
        ...

    def read(self, cid: Cid, offset: int, length: int) -> bytes | None: ...
    def write(self, cid: Cid, offset: int, data: bytes, size: int) -> str:
        """Store a piece; returns "partial", "stored" (whole and verified) or an error code."""
        ...

    def release(self, cid: Cid) -> None: ...
    def size(self, cid: Cid) -> int | None:
        """Bytes of a whole blob, or None when it is not here."""
        ...

    def cids(self) -> tuple[Cid, ...]: ...


class ExecutorPort(Protocol):
    """Runs shards in workers. Each run ends in one ShardFinished through the driver's `post`."""

    def run(self, shard: RunShard) -> None: ...
    def stop(self, run: str) -> None: ...
    def close(self) -> None:
        """Stop every run, and say nothing of it."""
        ...
