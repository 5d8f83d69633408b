"""Level: find with a neighbour, from sums over ranges of tags, what the two do not both hold."""

from __future__ import annotations

from collections.abc import Sequence

import protocols
from meshd.gossip.peer import Peer
from meshd.gossip.table import Table
from meshd.gossip.wants import ASK_NS, Wants
from meshd.seam import Effect, SendFrame
from protocols import LinkMessage
from protocols.bounds import DIGEST_ENTRIES_MAX, DIGEST_SPANS_MAX
from protocols.gossip import Digest, Held, Listing, Span
from protocols.tag import TAG_BITS
from protocols.types import Instant, NodeId

LISTED_MAX = 64
"""Where digests differ over so few, what is held is listed; over more, it is summed in parts."""

SPLIT_BITS = 4
SPLIT = 1 << SPLIT_BITS
ALL = ((0, 0),)
"""As spans: everything."""


class Level:
    """Who lacks much takes it from one neighbour at a time: the next then differs by little."""

    def __init__(self, me: NodeId, table: Table, wants: Wants) -> None:
        self._me = me
        self._table = table
        self._wants = wants
        self._taking: tuple[NodeId, Instant] | None = None
        """From whom we expect to hear what we lack, and until when that is worth waiting for."""
        self._waiting: dict[NodeId, Peer] = {}
        """Neighbours to be compared with afterwards."""

    def open(self, node: NodeId, peer: Peer) -> list[Effect]:
        """A link is ready: say what we hold, as the other end does."""
        if self._taking is not None:
            self._waiting[node] = peer
            return []
        peer.opened = True
        return self.digest(peer)

    def part(self, node: NodeId) -> None:
        self._waiting.pop(node, None)
        if self._taking is not None and self._taking[0] == node:
            self._taking = None

    def next_deadline(self) -> Instant | None:
        return self._taking[1] if self._taking else None

    def go_on(self, now: Instant) -> list[Effect]:
        """Once what we lacked has come, or does not come, compare with those who wait."""
        if self._taking is not None and self._taking[1] <= now:
            node, _ = self._taking
            self._taking = (node, now + ASK_NS) if self._wants else None
        if self._taking is not None:
            return []
        waiting, self._waiting = self._waiting, {}
        return [effect for node in sorted(waiting) for effect in self.digest(waiting[node])]

    def digest(self, peer: Peer, spans: Sequence[tuple[int, int]] = ALL) -> list[Effect]:
        """Sums over spans (first tag, bits); over everything unless told."""
        ours = self._table.roster.digest
        roster = ours if peer.roster in (None, ours) else ""
        index = self._table.index(whole=not roster)
        sums = tuple(index.span(low, bits) for low, bits in spans)
        cuts = range(0, len(sums), DIGEST_SPANS_MAX)
        return [_frame(peer, Digest(sums[i : i + DIGEST_SPANS_MAX], roster)) for i in cuts]

    def answer(self, node: NodeId, peer: Peer, digest: Digest, now: Instant) -> list[Effect]:
        """Where its sums differ from ours, list what we hold, or sum smaller parts."""
        opened, peer.opened, peer.roster = peer.opened, False, digest.roster
        if digest.roster not in ("", self._table.roster.digest):
            return self.digest(peer)  # ours, of all that is held, can be compared
        if peer.busy and not opened:
            return []  # of course we differ: there are news for it
        index = self._table.index(whole=not digest.roster)
        pairs = [(index.span(theirs.low, theirs.bits), theirs) for theirs in digest.spans]
        effects: list[Effect] = []
        parts: list[tuple[int, int]] = []
        for ours, theirs in pairs:
            if ours == theirs or (opened and self._holds_more(ours, theirs, node)):
                continue
            if ours.count <= theirs.count and not self._may_take(node, peer, now):
                return []
            few = max(ours.count, theirs.count) <= LISTED_MAX or ours.count == 0
            if few or theirs.bits + SPLIT_BITS > TAG_BITS:
                effects += self._list(peer, ours, digest.roster)
            else:
                bits = theirs.bits + SPLIT_BITS
                parts += [(theirs.low | part << TAG_BITS - bits, bits) for part in range(SPLIT)]
        return [*effects, *self.digest(peer, parts)]

    def lacking(self, listing: Listing) -> list[int]:
        """What we hold and a neighbour does not, or not as new, in the range of its listing."""
        if listing.roster not in ("", self._table.roster.digest):
            return []
        theirs = {item.tag: item.sequence for item in listing.held}
        tags = self._table.index(whole=not listing.roster).between(listing.low, listing.high)
        return [tag for tag in tags if theirs.get(tag, 0) < self._table.sequence(tag)]

    def _holds_more(self, ours: Span, theirs: Span, node: NodeId) -> bool:
        """Both have sent a digest of all: then the one that holds less answers."""
        return theirs.bits == 0 and (theirs.count, node) < (ours.count, self._me)

    def _may_take(self, node: NodeId, peer: Peer, now: Instant) -> bool:
        """Whether to take what we lack from this neighbour now; if not, later."""
        if self._taking is not None and self._taking[0] != node:
            self._waiting[node] = peer
            return False
        self._taking = (node, now + ASK_NS + 2 * peer.delay_ns)
        return True

    def _list(self, peer: Peer, span: Span, roster: str) -> list[Effect]:
        """What we hold in a span, cut into listings that each fit a frame."""
        tags = self._table.index(whole=not roster).between(span.low, span.high)
        held = [Held(tag, self._table.sequence(tag)) for tag in tags]
        cuts = [held[i : i + DIGEST_ENTRIES_MAX] for i in range(0, len(held), DIGEST_ENTRIES_MAX)]
        effects: list[Effect] = []
        low = span.low
        for number, cut in enumerate(cuts or [[]], start=1):
            high = cut[-1].tag if number < len(cuts) else span.high
            effects.append(_frame(peer, Listing(low, high, tuple(cut), roster)))
            low = high + 1
        return effects


def _frame(peer: Peer, message: LinkMessage) -> Effect:
    return SendFrame(peer.link, protocols.LINK.encode(message))
