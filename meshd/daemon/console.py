"""Console: answers questions about one daemon, and carries out commands.

Answers are read from frozen views between events; commands go in as events. Every answer is JSON:
units stand in the keys, instants are ISO 8601 in UTC.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from meshd.daemon.entrance import Entrance
from meshd.daemon.events import Events
from meshd.daemon.fetches import Fetches
from meshd.daemon.judgement import Judgement
from meshd.daemon.metrics import Metrics
from meshd.daemon.names import Names
from meshd.daemon.post import Post
from meshd.daemon.probes import Probes
from meshd.daemon.skyview import Skyview
from meshd.daemon.tables import Tables
from meshd.daemon.trusting import trust_view
from meshd.daemon.work import Work
from meshd.ephemeris.timescale import format_time
from meshd.router.wish import Wish
from meshd.scheduler.holder import Stage
from meshd.scheduler.states import Status
from protocols.record import Beacon
from protocols.types import MILLISECOND, SECOND, Duration, Instant, NodeId

if TYPE_CHECKING:
    from meshd.adapters.libp2p import LinkInfo
    from meshd.daemon.daemon import Daemon
    from meshd.forwarding.neighbours import Neighbour

Json: TypeAlias = dict[str, Any]


class Console:
    """The `Backend` of a daemon's control socket. The daemon must be assembled."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._names = Names(daemon.identity.node_id, daemon.node.router)
        self._judgement = Judgement(daemon)
        self._sky = Skyview(daemon, self._names)
        self._tables = Tables(daemon, self._names)
        self._renewal = daemon.renewal
        self._entrance = Entrance(daemon, self._names)
        self._probes = Probes(daemon, self._names)
        self._work = Work(daemon, self._names)
        self._fetches = Fetches(daemon, self._names)
        self._post = Post(daemon, self._names)
        self.events = Events(daemon, self._names)
        self._metrics = Metrics(daemon, self.events, self._names)

    # --- this daemon ----------------------------------------------------------------------------

    def identity(self) -> Json:
        daemon = self._daemon
        return {
            "id": daemon.identity.node_id,
            "name": daemon.node.config.name,
            "site": daemon.site,
            "version": version("meshd"),
            "home": str(daemon.home),
            "pid": os.getpid(),
            "addresses": list(daemon.addresses),
            "open": daemon.node.trust.policy.open,
        }

    def status(self) -> Json:
        daemon, clock = self._daemon, self._daemon.shared.clock
        now = clock.now()
        held = daemon.node.scheduler.holder.view()
        stages = [holding.stage for _, holding in held]
        jobs = [view.row.status for view in daemon.node.scheduler.book.view()]
        return {
            **self.identity(),
            "mission_time": format_time(now),
            "speed": clock.speed,
            "uptime_s": round((now - daemon.started_at) / SECOND / clock.speed, 3),
            "peers": sum(neighbour.ready for neighbour in daemon.node.neighbours.view()),
            "links_missing": [self._names.name_of(node) for node in daemon.node.router.down],
            "members": len(daemon.node.router.members),
            "membership": self._judgement.counts(),
            "plan": self._plan(),
            "trust": trust_view(daemon),
            "emulate_light": daemon.config.emulate_light,
            "slots": daemon.config.slots,
            "kinds": list(daemon.config.kinds),
            "accepts_remote_jobs": daemon.config.accepts_remote_jobs,
            "running": stages.count(Stage.RUNNING),
            "queued": stages.count(Stage.QUEUED) + stages.count(Stage.FETCHING),
            "jobs": {status.value: jobs.count(status) for status in Status},
            "held_packets": len(daemon.node.forwarder.view()),
            "blob_bytes": daemon.blobs.bytes_used,
            "blob_bytes_max": daemon.blobs.bytes_max,
            "store": "ok",  # a commit that fails ends the daemon
            "events_handled": daemon.driver.handled,
            "recording": self._recording(),
        }

    def _recording(self) -> Json | None:
        recorder = self._daemon.recorder
        if recorder is None:
            return None
        return {
            "file": str(recorder.path.absolute()),
            "state": recorder.state,
            "events": recorder.journal.events,
            "bytes": recorder.written,
            "bytes_max": recorder.bytes_max,
        }

    def _plan(self) -> Json | None:
        plan = self._daemon.node.router.plan
        if plan is None:
            return None
        return {
            "sky": plan.sky_digest,
            "policy": plan.policy_code,
            "start": format_time(plan.start),
            "end": format_time(plan.end),
            "sites": plan.n_sites,
            "contacts": plan.n_contacts,
            "digest": plan.digest,
        }

    def tell(self, follow: bool) -> AsyncIterator[Json]:
        return self.events.tell(follow)

    def metrics(self) -> bytes:
        return self._metrics.text()

    # --- the mesh -------------------------------------------------------------------------------

    def peers(self) -> list[Json]:
        """Links that are up, those that have not greeted included, by name."""
        views = {neighbour.link: neighbour for neighbour in self._daemon.node.neighbours.view()}
        rows = [self._peer(info, views.get(info.link)) for info in self._daemon.links.peers()]
        return sorted(rows, key=lambda row: (row["name"], row["node"], row["since"]))

    def _peer(self, info: LinkInfo, view: Neighbour | None) -> Json:
        ready = view is not None and view.ready
        hello = view.delay_ns if view is not None and ready else None
        light = self._light_ns(info.node)
        delay = hello if light is None else light
        beat = self._daemon.node.neighbours.measured_ns(info.link)
        measured = beat if self._daemon.shared.clock.speed == 1 else None
        return {
            "node": info.node,
            "name": self._names.name_of(info.node),
            "site": self._names.site_of(info.node),
            "kind": "standing" if view is not None and view.standing else "planned",
            "ready": ready,
            "direction": "out" if info.dialled else "in",
            "delay_ms": None if delay is None else round(delay / MILLISECOND, 6),
            "hello_delay_ms": None if hello is None else round(hello / MILLISECOND, 6),
            "measured_delay_ms": None if measured is None else round(measured / MILLISECOND, 6),
            "state": self._judgement.of(info.node, self._daemon.shared.clock.now())["state"],
            "address": info.address,
            "since": format_time(info.since),
            "frames_in": info.frames_in,
            "frames_out": info.frames_out,
            "received_bytes": info.bytes_in,
            "sent_bytes": info.bytes_out,
        }

    def _light_ns(self, node: NodeId) -> Duration | None:
        """The light time of the contact that is open with a neighbour; None outside any."""
        router, now = self._daemon.node.router, self._daemon.shared.clock.now()
        here, there = router.site(self._daemon.identity.node_id), router.site(node)
        if router.plan is None or here is None or there is None:
            return None
        if router.contact_end(node, now) is None:
            return None
        return router.plan.light_time_ns(here, there, now)

    def nodes(self) -> list[Json]:
        """Every node heard of, with its newest load and how far it is, by name."""
        daemon, now = self._daemon, self._daemon.shared.clock.now()
        beacons = daemon.node.scheduler.loads.view(now)
        delays = daemon.node.router.delays_at(daemon.identity.node_id, now)
        rows = []
        for node, member in daemon.node.router.members.items():
            delay = delays.get(node)
            row = {
                "node": node,
                "name": member.presence.name,
                "site": member.presence.site,
                "addresses": list(member.presence.addresses),
                "me": node == daemon.identity.node_id,
                "reachable": delay is not None,
                "delay_ms": None if delay is None else round(delay / MILLISECOND, 6),
            }
            judged = self._judgement.of(node, now)
            rows.append({**row, **judged, **_load(beacons.get(node), now)})
        return sorted(rows, key=lambda row: (row["name"], row["node"]))

    async def links(self, node: str | None, start: str | None, duration: str | None) -> Json:
        return await self._sky.links(node, start, duration)

    async def route(self, source: str, target: str, wish: Wish) -> Json:
        return await self._sky.route(source, target, wish)

    def elements(self) -> Json:
        return self._renewal.view()

    async def renew(self, at: str, documents: dict[str, str]) -> Json:
        return await self._renewal.accept(at, documents)

    async def publish(self, at: str, documents: dict[str, str]) -> Json:
        return await self._renewal.publish(at, documents)

    async def records(self, records: list[bytes]) -> Json:
        return await self._entrance.records(records)

    def bootstrap(self) -> list[Json]:
        return self._entrance.bootstrap()

    async def name_bootstrap(self, address: str, wanted: bool) -> Json:
        return await self._entrance.name(address, wanted)

    async def table(self) -> Json:
        return await self._tables.table()

    async def connect(self, address: str) -> Json:
        return await self._probes.connect(address)

    async def disconnect(self, node: str) -> Json:
        return await self._probes.disconnect(node)

    async def ping(self, node: str, count: int, interval_s: float) -> Json:
        return await self._probes.ping(node, count, interval_s)

    async def trace(self, node: str) -> Json:
        return await self._probes.trace(node)

    # --- letters --------------------------------------------------------------------------------

    async def send(
        self, to: str, port: str, stream: str, lifetime_s: float, wait_s: float, body: bytes
    ) -> Json:
        return await self._post.send(to, port, stream, lifetime_s, wait_s, body)

    async def letter(self, name: str, wait_s: float) -> Json:
        return await self._post.letter(name, wait_s)

    def letters(self) -> list[Json]:
        return self._post.letters()

    async def mail(self, port: str, count: int, wait_s: float) -> list[Json]:
        return await self._post.mail(port, count, wait_s)

    async def take(self, number: int) -> Json:
        return await self._post.take(number)

    # --- work -----------------------------------------------------------------------------------

    def jobs(self) -> list[Json]:
        return self._work.jobs()

    def job(self, name: str) -> Json:
        return self._work.job(name)

    def result(self, name: str) -> list[Json]:
        return self._work.result(name)

    async def submit(self, spec: Json, name: str | None) -> Json:
        return await self._work.submit(spec, name)

    async def cancel(self, name: str) -> Json:
        return await self._work.cancel(name)

    def watch(self, name: str) -> AsyncIterator[Json]:
        return self._work.watch(name)

    def logs(self, name: str, *, follow: bool) -> AsyncIterator[Json]:
        return self._work.logs(name, follow=follow)

    def blobs(self) -> list[Json]:
        return self._work.blobs()

    async def put_blob(self, chunks: AsyncIterator[bytes]) -> Json:
        return await self._work.put_blob(chunks)

    def get_blob(self, cid: str) -> tuple[int, Iterator[bytes]]:
        return self._work.get_blob(cid)

    def fetch_blob(self, cid: str, node: str) -> AsyncIterator[Json]:
        return self._fetches.fetch(cid, node)

    async def keep_blob(self, cid: str, kept: bool) -> Json:
        return await self._fetches.keep(cid, kept)

    def stop(self) -> None:
        self._daemon.stop()

    def find(self, name: str) -> NodeId:
        """The node a person means."""
        return self._names.find(name)


def _load(known: tuple[Beacon, Instant] | None, now: Instant) -> Json:
    """What a beacon says; all None for a node whose beacon is old or was never heard."""
    if known is None:
        return dict.fromkeys(("slots", "running", "queued", "wait_ms", "kinds", "beacon_age_ms"))
    beacon, issued_at = known
    return {
        "slots": beacon.slots,
        "running": beacon.running,
        "queued": beacon.queued,
        "wait_ms": round(beacon.wait_ns / MILLISECOND, 3),
        "kinds": list(beacon.kinds),
        "beacon_age_ms": round((now - issued_at) / MILLISECOND, 3),
    }
