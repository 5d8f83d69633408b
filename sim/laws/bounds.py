"""Bounds: every queue, table and account of a node stays within its bound."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from meshd.blobs import serve
from meshd.blobs.blobs import FETCHES_MAX, KEPT_MAX
from meshd.blobs.fetch import WINDOW_FIRST, WINDOW_MAX, Fetch
from meshd.forwarding.custody import FLIGHT_BYTES_MAX, HELD_BYTES_MAX, HELD_MAX, TIMERS_MAX
from meshd.forwarding.forwarder import SEEN_MAX
from meshd.gossip.gossip import TABLE_MAX
from meshd.gossip.peer import Peer
from meshd.gossip.unproven import REFUSED_MAX, WAITING_MAX
from meshd.gossip.wants import WANTED_MAX
from meshd.letters import mailbox, outgoing
from meshd.node import Node
from meshd.scheduler import book, holder, ledger, sink
from meshd.seam import Effect, Event, FrameReceived
from protocols import LinkMessage
from protocols.bounds import CHUNK_BYTES_MAX, DOUBTS_MAX, PAYLOAD_BYTES_MAX
from protocols.types import MINUTE, Instant
from sim.host import Host
from sim.laws.law import Law, require


def _waits(peer: Peer) -> int:
    return len(peer.give) + len(peer.tell) + len(peer.later)


def _ahead(fetch: Fetch) -> int:
    """The window opens by one with each piece that comes."""
    return max(0, len(fetch.asked) - math.ceil(fetch.come / CHUNK_BYTES_MAX))


def _patience(fetch: Fetch) -> int:
    return max((piece.again_at - piece.asked_at for piece in fetch.asked.values()), default=0)


ACCOUNTS: dict[str, tuple[Callable[[Node], int], int]] = {
    "packets held": (lambda n: len(n.forwarder._hold.packets), HELD_MAX),
    "bytes held": (lambda n: n.forwarder._hold.bytes, HELD_BYTES_MAX),
    "packets remembered": (lambda n: len(n.forwarder._seen), SEEN_MAX),
    "timers": (lambda n: len(n.forwarder._hold.timers), TIMERS_MAX),
    "bytes in flight": (
        lambda n: max(n.forwarder._hold.flight.values(), default=0),
        FLIGHT_BYTES_MAX + PAYLOAD_BYTES_MAX,
    ),
    "records": (lambda n: len(n.gossip._table), TABLE_MAX),
    "what waits for a peer": (
        lambda n: max(map(_waits, n.gossip._peers.values()), default=0),
        3 * TABLE_MAX,
    ),
    "records in doubt": (lambda n: len(n.gossip._unproven), WAITING_MAX + REFUSED_MAX),
    "records wanted": (lambda n: len(n.gossip._wants), WANTED_MAX),
    "neighbours missed": (lambda n: len(n.membership._missed), DOUBTS_MAX),
    "letters posted": (lambda n: len(n.letters.outgoing._sending), outgoing.POSTED_MAX),
    "letters unread": (lambda n: n.letters.mailbox._count, mailbox.UNREAD_MAX),
    "bytes unread": (lambda n: n.letters.mailbox._bytes, mailbox.UNREAD_BYTES_MAX),
    "letters remembered": (lambda n: len(n.letters.mailbox._taken), mailbox.TAKEN_MAX),
    "streams": (lambda n: len(n.letters.mailbox._read), mailbox.STREAMS_MAX),
    "fetches": (lambda n: len(n.blobs._fetches), FETCHES_MAX),
    "pieces asked for": (
        lambda n: max((fetch.busy for fetch in n.blobs._fetches.values()), default=0),
        WINDOW_MAX,
    ),
    "pieces asked for beyond those that came": (
        lambda n: max(map(_ahead, n.blobs._fetches.values()), default=0),
        WINDOW_FIRST,
    ),
    "patience with a piece": (
        lambda n: max(map(_patience, n.blobs._fetches.values()), default=0),
        10 * MINUTE,
    ),
    "blobs kept": (lambda n: len(n.blobs._kept), KEPT_MAX),
    "pieces away": (lambda n: len(n.blobs._serving._away), serve.AWAY_MAX),
    "pieces to be sent": (
        lambda n: max(map(len, n.blobs._serving._queues.values()), default=0),
        serve.QUEUED_MAX,
    ),
    "jobs": (lambda n: len(n.scheduler.book._ledger.jobs), book.JOBS_MAX + ledger.ENDED_MAX),
    "shards held": (lambda n: len(n.scheduler.holder._held), holder.HELD_MAX),
    "results": (lambda n: len(n.scheduler.sink._rows), sink.RESULTS_MAX),
}
"""Name to (how it is measured, its bound). A feature adds the queues it brings."""

WHOLE_EVERY = 256
"""Events of one node between two full audits of what it keeps running sums of."""


class Bounds(Law):
    """Reads every account of the touched node; audits its sums now and then."""

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        node = host.node
        assert node is not None
        if not isinstance(event, FrameReceived) and len(effects) == 0:
            return
        for name, (measure, bound) in ACCOUNTS.items():
            amount = measure(node)
            if not 0 <= amount <= bound:
                require(False, "every account is within its bound", host.name, name, amount)
        host.handled += 1
        if host.handled % WHOLE_EVERY == 0:
            audit(host)


def audit(host: Host) -> None:
    """Running sums agree with what they are sums of."""
    assert host.node is not None
    hold = host.node.forwarder._hold
    size = sum(len(custody.packet.payload) for custody in hold.packets.values())
    require(size == hold.bytes, "bytes held are those of the packets", host.name)
    flight: Counter[tuple[str, int]] = Counter()
    for custody in hold.packets.values():
        if custody.sent_to is not None:
            packet = custody.packet
            flight[custody.sent_to, packet.priority] += len(packet.payload)
    require(
        +hold.flight == +flight,
        "bytes in flight are those sent and not accepted",
        host.name,
        flight,
    )
