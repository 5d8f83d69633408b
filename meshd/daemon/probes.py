"""Probes: links asked for by a person, and round trips measured beside their predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.adapters.address import validate_address
from meshd.daemon.names import Names
from meshd.driver import Happening
from meshd.ephemeris.timescale import format_time
from meshd.forwarding.echo import PING_PORT
from meshd.router.prediction import Prediction
from meshd.seam import Note, PayloadArrived, PayloadLost, PayloadOffered, StandingWanted
from meshd.trust.certificates import BARS
from protocols.errors import InputError, MeshError
from protocols.forward import PacketIds
from protocols.types import MILLISECOND, SECOND, Duration, Instant, NodeId, PacketId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon
    from meshd.driver import Watcher

Json: TypeAlias = dict[str, Any]
Trip: TypeAlias = tuple[Prediction, Prediction]

CONNECT_S = 10.0
INTRODUCTION_S = 1.0
"""How long after a link is up its node's name is waited for."""

DISCONNECT_S = 2.0
POLL_S = 0.02

ANSWER_S = 10.0
"""What the software of all hops may take beyond the predicted round trip, in real seconds."""

WAIT_MAX_S = 30.0
"""A ping that would wait longer than this for a contact is not sent."""

COUNT_MAX = 100
INTERVAL_MAX_S = 60.0

_FAILURES = ("link-failed", "standing-full", "version-mismatch", "id-mismatch", *BARS)


class Probes:
    """Asks the mesh through one daemon's node, and waits for what comes of it."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names
        self._me = daemon.identity.node_id
        self._ids = PacketIds(self._me, "c")

    # --- links ----------------------------------------------------------------------------------

    async def connect(self, address: str) -> Json:
        """A standing link to whoever is at an address; it is kept up until `disconnect`.

        Raises InputError for the address, else MeshError with why it failed; a failed one is not
        kept.
        """
        node, whole = validate_address(address)
        if node == self._me:
            raise InputError("own-address", f"{address} is this daemon itself")
        notes: list[Note] = []

        def concerned(happening: Happening) -> bool:
            return isinstance(happening, Note) and happening.fields.get("node") == node

        with self._daemon.driver.watch(concerned) as watcher, trio.move_on_after(CONNECT_S):
            self._daemon.driver.post(StandingWanted(node, whole))
            await self._linked(node, watcher, notes)
        failed = [note for note in notes if note.code in _FAILURES]
        if self._daemon.node.neighbours.link_to(node) is None:
            self._daemon.driver.post(StandingWanted(node, "", wanted=False))
            raise _connect_failure(whole, failed)
        await until(lambda: node in self._daemon.node.router.members, INTRODUCTION_S)
        strange = any(note.code == "sky-mismatch" for note in notes)
        return {
            "node": node,
            "name": self._names.name_of(node),
            "address": whole,
            "delay_ms": self._delay_ms(node),
            "warning": "its sky or link policy is not ours: only standing links join the two"
            if strange
            else None,
        }

    async def _linked(self, node: NodeId, watcher: Watcher, notes: list[Note]) -> None:
        """Until the link is ready, or has failed."""
        while self._daemon.node.neighbours.link_to(node) is None:
            with trio.move_on_after(POLL_S):
                note = await watcher.next()
                assert isinstance(note, Note)
                notes.append(note)
                if note.code in _FAILURES:
                    return

    def _delay_ms(self, node: NodeId) -> float | None:
        link = self._daemon.node.neighbours.link_to(node)
        found = (n.delay_ns for n in self._daemon.node.neighbours.view() if n.link == link)
        delay = next(found, None)
        return None if delay is None else round(delay / MILLISECOND, 6)

    async def disconnect(self, text: str) -> Json:
        """End a standing link, and the wish for it. A planned link stays while its contact does."""
        neighbours = self._daemon.node.neighbours
        linked = {neighbour.node for neighbour in neighbours.view()}
        node = self._names.find(text, linked)
        if node == self._me:
            raise InputError("own-node", f"{text!r} is this daemon itself")
        was_linked = node in linked
        self._daemon.driver.post(StandingWanted(node, "", wanted=False))
        planned = self._daemon.node.router.contact_end(node, self._daemon.shared.clock.now())
        if planned is None:
            await until(lambda: neighbours.link_to(node) is None, DISCONNECT_S)
        return {
            "node": node,
            "name": self._names.name_of(node),
            "was_linked": was_linked,
            "linked": neighbours.link_to(node) is not None,
            "planned_until": None if planned is None else format_time(planned),
        }

    # --- round trips ----------------------------------------------------------------------------

    async def ping(self, text: str, count: int, interval_s: float) -> Json:
        """Round trips to a node, one after another, each with a prediction of its own."""
        if not (1 <= count <= COUNT_MAX and 0 <= interval_s <= INTERVAL_MAX_S):
            message = f"a ping is 1 to {COUNT_MAX} times, 0 to {INTERVAL_MAX_S:g} s apart"
            raise InputError("bad-request", message)
        node = self._names.find(text)
        pings = []
        for number in range(count):
            if number:
                await trio.sleep(interval_s)
            trip, pong, sent = await self._round(node)
            pings.append(self._ping_row(number + 1, trip, pong, sent))
        received = sum(row["ok"] for row in pings)
        about = self._about(node)
        return {**about, "sent": count, "received": received, "pings": pings}

    async def trace(self, text: str) -> Json:
        """One round trip, hop by hop. Only the answer's own hops are known: they lead back."""
        node = self._names.find(text)
        trip, pong, sent = await self._round(node)
        if not isinstance(pong, PayloadArrived):
            raise self._lost(node, pong)
        name = self._names.name_of
        row = self._ping_row(1, trip, pong, sent)
        back = self._daemon.node.router.predict(node, self._me, pong.arrived[0])
        return {
            **self._about(node),
            "direction": "back",
            "predicted_path_there": [name(n) for n in trip[0].path] if trip else None,
            "predicted_path_back": [name(n) for n in back.path] if back else None,
            "predicted_rtt_ms": row["predicted_rtt_ms"],
            "measured_rtt_ms": row["measured_rtt_ms"],
            "hops": self._hops(pong, back),
        }

    def _hops(self, pong: PayloadArrived, back: Prediction | None) -> list[Json]:
        """Each node on the way back, with ms since the answer left its sender."""
        left = pong.arrived[0]
        same_way = back is not None and back.path == pong.hops
        due = [left, *(leg.arrive for leg in back.legs)] if back is not None and same_way else None
        return [
            {
                "node": node,
                "name": self._names.name_of(node),
                "predicted_ms": None if due is None else round((due[i] - left) / MILLISECOND, 6),
                "measured_ms": self._measured_ms(pong.arrived[i] - left),
            }
            for i, node in enumerate(pong.hops)
        ]

    async def _round(
        self, node: NodeId
    ) -> tuple[Trip | None, PayloadArrived | PayloadLost | None, Instant]:
        """One ping: its prediction, its answer (or why none, or None for silence), when sent."""
        shared, driver = self._daemon.shared, self._daemon.driver
        sent = shared.clock.now()
        trip = self._daemon.node.router.round_trip(node, sent)
        predicted = trip[1].arrive - sent if trip else 0
        wait_s = predicted / SECOND / shared.clock.speed
        if wait_s > WAIT_MAX_S and trip is not None:
            raise MeshError("no-contact-yet", self._too_long(node, trip))
        lifetime: Duration = predicted + round(ANSWER_S * SECOND * shared.clock.speed)
        packet = self._ids.next(sent)

        def answers(happening: Happening) -> bool:
            if isinstance(happening, PayloadArrived):
                return happening.packet == f"{packet}~"
            return isinstance(happening, PayloadLost) and happening.packet == packet

        answer: Happening | None = None
        with driver.watch(answers) as watcher, trio.move_on_after(wait_s + ANSWER_S):
            driver.post(PayloadOffered(PacketId(packet), node, PING_PORT, b"meshd", lifetime))
            answer = await watcher.next()
        assert isinstance(answer, PayloadArrived | PayloadLost | None)
        return trip, answer, sent

    def _ping_row(
        self,
        number: int,
        trip: Trip | None,
        pong: PayloadArrived | PayloadLost | None,
        sent: Instant,
    ) -> Json:
        ok = isinstance(pong, PayloadArrived)
        name = self._names.name_of
        measured = pong.arrived[-1] - sent if isinstance(pong, PayloadArrived) else None
        failure = None
        if not isinstance(pong, PayloadArrived):
            failure = self._lost(trip[0].path[-1] if trip else None, pong)
        return {
            "seq": number,
            "ok": ok,
            "predicted_rtt_ms": round((trip[1].arrive - sent) / MILLISECOND, 6) if trip else None,
            "measured_rtt_ms": None if measured is None else self._measured_ms(measured),
            "hops": len(trip[0].legs) if trip else None,
            "path": [name(n) for n in trip[0].path] if trip else None,
            "code": failure.code if failure else None,
            "message": failure.message if failure else None,
        }

    def _measured_ms(self, span: Duration) -> float | None:
        return round(span / MILLISECOND, 6) if self._daemon.shared.clock.speed == 1 else None

    def _about(self, node: NodeId) -> Json:
        """Who is asked, and what the figures mean."""
        daemon, note = self._daemon, None
        if daemon.shared.clock.speed != 1:
            note = "the mission clock runs at another speed than 1: nothing is reported as measured"
        elif daemon.world is not None and daemon.shared.light(daemon) == "none":
            note = "light time is not emulated here: what is measured is this computer's own delay"
        return {"node": node, "name": self._names.name_of(node), "note": note}

    def _too_long(self, node: NodeId, trip: Trip) -> str:
        leaves = trip[0].legs[0].depart if trip[0].legs else trip[0].at
        back = format_time(trip[1].arrive)
        return (
            f"{self._names.name_of(node)} is dark: the earliest way there leaves at "
            f"{format_time(leaves)}, and its answer would be here at {back}"
        )

    def _lost(self, node: NodeId | None, pong: PayloadLost | None) -> MeshError:
        if pong is not None:
            place = self._names.name_of(pong.node)
            if pong.code == "no-route":
                now = self._daemon.shared.clock.now()
                if self._daemon.node.router.predict(self._me, pong.destination, now) is None:
                    name = self._names.name_of(pong.destination)
                    return MeshError("no-route", f"no route to {name} from here now")
            return MeshError(pong.code, f"{place} gave the packet up: {pong.code}")
        name = self._names.name_of(node) if node else "the node"
        seconds = f"{ANSWER_S:g} s"
        return MeshError("time-out", f"no answer from {name} within {seconds} beyond prediction")


async def until(done: Callable[[], bool], within_s: float) -> bool:
    """Wait for what a frozen view will show, but not for ever; whether it does."""
    with trio.move_on_after(within_s):
        while not done():  # noqa: ASYNC110 - machines are pure: they wake no one
            await trio.sleep(POLL_S)
    return done()


def _connect_failure(address: str, failed: list[Note]) -> MeshError:
    if not failed:
        message = f"{address}: no link within {CONNECT_S:g} s; is a daemon running there?"
        return MeshError("time-out", message)
    note = failed[-1]
    if note.code == "standing-full":
        message = f"{note.fields['max']} standing links are kept already; disconnect one"
        return MeshError(note.code, message)
    code = str(note.fields.get("code", note.code))
    return MeshError(code, str(note.fields.get("message", "")) or f"{address}: {code}")
