"""Neighbours: links follow the plan, and everyone on a link says who they are first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

import protocols
from meshd.forwarding.greeting import check_hello, full_queue_ns
from meshd.forwarding.pulse import Greeted, Pulse
from meshd.router.routes import Router
from meshd.seam import (
    Barred,
    CloseLink,
    Effect,
    Event,
    FrameReceived,
    Learnt,
    LinkDown,
    LinkFailed,
    LinkLost,
    LinkReady,
    LinkUp,
    MessageReceived,
    Note,
    OpenLink,
    Persist,
    PlanLoaded,
    RosterLoaded,
    SendFrame,
    StandingWanted,
    Started,
    Woke,
)
from meshd.trust.trust import Trust
from protocols import LinkMessage
from protocols.errors import ProtocolError
from protocols.forward import Packet
from protocols.link import VERSION, Beat, Hello
from protocols.priority import Priority
from protocols.record import Presence
from protocols.types import MILLISECOND, SECOND, Duration, Instant, LinkId, NodeId

GREETING_NS = 10 * SECOND
"""A link that has not greeted by then is closed."""

OPENING_NS = 15 * SECOND
"""A dial not answered by then counts as failed."""

UNDIALLED_NS = 8 * SECOND
"""A planned link that its dialler has not brought up by then counts as down."""

EDGE_NS = 2 * SECOND
"""Two ends may disagree by this much on the edge of a contact before it is a surprise."""

RETRY_FIRST_NS = 500 * MILLISECOND
RETRY_MAX_NS = 8 * SECOND
STANDING_MAX = 64

STANDING_ROW = "standing/"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One link. It is ready once the other end has answered our hello."""

    link: LinkId
    node: NodeId
    dialled: bool
    opened_at: Instant
    standing: bool = False
    ready: bool = False
    delay_ns: Duration = 0


@dataclass(frozen=True, slots=True)
class Retry:
    at: Instant
    wait_ns: Duration


class Neighbours:
    """Opens and closes links as the plan says; lets nobody talk who has not greeted.

    A link that has been silent for two beats is closed; with `beat_ns` = 0 none is listened to.
    """

    def __init__(
        self, me: NodeId, name: str, router: Router, trust: Trust, beat_ns: Duration = 0
    ) -> None:
        self._me = me
        self._name = name
        self._router = router
        self._trust = trust
        self._pulse = Pulse(beat_ns)
        self._sky = ("", "")
        self._links: dict[LinkId, Neighbour] = {}
        self._ready: dict[NodeId, LinkId] = {}
        self._opening: dict[NodeId, Instant] = {}
        self._retry: dict[NodeId, Retry] = {}
        self._missing: dict[NodeId, Instant] = {}
        self._wanted: dict[NodeId, str] = {}
        self._due: dict[NodeId, tuple[str, ...]] = {}
        """Every node there should be a link to, with the addresses to dial."""
        self._open: frozenset[int] = frozenset()
        """The sites that our contacts lead to now."""
        self._next_change: Instant | None = None
        self._moved = True
        self._deadline: Instant | None = None

    # --- what others ask ------------------------------------------------------------------------

    def link_to(self, node: NodeId) -> LinkId | None:
        return self._ready.get(node)

    def frame(self, node: NodeId, message: LinkMessage) -> list[Effect]:
        """The effect that sends a message to a ready neighbour; nothing when it is not there."""
        link = self._ready.get(node)
        if link is None:
            return []
        priority = message.priority if isinstance(message, Packet) else Priority.CONTROL
        return [SendFrame(link, protocols.LINK.encode(message), priority)]

    def wants(self, node: NodeId) -> bool:
        """Whether a standing link to it is wanted."""
        return node in self._wanted

    def view(self) -> tuple[Neighbour, ...]:
        return tuple(self._links[link] for link in sorted(self._links))

    def measured_ns(self, link: LinkId) -> Duration | None:
        """One way, as answers to our beats told lately; None before the first."""
        return self._pulse.delay_ns(link)

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        if isinstance(event, FrameReceived):
            return self._frame(event.link, event.frame, now)
        if isinstance(event, Learnt) and not self._concerns(event):
            return []
        if isinstance(event, Woke):
            return self._wake(now)
        self._moved = True
        match event:
            case LinkUp():
                return self._up(event, now)
            case LinkDown(link=link, code=code):
                return self._down(link, code, now) + self._review(now)
            case LinkFailed(node=node, code=code):
                return self._failed(node, code, event.message, now)
            case StandingWanted():
                return self._want(event, now)
            case Barred(node=node, code=code):
                return self._part(node, code, now) + self._review(now)
            case PlanLoaded(plan=plan):
                self._sky = (plan.sky_digest, plan.policy_code)
            case Started(rows=rows):
                self._restore(rows)
            case _:
                assert isinstance(event, Learnt | RosterLoaded)
        return self._review(now)

    def _restore(self, rows: tuple[tuple[str, bytes], ...]) -> None:
        for key, value in rows:
            if key.startswith(STANDING_ROW):
                self._wanted[NodeId(key[len(STANDING_ROW) :])] = value.decode()

    def _concerns(self, learnt: Learnt) -> bool:
        """Whether it is the presence of somebody we have a link to, or should have now."""
        node = learnt.author
        if not isinstance(learnt.body, Presence):
            return False
        linked = node in self._ready or node in self._due or node == self._me
        return linked or self._router.site(node) in self._open

    def next_deadline(self) -> Instant | None:
        """Worked out anew only after what can move it: most frames are for others."""
        if self._moved:
            self._deadline = self._earliest()
            self._moved = False
        at, beat = self._deadline, self._pulse.next_deadline()
        return beat if at is None else at if beat is None else min(at, beat)

    def _earliest(self) -> Instant | None:
        times = [n.opened_at + GREETING_NS for n in self._links.values() if not n.ready]
        busy = {neighbour.node for neighbour in self._links.values()} | self._opening.keys()
        times += self._opening.values()
        times += [r.at for node, r in self._retry.items() if node not in busy and self._dials(node)]
        times += self._missing.values()
        if self._next_change is not None:
            times.append(self._next_change)
        return min(times, default=None)

    def _up(self, event: LinkUp, now: Instant) -> list[Effect]:
        node, link = event.node, event.link
        self._opening.pop(node, None)
        standing = node in self._wanted
        self._links[link] = Neighbour(link, node, event.dialled, now, standing)
        return [SendFrame(link, self._hello(standing, now, 0))]

    def _hello(self, standing: bool, now: Instant, answers: Instant) -> bytes:
        sky, policy = self._sky
        shown = self._trust.policy.certificate
        return protocols.LINK.encode(
            Hello(VERSION, self._me, self._name, sky, policy, standing, now, answers, shown)
        )

    def _frame(self, link: LinkId, frame: bytes, now: Instant) -> list[Effect]:
        neighbour = self._links.get(link)
        if neighbour is None:
            return []  # a late frame of a link already closed
        try:
            message = protocols.LINK.decode(frame)
            self._pulse.heard(link, now)
            if isinstance(message, Hello):
                self._moved = True
                return self._greet(neighbour, message, now)
            if not neighbour.ready:
                raise ProtocolError("no-hello", "a message came before its sender's hello")
        except ProtocolError as error:
            self._moved = True
            note = Note(error.code, {"node": neighbour.node, "message": error.message})
            return [note, CloseLink(link, error.code), *self._down(link, error.code, now)]
        if isinstance(message, Beat):
            return self._beat(link, message, now)
        return [MessageReceived(link, neighbour.node, message)]

    def _beat(self, link: LinkId, beat: Beat, now: Instant) -> list[Effect]:
        if beat.answers:
            self._pulse.answered(link, beat.answers, now)
            return []
        return [SendFrame(link, protocols.LINK.encode(Beat(now, beat.sent_at)))]

    def _wake(self, now: Instant) -> list[Effect]:
        ask, silent = self._pulse.due(now)
        beat = protocols.LINK.encode(Beat(now))
        effects: list[Effect] = [SendFrame(link, beat) for link in ask]
        for link in silent:
            effects += [CloseLink(link, "silent"), *self._down(link, "silent", now)]
        if silent or self._moved or (self._deadline is not None and self._deadline <= now):
            self._moved = True
            effects += self._review(now)
        return effects

    def _greet(self, neighbour: Neighbour, hello: Hello, now: Instant) -> list[Effect]:
        check_hello(hello, neighbour.node)
        self._trust.check_neighbour(hello.node, hello.certificate, now)
        if hello.answers == 0:
            standing = neighbour.standing or hello.standing
            self._links[neighbour.link] = replace(neighbour, standing=standing)
            return [SendFrame(neighbour.link, self._hello(standing, now, hello.sent_at))]
        if neighbour.ready:
            return []
        notes: list[Effect] = []
        strange = "" not in (hello.sky, self._sky[0]) and (hello.sky, hello.policy) != self._sky
        if strange:
            notes.append(Note("sky-mismatch", {"node": hello.node, "sky": hello.sky[:16]}))
        delay = max(0, now - hello.answers) // 2
        standing = neighbour.standing or hello.standing or strange
        ready = replace(neighbour, ready=True, delay_ns=delay, standing=standing)
        self._links[ready.link] = ready
        queue_ns = full_queue_ns(self._router.contact(ready.node, now))
        self._pulse.begin(ready.link, now, Greeted(ready.dialled, delay, queue_ns))
        self._retry.pop(ready.node, None)
        self._missing.pop(ready.node, None)
        if ready.node in self._ready:
            return notes
        self._ready[ready.node] = ready.link
        return [*notes, LinkReady(ready.link, ready.node, not standing, delay)]

    def _down(self, link: LinkId, code: str, now: Instant) -> list[Effect]:
        gone = self._links.pop(link, None)
        if gone is None:
            return []
        self._pulse.end(link)
        if gone.dialled or gone.node in self._wanted:
            self._back_off(gone.node, now)
        if self._ready.get(gone.node) != link:
            return []
        del self._ready[gone.node]
        spare = next((n for n in self.view() if n.node == gone.node and n.ready), None)
        if spare is not None:
            self._ready[gone.node] = spare.link
            return [LinkReady(spare.link, spare.node, not spare.standing, spare.delay_ns)]
        end = self._router.contact_end(gone.node, now)
        expected = gone.standing is False and (end is None or end - now <= EDGE_NS)
        return [LinkLost(link, gone.node, expected, code)]

    def _failed(self, node: NodeId, code: str, message: str, now: Instant) -> list[Effect]:
        self._opening.pop(node, None)
        self._back_off(node, now)
        note = Note("link-failed", {"node": node, "code": code, "message": message})
        if node in self._ready:
            return [note]  # it has dialled us meanwhile
        return [note, LinkLost(None, node, False, code)]

    def _back_off(self, node: NodeId, now: Instant) -> None:
        last = self._retry.get(node)
        wait = min(RETRY_MAX_NS, last.wait_ns * 2) if last else RETRY_FIRST_NS
        self._retry[node] = Retry(now + wait, wait)

    def _want(self, event: StandingWanted, now: Instant) -> list[Effect]:
        key = STANDING_ROW + event.node
        self._retry.pop(event.node, None)
        if event.wanted:
            if len(self._wanted) >= STANDING_MAX and event.node not in self._wanted:
                return [Note("standing-full", {"node": event.node, "max": STANDING_MAX})]
            self._wanted[event.node] = event.address
            kept = [Persist(key, event.address.encode())] if event.keep else []
            return [*kept, *self._review(now)]
        self._wanted.pop(event.node, None)
        effects: list[Effect] = [Persist(key, None)] if event.keep else []
        effects += self._part(event.node, "disconnected", now, planned=False)
        self._retry.pop(event.node, None)
        return [*effects, *self._review(now)]  # inside a contact the plan dials anew

    def _part(self, node: NodeId, code: str, now: Instant, *, planned: bool = True) -> list[Effect]:
        """Close the links to a node; unless `planned`, those that stand outside the plan."""
        effects: list[Effect] = []
        for neighbour in self.view():
            if neighbour.node == node and (planned or neighbour.standing):
                effects.append(CloseLink(neighbour.link, code))
                effects += self._down(neighbour.link, code, now)
        return effects

    # --- the plan -------------------------------------------------------------------------------

    def _review(self, now: Instant) -> list[Effect]:
        """Compare the links there are with those there should be, and mend the difference."""
        effects = self._close_late(now)
        due = self._due = self._links_due(now)
        linked = {neighbour.node for neighbour in self._links.values()}
        for node in [n for n in self._retry if n not in due]:
            del self._retry[node]
        for node in [n for n in self._missing if n not in due or n in linked]:
            del self._missing[node]
        for node, addresses in due.items():
            if node in linked or node in self._opening:
                continue
            if not self._dials(node):
                effects += self._await_dialler(node, now)
            elif node not in self._retry or self._retry[node].at <= now:
                self._opening[node] = now + OPENING_NS
                effects.append(OpenLink(node, addresses))
        return effects

    def _close_late(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        for node in [n for n, until in self._opening.items() if until <= now]:
            effects += self._failed(node, "dial-timeout", "no answer to our dial", now)
        for neighbour in self.view():
            code = ""
            if not neighbour.ready and neighbour.opened_at + GREETING_NS <= now:
                code = "no-hello"
            elif neighbour.ready and not neighbour.standing:
                early = neighbour.opened_at + EDGE_NS > now
                until = now + EDGE_NS if early else now
                planned = self._planned(neighbour.node, now) or self._planned(neighbour.node, until)
                code = "" if planned else "contact-ended"
            if code:
                effects.append(CloseLink(neighbour.link, code))
                effects += self._down(neighbour.link, code, now)
        return effects

    def _await_dialler(self, node: NodeId, now: Instant) -> list[Effect]:
        """The lower NodeId dials: the higher one waits, but not for ever."""
        until = self._missing.setdefault(node, now + UNDIALLED_NS)
        if until > now or node in self._router.down:
            if until <= now:
                self._missing[node] = now + UNDIALLED_NS
            return []
        self._missing[node] = now + UNDIALLED_NS
        return [LinkLost(None, node, False, "not-dialled")]

    def _links_due(self, now: Instant) -> dict[NodeId, tuple[str, ...]]:
        due: dict[NodeId, tuple[str, ...]] = {}
        plan, site = self._router.plan, self._router.site(self._me)
        self._next_change, self._open = None, frozenset()
        if plan is not None and site is not None:
            self._next_change = plan.next_change(site, now)
            past = takewhile(lambda contact: contact.begin <= now, plan.contacts_of(site))
            peers = [contact.peer for contact in past if now < contact.finish]
            self._open = frozenset(peers)
            for node in map(self._router.node_at, peers):
                if node is not None:
                    due[node] = self._router.members[node].presence.addresses
        for node, address in self._wanted.items():
            if self._trust.bars(node):
                continue
            due[node] = (address, *(a for a in due.get(node, ()) if a != address))
        return due

    def _dials(self, node: NodeId) -> bool:
        """The lower NodeId opens a planned link; who wants a standing one opens that."""
        return node in self._wanted or self._me < node

    def _planned(self, node: NodeId, now: Instant) -> bool:
        return self._router.contact_end(node, now) is not None
