"""Membership: who is suspect and who is gone, by what neighbours hear where the plan says so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from meshd.membership.doubts import DOUBTS_TTL_NS, Against, statement
from meshd.router.routes import Router
from meshd.seam import (
    Barred,
    Effect,
    Event,
    Judged,
    Learnt,
    LinkLost,
    LinkReady,
    Note,
    PlanLoaded,
    Publish,
    RosterLoaded,
    Started,
    Woke,
)
from protocols.bounds import DOUBTS_MAX
from protocols.record import Doubts, LinkState, Presence
from protocols.tag import tag_of
from protocols.types import HOUR, MINUTE, SECOND, Duration, Instant, NodeId

PRESENCE_TTL_NS = 24 * HOUR

MISSED_NS = 2 * SECOND
"""A neighbour whose link has ended is doubted if it is not back so soon: a restart, or a frame that
was spoilt, is no death. Where the link was silent so long already, at once."""

SPARED_NS = 10 * SECOND
"""Who has refuted a doubt is not doubted by the same node for so long, then twice as long each time
(up to `SPARED_MAX_NS`), unless another doubts it: a link may be broken while both its ends live."""

SPARED_MAX_NS = 10 * MINUTE
REFUTED_NS = SECOND // 2
"""A node speaks up for itself at most so often."""

WAIT_NS = SECOND
"""A way with longer waits than this is none now."""

LOOK_NS = SECOND
"""Suspects are looked at so often: a contact that was a way to them may end."""

_SUPERSEDED_MAX = 64

Verdict: TypeAlias = Literal["suspect", "gone"]


@dataclass(slots=True)
class Missed:
    """A neighbour that is not there though it should be."""

    doubted_at: Instant
    spared_ns: Duration = SPARED_NS


class Membership:
    """Doubts neighbours that are silent over a contact, and judges all whom anybody doubts.

    **Suspect** is who is doubted at its present epoch by a neighbour; **gone**, who is, while no
    way leads to it: so all who could hear it now do not. (Silence between contacts is none: then
    nobody doubts.) Whoever is doubted and lives says its presence anew, which makes another epoch.
    A verdict of gone stands over gaps of the plan, until one who doubted hears it, or it speaks.
    """

    def __init__(self, me: NodeId, router: Router) -> None:
        self._me = me
        self._router = router
        self._epochs: dict[NodeId, Instant] = {}
        self._against = Against()
        self._mine: dict[int, Instant] = {}
        """Whom we doubt, as we have said."""
        self._missed: dict[NodeId, Missed] = {}
        self._verdicts: dict[NodeId, Verdict] = {}
        self._judges: dict[NodeId, frozenset[NodeId]] = {}
        """By whose doubts somebody is gone."""
        self._presence: Presence | None = None
        self._superseded: deque[Instant] = deque(maxlen=_SUPERSEDED_MAX)
        """Epochs of our own that are over."""
        self._refute_at: Instant | None = None
        self._look_at: Instant | None = None

    def verdict(self, node: NodeId) -> Verdict | None:
        """None for who is not doubted."""
        return self._verdicts.get(node)

    @property
    def gone(self) -> tuple[NodeId, ...]:
        """Whoever is gone."""
        return tuple(node for node, verdict in self._verdicts.items() if verdict == "gone")

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Learnt(author=author, body=Presence() as presence):
                return self._heard_from(author, presence, event.issued_at, now)
            case Learnt(author=author, body=Doubts() as doubts):
                return self._doubted(author, doubts, event.issued_at, now)
            case LinkReady(node=node):
                self._missed.pop(node, None)
                return [*self._speak(now), *self._judge(node, now)]
            case LinkLost():
                self._lost(event, now)
                return self._speak(now)
            case Barred(node=node):
                return self._forget(node)
            case Woke():
                return self._wake(now)
            case Learnt(body=LinkState()) | PlanLoaded() | RosterLoaded():
                return self._look(now)
            case _:
                assert isinstance(event, Started | Learnt)
                return []

    def next_deadline(self) -> Instant | None:
        times = [
            missed.doubted_at
            for node, missed in self._missed.items()
            if tag_of(node) not in self._mine and node in self._router.members
        ]
        times += [at for at in (self._refute_at, self._look_at) if at is not None]
        return min(times, default=None)

    def _wake(self, now: Instant) -> list[Effect]:
        effects = self._speak(now)
        if self._refute_at is not None and self._refute_at <= now:
            effects += self._refute(now)
        if self._look_at is not None and self._look_at <= now:
            effects += self._look(now)
        return effects

    def _forget(self, node: NodeId) -> list[Effect]:
        """Whoever is barred is no member: whether it is there does not matter."""
        self._missed.pop(node, None)
        self._epochs.pop(node, None)
        self._judges.pop(node, None)
        return [Judged(node, "alive")] if self._verdicts.pop(node, None) else []

    # --- our own doubts -------------------------------------------------------------------------

    def _lost(self, lost: LinkLost, now: Instant) -> None:
        """A link is gone. At its contact's end that says nothing, nor where it was our wish."""
        if lost.expected or lost.code == "disconnected" or len(self._missed) >= DOUBTS_MAX:
            return
        at = now if lost.code == "silent" else now + MISSED_NS
        self._missed.setdefault(lost.node, Missed(at))

    def _speak(self, now: Instant) -> list[Effect]:
        """Say whom we doubt, where that has changed."""
        mine = {
            tag_of(node): epoch
            for node, missed in self._missed.items()
            if (epoch := self._epoch(node)) is not None
            and (missed.doubted_at <= now or self._others(node, epoch, now))
        }
        if mine == self._mine:
            return []
        self._mine = mine
        return [Publish(statement(mine), DOUBTS_TTL_NS)]

    def _others(self, node: NodeId, epoch: Instant, now: Instant) -> bool:
        """Whether another neighbour of it does not hear it either."""
        return bool(self._against.of(tag_of(node), epoch, now) - {self._me})

    def _epoch(self, node: NodeId) -> Instant | None:
        """By which presence a node is known; None for who is not."""
        known = self._epochs.get(node)
        if known is not None or node not in self._router.members:
            return known
        return self._router.members[node].issued_at

    # --- what is said ---------------------------------------------------------------------------

    def _heard_from(
        self, node: NodeId, presence: Presence, issued_at: Instant, now: Instant
    ) -> list[Effect]:
        before, self._epochs[node] = self._epoch(node), issued_at
        if node == self._me:
            self._presence = presence
            if before is not None and before != issued_at:
                self._superseded.append(before)
            return []
        missed = self._missed.get(node)
        if missed is not None and tag_of(node) in self._mine and before != issued_at:
            missed.doubted_at = now + missed.spared_ns
            missed.spared_ns = min(SPARED_MAX_NS, 2 * missed.spared_ns)
        return [*self._speak(now), *self._judge(node, now)]

    def _doubted(
        self, author: NodeId, doubts: Doubts, issued_at: Instant, now: Instant
    ) -> list[Effect]:
        ours = statement(self._mine)
        if author == self._me and doubts != ours:  # our voice from a life before
            return [Publish(ours, DOUBTS_TTL_NS)]
        tags = self._against.take(author, doubts, issued_at)
        effects = self._speak(now)
        if tag_of(self._me) in tags:
            effects += self._refute(now)
        for node in self._router.tagged(tags):
            effects += self._judge(node, now) if node != self._me else []
        return effects

    def _refute(self, now: Instant) -> list[Effect]:
        """Whoever is doubted and can say so is there."""
        self._refute_at = None
        epochs = self._against.epochs(tag_of(self._me)).difference(self._superseded)
        if not epochs or self._presence is None:
            return []
        soonest = self._epochs[self._me] + REFUTED_NS
        if now < soonest:
            self._refute_at = soonest
            return []
        self._superseded += sorted(epochs)
        return [Publish(self._presence, PRESENCE_TTL_NS, anew=True)]

    # --- judgement ------------------------------------------------------------------------------

    def _look(self, now: Instant) -> list[Effect]:
        """Judge all suspects again."""
        self._look_at = None
        suspects = [node for node, verdict in self._verdicts.items() if verdict == "suspect"]
        effects = [effect for node in suspects for effect in self._judge(node, now)]
        if "suspect" in self._verdicts.values():
            self._look_at = now + LOOK_NS
        return effects

    def _judge(self, node: NodeId, now: Instant) -> list[Effect]:
        before, verdict = self._verdicts.get(node), self._weighed(node, now)
        if verdict == before:
            return []
        if verdict is None:
            del self._verdicts[node]
        else:
            self._verdicts[node] = verdict
        if "suspect" not in self._verdicts.values():
            self._look_at = None
        elif self._look_at is None:
            self._look_at = now + LOOK_NS
        return [Judged(node, verdict or "alive"), Note(_TOLD[verdict], {"node": node})]

    def _weighed(self, node: NodeId, now: Instant) -> Verdict | None:
        doubting = self._against.of(tag_of(node), self._epoch(node), now)
        judges = self._judges.pop(node, frozenset())
        if not doubting:
            return None
        if judges and judges <= doubting:
            self._judges[node] = doubting
            return "gone"
        # One of them hears it again: it is suspect until it is looked for anew.
        if judges or self._router.reaches(node, now, WAIT_NS):
            return "suspect"
        self._judges[node] = doubting
        return "gone"


_TOLD: dict[Verdict | None, str] = {
    "suspect": "node-suspected",
    "gone": "node-gone",
    None: "node-cleared",
}
