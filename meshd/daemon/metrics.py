"""Metrics: what a daemon measures of itself, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meshd.daemon.events import Events
from meshd.daemon.names import Names
from meshd.scheduler.holder import Stage
from meshd.scheduler.states import Status
from protocols.types import SECOND

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon


class Metrics(Collector):
    """Reads frozen views at each scrape: nothing is counted twice, and idle costs nothing."""

    def __init__(self, daemon: Daemon, events: Events, names: Names) -> None:
        self._daemon = daemon
        self._events = events
        self._names = names
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of them, in the text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._node()
        yield from self._links()
        yield from self._packets()
        yield from self._work()

    def _node(self) -> Iterator[Metric]:
        daemon, node = self._daemon, self._daemon.node
        who = GaugeMetricFamily("meshd_info", "Who this is.", labels=("id", "name", "site"))
        who.add_metric((daemon.identity.node_id, node.config.name, daemon.site), 1.0)
        yield who
        now = daemon.shared.clock.now()
        yield _gauge("meshd_mission_time_seconds", "Mission time, Unix epoch.", now / SECOND)
        yield _gauge("meshd_members", "Nodes heard of.", len(node.router.members))
        plan = node.router.plan
        if plan is not None:
            yield _gauge("meshd_plan_contacts", "Contacts of the plan.", plan.n_contacts)
            ends = plan.end / SECOND
            yield _gauge("meshd_plan_end_seconds", "Where the plan ends, Unix epoch.", ends)
        handled = daemon.driver.handled
        yield _counter("meshd_events_handled", "Events the node has handled.", handled)
        commits = daemon.store.transactions
        yield _counter("meshd_store_commits", "Transactions of the store.", commits)
        told = CounterMetricFamily("meshd_told", "What `meshd events` told.", labels=("event",))
        for event, count in sorted(self._events.counts.items()):
            told.add_metric((event,), count)
        yield told

    def _links(self) -> Iterator[Metric]:
        daemon = self._daemon
        ready = sum(neighbour.ready for neighbour in daemon.node.neighbours.view())
        yield _gauge("meshd_links_ready", "Links that are up.", ready)
        missing = len(daemon.node.router.down)
        yield _gauge("meshd_links_missing", "Planned links that are not there.", missing)
        frames = CounterMetricFamily(
            "meshd_link_frames", "Frames over links that are up.", labels=("peer", "direction")
        )
        sizes = CounterMetricFamily(
            "meshd_link_bytes", "Their bytes.", labels=("peer", "direction")
        )
        for info in daemon.links.peers():
            peer = self._names.name_of(info.node)
            frames.add_metric((peer, "in"), info.frames_in)
            frames.add_metric((peer, "out"), info.frames_out)
            sizes.add_metric((peer, "in"), info.bytes_in)
            sizes.add_metric((peer, "out"), info.bytes_out)
        yield frames
        yield sizes

    def _packets(self) -> Iterator[Metric]:
        daemon, node = self._daemon, self._daemon.node
        held = node.forwarder.view()
        yield _gauge("meshd_packets_held", "Packets in custody.", len(held))
        size = sum(len(custody.packet.payload) for custody in held)
        yield _gauge("meshd_packets_held_bytes", "Their payloads.", size)
        waits = daemon.driver.inbox_full
        yield _counter("meshd_inbox_full", "Times that a link had to wait for the inbox.", waits)
        sending = len(node.letters.outgoing.view())
        yield _gauge("meshd_letters_sending", "Letters posted and not delivered.", sending)
        unread = node.letters.mailbox.ports()
        yield _labelled("meshd_letters_unread", "Letters nobody has taken.", "port", unread)
        yield _gauge("meshd_blob_bytes", "Bytes of blobs kept.", daemon.blobs.bytes_used)
        yield _gauge("meshd_blob_bytes_max", "What may be kept.", daemon.blobs.bytes_max)

    def _work(self) -> Iterator[Metric]:
        scheduler = self._daemon.node.scheduler
        stages = [holding.stage for _, holding in scheduler.holder.view()]
        held = {stage.value: stages.count(stage) for stage in Stage}
        yield _labelled("meshd_shards_held", "Shards held here, by stage.", "stage", held)
        status = [view.row.status for view in scheduler.book.view()]
        jobs = {each.value: status.count(each) for each in Status}
        yield _labelled("meshd_jobs", "Jobs accepted here, by status.", "status", jobs)
        yield _gauge("meshd_slots", "Shards run at once.", self._daemon.config.slots)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value)


def _labelled(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for value, amount in sorted(values.items()):
        family.add_metric((value,), amount)
    return family
