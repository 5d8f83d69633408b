"""Loads: what every node says it can take on, and what this node has sent there since."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshd.router.roster import NOBODY, Roster
from meshd.router.routes import Router
from meshd.scheduler.placement import Candidate
from protocols.record import Beacon
from protocols.types import SECOND, Duration, Instant, NodeId

QUEUE_MAX = 64
"""Shards a node takes on beyond its slots."""

BEACON_AGE_MAX_NS = 25 * SECOND
"""Two beacons missed and a half: such a node gets no new work; or, where its presence or a roster
foretells its load, it is taken to be as foretold."""

DISTRUST_NS = 60 * SECOND
"""A node whose load is foretold may have no reason to beacon: in the end it is tried again."""


@dataclass(slots=True)
class Load:
    beacon: Beacon
    issued_at: Instant
    sent_ns: list[tuple[Instant, Duration]] = field(default_factory=list)
    """(when, estimate) of what this node sent there after the beacon was issued."""


class Loads:
    """The newest beacon of every node, or else what its presence or the roster foretells of it."""

    def __init__(self, me: NodeId, router: Router, own_kinds: tuple[str, ...] = ()) -> None:
        self._own_kinds = own_kinds
        """What this node runs for itself, even where it takes no work from others."""
        self._me = me
        self._router = router
        self._roster = NOBODY
        self._foretold: dict[NodeId, tuple[Beacon, Instant]] = {}
        self._loads: dict[NodeId, Load] = {}
        self._distrusted: dict[NodeId, Instant] = {}

    def load(self, roster: Roster) -> None:
        self._roster = roster
        self._foretold |= roster.beacons

    def foretell(self, author: NodeId, idle: Beacon | None, issued_at: Instant) -> None:
        """A presence says what its author's load is while it sends no beacon."""
        if idle is not None:
            self._foretold[author] = (idle, issued_at)
        elif author not in self._roster.beacons:
            self._foretold.pop(author, None)

    def foretold(self, node: NodeId) -> Beacon | None:
        said = self._foretold.get(node)
        return said[0] if said else None

    def learn(self, author: NodeId, beacon: Beacon, issued_at: Instant) -> None:
        known = self._loads.get(author)
        since = [entry for entry in known.sent_ns if entry[0] > issued_at] if known else []
        self._loads[author] = Load(beacon, issued_at, since)
        if self._distrusted.get(author, issued_at) < issued_at:
            del self._distrusted[author]

    def bar(self, node: NodeId) -> None:
        """Give this node nothing: what it said of its load is void."""
        self._loads.pop(node, None)
        self._foretold.pop(node, None)

    def sent(self, node: NodeId, estimate_ns: Duration, now: Instant) -> None:
        """Remember work sent, until a beacon of that node has had time to count it."""
        if node not in self._loads and node in self._foretold:
            self._loads[node] = Load(*self._foretold[node])
        if node in self._loads:
            self._loads[node].sent_ns.append((now, estimate_ns))

    def distrust(self, node: NodeId, now: Instant) -> None:
        """Give this node nothing until it beacons again: it did not answer."""
        self._distrusted[node] = now

    def view(self, now: Instant) -> dict[NodeId, tuple[Beacon, Instant]]:
        """Beacons young enough to place work by, or foretold, with their instants of issue."""
        foretold = self._foretold
        young = {
            node: (load.beacon, load.issued_at)
            for node, load in self._loads.items()
            if now - load.issued_at <= BEACON_AGE_MAX_NS
        }
        return {node: young.get(node) or foretold[node] for node in sorted({**foretold, **young})}

    def candidates(self, kind: str, sink: NodeId, now: Instant) -> list[Candidate]:
        """Every node that offers this kind of work and that routes reach, in order of NodeId.

        The way back is taken as the way from the sink now: light takes either way equally long.
        """
        to = self._router.delays_from(self._me, now)
        back = self._router.delays_from(sink, now)
        found: list[Candidate] = []
        for node, (beacon, _) in self.view(now).items():
            kinds = self._own_kinds if node == self._me else beacon.kinds
            if kind not in kinds or beacon.slots == 0 or self._distrusts(node, now):
                continue
            if node not in to or node not in back or self._router.doubts(node):
                continue
            sent = self._sent_since(node, now)
            wait = beacon.wait_ns + sum(sent) // beacon.slots
            speed = max(beacon.speed, 1e-3)
            busy = beacon.running + beacon.queued + len(sent)
            room = beacon.slots + QUEUE_MAX - busy
            found.append(Candidate(node, beacon.slots, wait, speed, to[node], back[node], room))
        return found

    def _distrusts(self, node: NodeId, now: Instant) -> bool:
        since = self._distrusted.get(node)
        if since is None:
            return False
        return node not in self._foretold or now - since < DISTRUST_NS

    def _sent_since(self, node: NodeId, now: Instant) -> list[Duration]:
        """What was sent there and not counted by a beacon; who is foretold may never send one."""
        load = self._loads.get(node)
        if load is None:
            return []
        lasts = BEACON_AGE_MAX_NS if node in self._foretold else now
        return [estimate for at, estimate in load.sent_ns if now - at <= lasts]
