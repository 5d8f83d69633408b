"""What a recording keeps, it keeps exactly; what is no recording is refused with a code."""

from __future__ import annotations

import string
import types
import typing
from enum import Enum
from typing import Any, Literal, NewType, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.node import NodeConfig
from meshd.recording import (
    MAGIC,
    Ended,
    Happened,
    Header,
    Journal,
    KeptPlan,
    Packer,
    events_of,
    read,
    summary,
)
from meshd.recording import journal as limits
from meshd.recording.events import EVENTS, decoded, encoded
from meshd.recording.plans import kept, plan_of
from meshd.recording.stream import framed
from meshd.router.roster import roster_of
from meshd.seam import (
    Event,
    FrameReceived,
    Note,
    PlanLoaded,
    RosterLoaded,
    SendFrame,
    Started,
    Woke,
)
from meshd.topology import ContactPlan, build_plan, policy_for
from protocols.errors import InputError
from protocols.record import Beacon, Presence, Statement, sign
from protocols.types import MINUTE, SECOND, LinkId, NodeId
from sim.chance import make_verifier, signer

WHO = Header("1.2", "3.11", NodeConfig(NodeId("me"), "me"), "seed", SECOND, 0, 1.0)
TEXT = st.text(string.ascii_letters + "é→", min_size=1, max_size=40)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field of an event, small enough for the bounds of messages."""
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    origin, args = typing.get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return values(args[0])
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, args))
    plain = {
        str: TEXT,
        bytes: st.binary(max_size=60),
        int: st.integers(1, 60),
        bool: st.booleans(),
        float: st.floats(0.5, 900.0),
        type(None): st.none(),
    }
    if kind in plain:
        return plain[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return st.builds(
        kind, **{k: values(v) for k, v in get_type_hints(kind, include_extras=True).items()}
    )


def a_plan(minutes: int = 10) -> ContactPlan:
    sky = sky_from_preset("S:1400:86.4:24/3/1", [find_city("London")])
    start = parse_time("2026-01-01T00:50:00Z")
    return build_plan(sky, policy_for(sky), start, start + minutes * MINUTE)


def recording(*events: tuple[Event, int], why: str | None = "stopped") -> bytes:
    """The file of a life in which nothing had effects; a block an event."""
    journal, packer = Journal(WHO), Packer()
    data = MAGIC + packer.block(journal.take())
    for event, at in events:
        journal.begin(event, at)
        journal.end([])
        data += packer.block(journal.take())
    if why is not None:
        journal.close(why)  # type: ignore[arg-type]
        data += packer.block(journal.take())
    return data


LIFE = [(Started(), 1), (FrameReceived(LinkId(1), b"x" * 50), 2), (Woke(), 3), (Woke(), 4)]


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        list(events_of(read(data)))
    return caught.value.code


@pytest.mark.parametrize("name", sorted(set(EVENTS) - {"PlanLoaded", "RosterLoaded"}))
@given(data=st.data())
def test_every_event_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    event = data.draw(values(EVENTS[name]))
    assert decoded(name, encoded(event), {}) == event


def test_every_event_is_known() -> None:
    assert set(EVENTS.values()) == set(get_args(Event))


def test_a_roster_comes_back_record_by_record() -> None:
    bodies = (Presence("me", "n1", ("/a",)), Beacon(1, 0, 0, 0, 1.0, ("onnx",)))
    said = [
        sign(Statement(NodeId(who), number, 5, SECOND, body), signer(NodeId(who)))
        for who in "AB"
        for number, body in enumerate(bodies, start=1)
    ]
    roster = roster_of(said, make_verifier())
    again = decoded("RosterLoaded", encoded(RosterLoaded(roster)), {})
    assert isinstance(again, RosterLoaded)
    assert (again.roster.digest, again.roster.entries) == (roster.digest, roster.entries)
    for damaged in (msgspec.msgpack.encode([said[0], said[0]]), b"\x91\x92\xc4\x01\x00\xc4\x00"):
        with pytest.raises(InputError):
            decoded("RosterLoaded", damaged, {})


def test_a_plan_comes_back_to_the_last_bit() -> None:
    plan = a_plan()
    again = plan_of(msgspec.msgpack.decode(msgspec.msgpack.encode(kept(plan)), type=KeptPlan))
    for name in ("sky_digest", "policy_code", "digest", "names", "kinds", "start", "end"):
        assert getattr(again, name) == getattr(plan, name)
    for site in range(plan.n_sites):
        assert again.contacts_of(site) == plan.contacts_of(site)
    pairs = plan.open_at(plan.start)
    assert len(pairs) > 20 and again.open_at(plan.start) == pairs
    instants = range(plan.start, plan.end, 17 * SECOND + 1)
    for a, b in pairs:
        light = [plan.light_time_ns(a, b, at) for at in instants]
        assert [again.light_time_ns(a, b, at) for at in instants] == light
    assert again.sites_failed == plan.sites_failed


def test_a_plan_is_kept_once() -> None:
    plan, later = a_plan(), a_plan(11)
    data = recording((PlanLoaded(plan), 1), (PlanLoaded(later), 2), (PlanLoaded(plan), 3))
    assert [type(entry) for entry in read(data)] == [
        *(Header, KeptPlan, Happened, KeptPlan, Happened, Happened, Ended),
    ]
    loaded = [event.plan.digest for _, event, _ in events_of(read(data))]  # type: ignore[union-attr]
    assert loaded == [plan.digest, later.digest, plan.digest]


def test_a_life_comes_back_in_order_and_says_how_it_ends() -> None:
    entries = list(read(recording(*LIFE)))
    assert entries[0] == WHO
    assert [(event, at) for at, event, _ in events_of(entries)] == LIFE
    assert entries[-1] == Ended("stopped")


def test_signatures_are_kept_with_their_event_and_the_key_is_not() -> None:
    journal = Journal(WHO)
    sign = journal.signing(lambda message: b"signed " + message)
    for number in range(2):
        journal.begin(Woke(), number)
        assert sign(b"%d" % number) == b"signed %d" % number
        journal.end([])
    journal.begin(Woke(), 2)
    journal.end([])
    entries = [e for e in read(MAGIC + Packer().block(journal.take())) if isinstance(e, Happened)]
    assert [entry.signatures for entry in entries] == [(b"signed 0",), (b"signed 1",), ()]


def test_effects_are_kept_in_short() -> None:
    one, other = SendFrame(LinkId(1), b"a"), SendFrame(LinkId(1), b"b")
    assert summary(one) != summary(other)
    assert summary(one) == summary(SendFrame(LinkId(1), b"a"))
    assert summary(Note("x", {"y": 1})) != summary(Note("x", {"y": 1.0}))


def test_an_event_the_node_failed_at_is_kept_without_effects() -> None:
    journal = Journal(WHO)
    journal.begin(Woke(), 7)
    journal.close("stopped")
    *_, failed, ended = read(MAGIC + Packer().block(journal.take()))
    assert isinstance(failed, Happened) and failed.effects is None
    assert ended == Ended("stopped")


def test_a_journal_that_nobody_takes_from_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING_BYTES_MAX", 10_000)
    journal = Journal(WHO)
    for number in range(1_000):
        journal.begin(FrameReceived(LinkId(1), bytes(500)), number)
        journal.end([])
    assert journal.ended == "behind"
    *events, ended = read(MAGIC + Packer().block(journal.take()))
    assert ended == Ended("behind")
    assert len(events) - 1 == journal.events < 25


# --- what is cut or damaged ---------------------------------------------------------------------


def test_cut_anywhere_it_ends_early_or_is_refused_with_a_code() -> None:
    whole = recording(*LIFE)
    counts = set()
    for length in range(len(whole)):
        try:
            events = [(event, at) for at, event, _ in events_of(read(whole[:length]))]
        except InputError as error:
            assert error.code == "recording-empty"
            assert not counts
            continue
        assert events == LIFE[: len(events)]
        counts.add(len(events))
    assert counts == {0, 1, 2, 3, 4}


def test_a_flipped_bit_anywhere_is_found() -> None:
    whole = recording(*LIFE)
    codes = set()
    for place in range(len(whole)):
        for bit in (1, 128):
            bad = bytearray(whole)
            bad[place] ^= bit
            codes.add(refusal(bytes(bad)))
    assert codes == {"recording-damaged", "not-a-recording", "recording-version"}


def test_what_is_none_is_refused_with_a_code() -> None:
    assert refusal(b"") == "recording-empty"
    assert refusal(b"SQLite format 3\0") == "not-a-recording"
    assert refusal(MAGIC.replace(b"1", b"2") + b"anything") == "recording-version"
    assert refusal(MAGIC + Packer().block(framed(Ended("stopped")))) == "recording-damaged"
    assert refusal(MAGIC + Packer().block(b"\xff" * 9)) == "recording-damaged"
    assert refusal(MAGIC + Packer().block(framed(WHO) + b"\1\0\0\0\xc1")) == "recording-damaged"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("Sneezed", b"\xc0"), ("LinkDown", b"\x80"), ("Woke", b"\xc1"), ("PlanLoaded", b"\xa1x")],
)
def test_what_is_no_event_is_refused_with_a_code(kind: str, body: bytes) -> None:
    odd = framed(Happened(1, kind, msgspec.Raw(body), (), ()))
    assert refusal(MAGIC + Packer().block(framed(WHO) + odd)) == "recording-damaged"


def test_a_plan_that_does_not_fit_is_refused_with_a_code() -> None:
    good = kept(a_plan())
    for bad in (
        msgspec.structs.replace(good, names=good.names[:3]),
        msgspec.structs.replace(good, columns=(b"", *good.columns[1:])),
        msgspec.structs.replace(good, columns=(b"123", *good.columns[1:])),
    ):
        data = MAGIC + Packer().block(framed(WHO) + framed(bad))
        assert refusal(data) == "recording-damaged"
