"""Performer: carries out a node's effects in list order, as meshd/driver.py does on trio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from meshd.blobs.fetch import BLOB_PORT, piece_of, written
from meshd.seam import (
    CloseLink,
    Effect,
    Note,
    OpenLink,
    PayloadArrived,
    PayloadLost,
    PayloadOffered,
    Persist,
    ReadBlob,
    ReleaseBlob,
    ReportJob,
    RunShard,
    SendFrame,
    ShardFinished,
    StopShard,
    WriteBlob,
)
from protocols.forward import PacketIds
from protocols.types import Duration
from sim.host import Host
from sim.links import Links

if TYPE_CHECKING:
    from sim.world import World


class Performer:
    """What follows a Persist waits for its commit, while other events go on."""

    def __init__(self, world: World, links: Links, commit_ns: Duration) -> None:
        self._world = world
        self._commit_ns = commit_ns
        self._ids: dict[int, PacketIds] = {}
        self._runs = 0
        self._table: dict[type, Callable[[Host, Any], None]] = {
            SendFrame: links.send,
            OpenLink: links.open,
            CloseLink: links.close,
            RunShard: self._run,
            StopShard: self._stop,
            ReadBlob: self._read,
            WriteBlob: self._write,
            ReleaseBlob: lambda host, effect: host.blobs.release(effect.cid),
            ReportJob: self._tell,
            Note: self._tell,
            PayloadArrived: self._tell,
            PayloadLost: self._tell,
        }

    def perform(self, host: Host, effects: list[Effect]) -> None:
        table, checkers = self._table, self._world.checkers
        for index, effect in enumerate(effects):
            if isinstance(effect, Persist):
                if self._commit_ns:
                    at = self._world.now + self._commit_ns
                    rest = (host, host.life, effects[index:])
                    self._world.schedule(at, self._commit, rest)
                    return
                _keep(host, effect)
                continue
            if checkers:
                checkers.effect(host, effect)
            table[type(effect)](host, effect)

    def _commit(self, host: Host, life: int, effects: list[Effect]) -> None:
        """Rows that stand together are committed together."""
        if host.life != life:
            return
        done = 0
        for effect in effects:
            if not isinstance(effect, Persist):
                break
            _keep(host, effect)
            done += 1
        self.perform(host, effects[done:])

    def _tell(self, host: Host, effect: Effect) -> None:
        self._world.tally.hear(effect, self._world.now)

    # --- shards ---------------------------------------------------------------------------------

    def _run(self, host: Host, run: RunShard) -> None:
        """A shard takes what was estimated, by the host's speed; its output follows its inputs."""
        world = self._world
        for cid in (run.model, run.input):
            if cid is not None and host.blobs.size(cid) is None:
                world.post(host, ShardFinished(run.run, "blob-missing", f"blob {cid}"))
                return
        self._runs += 1
        host.runs[run.run] = self._runs
        took = min(round(run.estimate_ns / host.speed), run.wall_ns)
        world.schedule(world.now + took, self._ran, (host, self._runs, run, took))

    def _ran(self, host: Host, number: int, run: RunShard, took: Duration) -> None:
        if host.runs.get(run.run) != number:
            return  # stopped, or the node has died
        del host.runs[run.run]
        if round(run.estimate_ns / host.speed) > run.wall_ns:
            event = ShardFinished(run.run, "wall-limit", "too slow", wall_ns=took)
        else:
            output = output_of(run)
            cid = host.blobs.put(output)
            event = ShardFinished(run.run, "ok", "", cid, len(output), took)
        self._world.deliver(host, event)

    def _stop(self, host: Host, stop: StopShard) -> None:
        if host.runs.pop(stop.run, None) is not None:
            self._world.post(host, ShardFinished(stop.run, "stopped"))

    # --- blobs ----------------------------------------------------------------------------------

    def _read(self, host: Host, read: ReadBlob) -> None:
        size = host.blobs.size(read.cid)
        data = host.blobs.read(read.cid, read.offset, read.length)
        payload = piece_of(read, size, data)
        ids = self._ids.setdefault(host.index, PacketIds(host.id, "d"))
        packet = ids.next(self._world.now)
        offer = PayloadOffered(packet, read.destination, BLOB_PORT, payload, read.lifetime_ns)
        self._world.post(host, offer)

    def _write(self, host: Host, write: WriteBlob) -> None:
        code = host.blobs.write(write.cid, write.offset, write.data, write.size)
        report = written(write, code)
        if report is not None:
            self._world.post(host, report)


def output_of(run: RunShard) -> bytes:
    """What a simulated shard puts out: a hash of what it was given, so that reruns agree."""
    given = msgspec.msgpack.encode((run.kind, run.model, run.input, run.command))
    return hashlib.blake2b(given).digest()


def _keep(host: Host, effect: Persist) -> None:
    if effect.value is None:
        host.rows.pop(effect.key, None)
    else:
        host.rows[effect.key] = effect.value
