"""Work: what runs shards in a laboratory: a model that takes their estimate, or real workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from meshd.adapters.blobstore import BlobStore
from meshd.adapters.executor import Executor
from meshd.seam import Event, RunShard, ShardFinished, ShardSaid
from protocols.errors import MeshError
from protocols.types import Duration, Instant
from sim.driver import output_of

Post = Callable[[Event], None]


class Mission(Protocol):
    """Mission time, at which something can be called."""

    def now(self) -> Instant: ...
    def at(self, instant: Instant, call: Callable[..., None], *arguments: Any) -> None: ...


class ModelledWork:
    """`ports.ExecutorPort` without workers: a shard takes its estimate, by the speed of its host.

    As `sim.driver.Performer` has it for the heap: the same codes, outputs and times.
    """

    def __init__(self, mission: Mission, blobs: BlobStore, post: Post, speed: float) -> None:
        self._mission, self._blobs, self._post, self._speed = mission, blobs, post, speed
        self._runs: dict[str, int] = {}
        self._count = 0

    def run(self, shard: RunShard) -> None:
        for cid in shard.cids:
            if self._blobs.size(cid) is None:
                self._post(ShardFinished(shard.run, "blob-missing", f"blob {cid}"))
                return
        self._count += 1
        self._runs[shard.run] = self._count
        wanted = round(shard.estimate_ns / self._speed)
        took = min(wanted, shard.wall_ns)
        code = "ok" if took == wanted else "wall-limit"
        self._mission.at(self._mission.now() + took, self._ran, self._count, shard, code, took)

    def _ran(self, number: int, shard: RunShard, code: str, took: Duration) -> None:
        if self._runs.get(shard.run) != number:
            return  # stopped, or the daemon has gone
        del self._runs[shard.run]
        if code != "ok":
            self._post(ShardFinished(shard.run, code, "too slow", wall_ns=took))
            return
        output = output_of(shard)
        try:
            cid = self._blobs.put(output)
        except MeshError as error:
            self._post(ShardFinished(shard.run, error.code, error.message, wall_ns=took))
            return
        self._post(ShardFinished(shard.run, "ok", "", cid, len(output), took))

    def stop(self, run: str) -> None:
        if self._runs.pop(run, None) is not None:
            self._post(ShardFinished(run, "stopped"))

    def close(self) -> None:
        self._runs.clear()


class TimedWork:
    """`ports.ExecutorPort` over real workers: real results, at the time they were estimated for.

    Time is held while the workers are out, so each ends at the instant it began; the estimate is
    added then, and stands for the wall time, which no two runs would share. Results of one instant
    are told in the order in which they were asked for, whichever worker was faster.
    """

    def __init__(
        self, make: Callable[[Post], Executor], mission: Mission, post: Post, speed: float
    ) -> None:
        self._inner = make(self._finished)
        self._mission, self._post, self._speed = mission, post, speed
        self._runs: dict[str, int] = {}
        """Shards that run, or whose results wait for their time, each under a number of its own."""
        self._results: dict[str, ShardFinished] = {}
        self._count = 0

    def run(self, shard: RunShard) -> None:
        if shard.run in self._runs:
            return
        self._count += 1
        self._runs[shard.run] = self._count
        took = round(shard.estimate_ns / self._speed)
        at = self._mission.now() + took
        self._mission.at(at, self._tell, shard.run, self._count, took)
        self._inner.run(shard)

    def _finished(self, event: Event) -> None:
        if isinstance(event, ShardSaid):
            self._post(event)
            return
        assert isinstance(event, ShardFinished)
        self._results[event.run] = event

    def _tell(self, run: str, number: int, took: Duration) -> None:
        if self._runs.get(run) == number:
            del self._runs[run]
            self._post(replace(self._results.pop(run), wall_ns=took))

    def stop(self, run: str) -> None:
        if self._results.pop(run, None) is not None:
            del self._runs[run]
            self._post(ShardFinished(run, "stopped", "it was stopped on request"))
        self._inner.stop(run)

    def close(self) -> None:
        self._runs.clear()
        self._results.clear()
        self._inner.close()
