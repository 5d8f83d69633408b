"""A recorded life, lived again, has the same effects; where it has not, the place is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import Result
from typer.testing import CliRunner

from meshd.adapters.identity import verify
from meshd.config import Config
from meshd.daemon.daemon import Daemon
from meshd.daemon.fleet import Fleet, open_fleet
from meshd.ephemeris import find_city, parse_time, sky_from_preset
from meshd.forwarding.echo import Echo
from meshd.node import Node
from meshd.recording import MAGIC, Happened, Header, Packer, read
from meshd.recording.stream import framed
from meshd.scheduler.book import Book
from meshd.seam import BlobStored, Effect, Event, JobSubmitted, PayloadArrived, PayloadOffered
from meshd.topology import build_plan, policy_for
from protocols.errors import InputError
from protocols.job import JobSpec, ShardSpec
from protocols.types import MINUTE, SECOND, Instant, JobId, PacketId
from sim.cli import app
from sim.laboratory import Laboratory
from sim.replay import Difference, Verdict
from sim.replay import replay as replayed
from sim.simclock import SimClock

CITIES = ("London", "Sydney")
CITIES_AT = 24
"""London's number among the sites."""
SENT_AT, ENDS_AT = 6 * SECOND, 14 * SECOND


async def _live(clock: SimClock, folder: Path) -> None:
    """Record a small mesh of whole daemons: links, pings, gossip, a job."""
    sky = sky_from_preset("S:1400:86.4:24/3/1", [find_city(name) for name in CITIES])
    start = parse_time("2026-01-01T00:58:00Z")
    plan = build_plan(sky, policy_for(sky), start, start + 10 * MINUTE)
    laboratory = Laboratory(5, clock, start, plan)

    async def until(at: Instant) -> None:
        await trio.sleep(laboratory.mission.real_seconds_until(start + at))

    async with open_fleet(laboratory) as fleet:
        for name, kind in zip(plan.names, plan.kinds, strict=True):
            where = {"satellite": name} if kind == "satellite" else {"city": name}
            record = str(folder / f"{name}.rec")
            await fleet.start(name, Config(record=record, slots=1, **where))
        fleet.introduce()
        london = fleet.daemons["London"]
        await until(SENT_AT)
        ping_all(london, fleet, "p")
        shards = tuple(ShardSpec() for _ in range(6))
        model = london.blobs.put(b"a model")
        spec = JobSpec(name="j", kind="onnx", shards=shards, model=model, estimate_s=0.5)
        london.driver.post(BlobStored(model, 7))
        london.driver.post(JobSubmitted(JobId("j"), msgspec.msgpack.encode(spec)))
        await until(ENDS_AT - 3 * SECOND)
        ping_all(london, fleet, "q")
        await until(ENDS_AT)


def ping_all(source: Daemon, fleet: Fleet, named: str) -> None:
    for number, daemon in enumerate(fleet.daemons.values()):
        packet, to = PacketId(f"{named}{number}"), daemon.identity.node_id
        source.driver.post(PayloadOffered(packet, to, "ping", b"hi", MINUTE))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, clock = tmp_path_factory.mktemp("recordings"), SimClock(5)
    trio.run(_live, clock, folder, clock=clock)
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.rec"))}


@pytest.fixture
def london(recordings: dict[str, bytes]) -> bytes:
    return recordings["London"]


def verdict_of(data: bytes) -> Verdict:
    return replayed(data, verify)


def events_in(data: bytes) -> list[Happened]:
    return [entry for entry in read(data) if isinstance(entry, Happened)]


def test_every_node_of_a_mesh_replays_the_same(recordings: dict[str, bytes]) -> None:
    verdicts = {name: verdict_of(data) for name, data in recordings.items()}
    assert {v.difference for v in verdicts.values()} == {None}
    assert {v.ended for v in verdicts.values()} == {"stopped"}
    assert all(v.header.node.name == name for name, v in verdicts.items())
    london = verdicts["London"]
    assert london.events == len(events_in(recordings["London"])) > 100
    assert london.effects > 100 and london.signatures > 2
    assert london.last - london.first > 10 * SECOND
    kinds = {entry.kind for data in recordings.values() for entry in events_in(data)}
    assert {"Started", "PlanLoaded", "LinkUp", "ShardFinished", "JobSubmitted", "Woke"} <= kinds


def rewritten(data: bytes, number: int, **changes: object) -> bytes:
    """The recording with its `number`th event changed, ten entries a block."""
    entries, events = list(read(data)), 0
    for place, entry in enumerate(entries):
        if isinstance(entry, Happened):
            events += 1
            if events == number:
                entries[place] = msgspec.structs.replace(entry, **changes)
    packer, frames = Packer(), [framed(entry) for entry in entries]
    blocks = (b"".join(frames[n : n + 10]) for n in range(0, len(frames), 10))
    return MAGIC + b"".join(map(packer.block, blocks))


def first(data: bytes, holds: Callable[[Happened], object]) -> tuple[int, Happened]:
    """The first event of which it holds, and its number."""
    return next((n, e) for n, e in enumerate(events_in(data), 1) if holds(e))


def difference_of(data: bytes) -> Difference:
    verdict = verdict_of(data)
    assert verdict.difference is not None
    assert verdict.events == verdict.difference.number - 1
    return verdict.difference


# --- another machine ----------------------------------------------------------------------------


def test_another_machine_is_found_at_its_event(
    london: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An echo that answers in other words: London, too, pings itself."""
    handle = Echo.handle

    def louder(self: Echo, event: Event, now: Instant) -> list[Effect]:
        if isinstance(event, PayloadArrived):
            event = replace(event, payload=event.payload.upper())
        return handle(self, event, now)

    monkeypatch.setattr(Echo, "handle", louder)
    to_itself = b"p%d" % CITIES_AT
    number, offer = first(
        london, lambda e: e.kind == "PayloadOffered" and to_itself in bytes(e.body)
    )
    found = difference_of(london)
    assert (found.number, found.at) == (number, offer.at)
    assert found.event.startswith("PayloadOffered(packet='p")


def test_a_machine_that_fails_is_found_at_its_event(
    london: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("no such shard")

    number, finished = first(london, lambda e: e.kind == "JobSubmitted")
    monkeypatch.setattr(Book, "submit", broken)
    found = difference_of(london)
    assert (found.number, found.at, found.effect) == (number, finished.at, 0)
    assert found.replayed == "it fails: AssertionError: no such shard"


def test_a_failure_on_record_is_a_failure_again(
    london: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that died of its own fault: the last event of its recording has no effects."""
    number, _ = first(london, lambda e: e.kind == "JobSubmitted")
    died = rewritten(london, number, effects=None)
    assert difference_of(died).recorded == "it fails"

    def broken(*_: object) -> None:
        raise AssertionError("no such shard")

    monkeypatch.setattr(Book, "submit", broken)
    verdict = verdict_of(died)
    assert (verdict.same, verdict.ended, verdict.events) == (True, "failed", number)


def test_a_machine_that_wakes_at_another_time_is_found(
    london: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "next_deadline", lambda self: None)
    number, woke = first(london, lambda e: e.kind == "Woke")
    found = difference_of(london)
    assert (found.number, found.at) == (number, woke.at)
    assert found.recorded == "it wanted to be woken"


# --- another recording --------------------------------------------------------------------------


def test_a_frame_changed_by_one_bit_is_found_at_its_event(london: bytes) -> None:
    number, got = first(london, lambda e: e.kind == "FrameReceived" and e.effects)
    body = bytearray(got.body)
    body[-1] ^= 1
    found = difference_of(rewritten(london, number, body=msgspec.Raw(bytes(body))))
    assert number <= found.number <= number + 1
    assert verdict_of(rewritten(london, number)).same


def test_an_effect_changed_on_record_is_found_with_its_kind(london: bytes) -> None:
    number, event = first(london, lambda e: len(e.effects or ()) >= 2)
    assert event.effects is not None
    kind, crc = event.effects[1]
    found = difference_of(
        rewritten(london, number, effects=(event.effects[0], (kind, crc ^ 1), *event.effects[2:]))
    )
    assert (found.number, found.at, found.effect) == (number, event.at, 2)
    assert found.recorded == f"{kind} #{crc ^ 1:08x}"
    assert found.replayed.startswith(kind) and found.replayed.endswith(f" #{crc:08x}")
    missing = difference_of(rewritten(london, number, effects=event.effects[:1]))
    assert (missing.effect, missing.recorded) == (2, "nothing more")


def test_a_signature_of_other_bytes_is_found_at_its_event(london: bytes) -> None:
    number, event = first(london, lambda e: e.signatures)
    for signatures, says in (
        ((bytes(32), *event.signatures[1:]), "it signs other bytes"),
        ((), "it signs what was not signed"),
        ((*event.signatures, bytes(32)), "it leaves unsigned what was signed"),
    ):
        found = difference_of(rewritten(london, number, signatures=signatures))
        assert (found.number, found.replayed) == (number, says)


def test_another_seed_is_found(london: bytes) -> None:
    entries = list(read(london))
    assert isinstance(entries[0], Header)
    entries[0] = msgspec.structs.replace(entries[0], seed="another")
    assert not verdict_of(MAGIC + Packer().block(b"".join(map(framed, entries)))).same


def test_cut_anywhere_it_replays_up_to_the_cut(london: bytes) -> None:
    whole = rewritten(london, 0)
    counts = []
    for length in range(len(whole) * 17 // 20, len(whole), 97):  # the plan comes first
        verdict = verdict_of(whole[:length])
        assert (verdict.same, verdict.ended) == (True, "cut")
        counts.append(verdict.events)
    assert counts == sorted(counts) and 0 < counts[0] < counts[-1] < len(events_in(london))


def test_damage_is_refused_and_says_how_far_it_replays(london: bytes) -> None:
    bad = bytearray(rewritten(london, 0))
    bad[-500] ^= 1
    with pytest.raises(InputError, match=r"block \d+.*the \d\d+ events before it replay the same"):
        verdict_of(bytes(bad))


# --- the command --------------------------------------------------------------------------------


def test_the_command_tells_same_from_different_from_unreadable(
    london: bytes, tmp_path: Path
) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["replay", *arguments])

    same, other, none = (str(tmp_path / name) for name in ("same.rec", "other.rec", "none.rec"))
    Path(same).write_bytes(london)
    number, _ = first(london, lambda e: e.effects)
    Path(other).write_bytes(rewritten(london, number, effects=()))
    ran = run(same)
    assert (ran.exit_code, "same effects" in ran.stdout) == (0, True)
    told = run(same, other)
    assert told.exit_code == 1
    assert f"differs at event {number}, effect 1" in told.stdout
    assert "recorded  nothing more" in told.stdout
    facts = json.loads(run(other, "--json").stdout)
    assert (facts["same"], facts["difference"]["number"]) == (False, number)
    unread = run(none)
    assert (unread.exit_code, unread.stdout) == (2, "")
    assert unread.stderr.endswith("[unreadable-file]\n")
