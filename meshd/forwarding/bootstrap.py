"""Bootstrap: the way into a mesh for a node without a link: addresses named, and old ones."""

from __future__ import annotations

import msgspec

from meshd.forwarding.neighbours import Neighbours
from meshd.seam import (
    BootstrapWanted,
    Effect,
    Event,
    LinkLost,
    LinkReady,
    Note,
    Persist,
    StandingWanted,
    Started,
    Woke,
)
from protocols.errors import ProtocolError
from protocols.record import Presence, Record, read
from protocols.types import SECOND, Duration, Instant, NodeId

BOOTSTRAP_ROW = "bootstrap/"
KEPT_ROW = "kept/"
BOOTSTRAP_MAX = 64
DIALLED_AT_ONCE = 3

LONELY_NS = 2 * SECOND
"""Without a link for so long, a node dials those that were named to it."""

FORSAKEN_NS = 60 * SECOND
"""And for so long, those it knew in a life before, in case its plan brings nobody."""

TURN_NS = 20 * SECOND
"""So long each few of them have to answer."""

SETTLED_NS = 10 * SECOND
"""Planned links that have stood for so long replace those that led into the mesh."""


class Bootstrap:
    """Wants standing links while there are none, and lets go of them when the plan's are up."""

    def __init__(self, neighbours: Neighbours, named: tuple[tuple[NodeId, str], ...] = ()) -> None:
        self._neighbours = neighbours
        self._named = dict(named)
        """By a person, for this life or for all."""
        self._known: dict[NodeId, str] = {}
        """Who was a neighbour in a life before."""
        self._joining: dict[NodeId, None] = {}
        """Whom we have asked for."""
        self._planned: dict[NodeId, None] = {}
        self._standing: dict[NodeId, None] = {}
        """Ready links."""
        self._alone_since: Instant | None = None
        self._settled_at: Instant | None = None
        self._turn = 0
        self._turn_at: Instant | None = None

    def view(self) -> tuple[tuple[NodeId, str], ...]:
        """Those named, by node."""
        return tuple(sorted(self._named.items()))

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started(rows=rows):
                self._restore(rows)
                self._alone(now)
                return []
            case BootstrapWanted():
                return self._name(event, now)
            case LinkReady(node=node, planned=planned):
                (self._planned if planned else self._standing)[node] = None
                self._alone_since = self._turn_at = None
                if self._planned and self._joining and self._settled_at is None:
                    self._settled_at = now + SETTLED_NS
                return []
            case LinkLost(node=node):
                self._planned.pop(node, None)
                self._standing.pop(node, None)
                if not self._planned:
                    self._settled_at = None
                if not (self._planned or self._standing) and self._alone_since is None:
                    self._alone(now)
                return []
            case _:
                assert isinstance(event, Woke)
                return self._wake(now)

    def next_deadline(self) -> Instant | None:
        return min((at for at in (self._settled_at, self._turn_at) if at is not None), default=None)

    def _restore(self, rows: tuple[tuple[str, bytes], ...]) -> None:
        for key, value in rows:
            if key.startswith(BOOTSTRAP_ROW):
                self._named[NodeId(key[len(BOOTSTRAP_ROW) :])] = value.decode()
            elif key.startswith(KEPT_ROW):
                self._meet(value)

    def _meet(self, row: bytes) -> None:
        """An address that was signed once, however long ago: who is there must still prove it."""
        try:
            said = read(msgspec.msgpack.decode(row, type=Record))
        except (ProtocolError, msgspec.DecodeError):
            return
        if isinstance(said.body, Presence) and said.body.addresses:
            self._known[NodeId(said.author)] = said.body.addresses[0]

    def _name(self, event: BootstrapWanted, now: Instant) -> list[Effect]:
        key = BOOTSTRAP_ROW + event.node
        if not event.wanted:
            self._named.pop(event.node, None)
            return [Persist(key, None), *self._let_go([event.node])]
        if len(self._named) >= BOOTSTRAP_MAX and event.node not in self._named:
            return [Note("bootstrap-full", {"node": event.node, "max": BOOTSTRAP_MAX})]
        self._named[event.node] = event.address
        if self._alone_since is not None:
            self._turn_at = now
        return [Persist(key, event.address.encode())]

    # --- alone ----------------------------------------------------------------------------------

    def _alone(self, now: Instant) -> None:
        self._alone_since = now
        if self._named or self._known:
            self._turn_at = now + (LONELY_NS if self._named else FORSAKEN_NS)

    def _wake(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        if self._settled_at is not None and self._settled_at <= now:
            self._settled_at = None
            effects += self._let_go(list(self._joining))
        if self._turn_at is not None and self._turn_at <= now and self._alone_since is not None:
            effects += self._dial(now - self._alone_since)
            self._turn_at = now + TURN_NS
        return effects

    def _dial(self, alone_ns: Duration) -> list[Effect]:
        """The next few: those named, and when none of them helped, those known."""
        places = dict(self._named)
        if alone_ns >= FORSAKEN_NS:
            places = {**self._known, **places}
        nodes = sorted(places, key=lambda node: (node not in self._named, node))
        first = self._turn % max(1, len(nodes))
        chosen = (nodes[first:] + nodes[:first])[:DIALLED_AT_ONCE]
        self._turn += DIALLED_AT_ONCE
        effects = self._let_go([node for node in self._joining if node not in chosen])
        for node in chosen:
            if self._neighbours.wants(node):
                continue
            self._joining[node] = None
            effects.append(StandingWanted(node, places[node], keep=False))
        return effects

    def _let_go(self, nodes: list[NodeId]) -> list[Effect]:
        effects: list[Effect] = []
        for node in nodes:
            if node in self._joining:
                del self._joining[node]
                effects.append(StandingWanted(node, "", wanted=False, keep=False))
        return effects
