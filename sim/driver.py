"""Performer: carries out a node's effects in list order, as meshd/driver.py does on trio."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from meshd.blobs.disk import DISK_EFFECTS, DiskEffect, carry_out
from meshd.seam import (
    BlobFailed,
    CloseLink,
    Effect,
    ElementsHeard,
    LetterArrived,
    LetterKept,
    LetterSettled,
    LetterTaken,
    Note,
    OpenLink,
    PayloadArrived,
    PayloadLost,
    Persist,
    ReportJob,
    RunShard,
    SendFrame,
    ShardFinished,
    StopShard,
)
from protocols.cid import cid_of
from protocols.job import JobSpec
from protocols.types import Cid, Duration
from sim.host import Host
from sim.links import Links
from sim.mail import READING_NS

if TYPE_CHECKING:
    from sim.world import World


class Performer:
    """What follows a Persist waits for its commit, while other events go on."""

    def __init__(self, world: World, links: Links, commit_ns: Duration) -> None:
        self._world = world
        self._commit_ns = commit_ns
        self._runs = 0
        self._table: dict[type, Callable[[Host, Any], None]] = {
            SendFrame: links.send,
            OpenLink: links.open,
            CloseLink: links.close,
            RunShard: self._run,
            StopShard: self._stop,
            **dict.fromkeys(DISK_EFFECTS, self._disk),
            ReportJob: self._tell,
            Note: self._tell,
            PayloadArrived: self._tell,
            PayloadLost: self._tell,
            BlobFailed: self._tell,
            LetterKept: self._tell,
            LetterSettled: self._tell,
            LetterArrived: self._read_letter,
            ElementsHeard: self._tell,
        }

    def perform(self, host: Host, effects: list[Effect]) -> None:
        table, checkers = self._table, self._world.checkers
        for index, effect in enumerate(effects):
            if isinstance(effect, Persist):
                self._persist(host, effects[index:])
                return
            if checkers:
                checkers.effect(host, effect)
            table[type(effect)](host, effect)

    def _persist(self, host: Host, effects: list[Effect]) -> None:
        """Rows that stand together are committed together; the rest follows."""
        rows = takewhile(lambda effect: isinstance(effect, Persist), effects)
        commit = [(row.key, row.value) for row in rows if isinstance(row, Persist)]
        rest = effects[len(commit) :]
        host.disk.unsynced.append(commit)
        if self._commit_ns:
            at = self._world.now + self._commit_ns
            self._world.schedule(at, self._commit, (host, host.life, rest))
        else:
            self._commit(host, host.life, rest)

    def _commit(self, host: Host, life: int, rest: list[Effect]) -> None:
        if host.life != life:
            return
        commit = host.disk.unsynced.popleft()
        if host.disk.failing:
            self._world.harm.store_failed(host, commit)
            return
        host.disk.write(commit)
        self.perform(host, rest)
        if host.disk.start is not None and host.life == life:
            self._world.harm.begun(host)

    def _tell(self, host: Host, effect: Effect) -> None:
        self._world.tally.hear(effect, self._world.now)

    def _read_letter(self, host: Host, arrived: LetterArrived) -> None:
        """Whoever reads there takes a letter after a while."""
        world = self._world
        world.post(host, LetterTaken(arrived.number), world.now + READING_NS)

    # --- shards ---------------------------------------------------------------------------------

    def _run(self, host: Host, run: RunShard) -> None:
        """A shard takes what was estimated, by the host's speed; its output follows its inputs."""
        world = self._world
        for cid in run.cids:
            if host.blobs.size(cid) is None:
                world.post(host, ShardFinished(run.run, "blob-missing", f"blob {cid}"))
                return
        self._runs += 1
        host.runs[run.run] = self._runs
        needs = round(run.estimate_ns / (host.speed * host.work_speed))
        took = min(needs, run.wall_ns)
        code = "ok" if needs <= run.wall_ns else "wall-limit"
        world.schedule(world.now + took, self._ran, (host, self._runs, run, took, code))

    def _ran(self, host: Host, number: int, run: RunShard, took: Duration, code: str) -> None:
        if host.runs.get(run.run) != number:
            return  # stopped, or the node has died
        del host.runs[run.run]
        if code == "ok" and host.blobs.full:
            code = "store-full"
        if code == "ok":
            output = output_of(run)
            cid = host.blobs.put(output)
            event = ShardFinished(run.run, code, "", cid, len(output), took)
        else:
            event = ShardFinished(run.run, code, "it came to nothing", wall_ns=took)
        self._world.deliver(host, event)

    def _stop(self, host: Host, stop: StopShard) -> None:
        if host.runs.pop(stop.run, None) is not None:
            self._world.post(host, ShardFinished(stop.run, "stopped"))

    # --- blobs ----------------------------------------------------------------------------------

    def _disk(self, host: Host, effect: DiskEffect) -> None:
        for event in carry_out([effect], host.blobs):
            self._world.post(host, event)


def output_of(run: RunShard | Offered) -> bytes:
    """What a simulated shard puts out: a hash of what it was given, so that reruns agree."""
    given = msgspec.msgpack.encode((run.kind, run.model, run.inputs, run.command))
    return hashlib.blake2b(given).digest()


class Offered(NamedTuple):
    """What a shard of a job is given to work on."""

    kind: str
    model: Cid | None
    inputs: tuple[Cid, ...]
    command: tuple[str, ...]


def outputs_of(spec: JobSpec) -> list[Cid]:
    """The names of what the shards of a job must put out."""
    made: list[Cid] = []
    for shard in spec.shards:
        work = spec.work(shard)
        own = () if shard.input is None else (shard.input,)
        inputs = own + tuple(made[taken] for taken in shard.takes)
        given = Offered(work.kind, work.model, inputs, shard.command)
        made.append(cid_of(output_of(given)))
    return made
