"""Scenario: one question put to a simulated sky, read from TOML, every word of it checked."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from meshd.ephemeris import parse_duration, parse_time
from protocols.errors import InputError, MeshError
from protocols.types import Duration, Instant

EXPERIMENTS = Path(__file__).parent / "experiments"
SCENARIO_BYTES_MAX = 1_000_000
HOLDER = "holder"
"""In a timeline: whichever node holds the most unfinished shards then."""

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Chance: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
Pair: TypeAlias = tuple[str, str]


class LinkRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the link policy differs from the constellation's own."""

    min_elevation_deg: float | None = None
    cross_plane_latitude_max_deg: float | None = None
    grazing_altitude_km: float | None = None
    isl_range_max_km: float | None = None


class Nodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the nodes are like. `slots` are a satellite's."""

    slots: Annotated[int, Meta(ge=0, le=1_024)] = 1
    ground_slots: Annotated[int, Meta(ge=0, le=1_024)] = 0
    speed: Positive = 1.0
    loss: Chance = 0.0
    commit: str = "0ms"


class Packets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` packets at `rate_hz` from the instant `at` on, in turn between `pairs`.

    Without pairs each goes between two stations drawn by the seed.
    """

    count: Count
    rate_hz: Positive = 10.0
    pairs: tuple[Pair, ...] = ()
    size_bytes: Annotated[int, Meta(ge=0, le=196_608)] = 256
    at: str = "5s"
    lifetime: str = "60s"


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job of equal shards, submitted at `from`; results go to `to`."""

    shards: Annotated[int, Meta(ge=1, le=10_000)]
    source: str = msgspec.field(name="from")
    sink: str = msgspec.field(name="to")
    name: str = "job"
    estimate_s: Positive = 10.0
    at: str = "5s"
    deadline_s: Positive = 600.0
    model_bytes: Annotated[int, Meta(ge=1, le=1 << 26)] = 100_000
    input_bytes: Annotated[int, Meta(ge=1, le=1 << 26)] = 10_000


class Happening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At an instant, kill or restart a node, by name or `holder`."""

    at: str
    kill: str = ""
    restart: str = ""


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be true at the end; the exit code says whether it was."""

    jobs_completed: Count | None = None
    shards_replaced_min: Count | None = None
    packets_delivered_min: Count | None = None
    packets_lost_max: Count | None = None
    excess_us_p50_max: float | None = None
    """Latency beyond what the source's router predicted: the median."""
    excess_us_p99_max: float | None = None


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file, one question. Instants (`at`) count from `epoch`."""

    name: str
    question: str
    method: str
    expectation: str
    duration: str
    constellation: str = ""
    """A preset's name or a constellation code; or else `catalog`, a file of elements."""
    catalog: str = ""
    stations: tuple[str, ...] = ()
    epoch: str = "2026-01-01T12:00:00Z"
    links: LinkRules = LinkRules()
    nodes: Nodes = Nodes()
    packets: Packets | None = None
    jobs: tuple[Work, ...] = ()
    timeline: tuple[Happening, ...] = ()
    expect: Expect = Expect()

    @property
    def start(self) -> Instant:
        return parse_time(self.epoch)

    @property
    def duration_ns(self) -> Duration:
        return parse_duration(self.duration)


_TABLES: dict[str, type[msgspec.Struct]] = {
    "$": Scenario,
    "$.links": LinkRules,
    "$.nodes": Nodes,
    "$.packets": Packets,
    "$.jobs[...]": Work,
    "$.timeline[...]": Happening,
    "$.expect": Expect,
}
_UNKNOWN = re.compile(r"unknown field `(?P<word>[^`]*)`(?: - at `(?P<where>[^`]*)`)?")


def parse(text: str) -> Scenario:
    """The scenario of TOML text. Raises InputError "bad-scenario": what is wrong, and where."""
    try:
        scenario = msgspec.toml.decode(text, type=Scenario)
    except msgspec.ValidationError as error:
        raise _bad(_explain(str(error))) from None
    except msgspec.DecodeError as error:
        raise _bad(f"not TOML: {error}") from None
    _check(scenario)
    return scenario


def read(path: Path) -> Scenario:
    """The scenario of a file. Raises InputError "bad-scenario"."""
    try:
        if path.stat().st_size > SCENARIO_BYTES_MAX:
            raise _bad(f"{path} is larger than {SCENARIO_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _bad(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _bad(f"{path} is not UTF-8 text") from None
    try:
        return parse(text)
    except InputError as error:
        raise _bad(f"{path}: {error.message}") from None


def bundled() -> dict[str, Path]:
    """The experiments that come with meshsim, by name."""
    return {path.stem: path for path in sorted(EXPERIMENTS.glob("*.toml"))}


def find(word: str) -> Path:
    """A scenario by path or bundled name. Raises InputError "bad-scenario" with the nearest."""
    path = Path(word)
    if path.suffix == ".toml" or path.is_file():
        return path
    known = bundled()
    if word not in known:
        hint = _nearest(word, list(known))
        raise _bad(f"no scenario is called {word!r}{hint}; `meshsim list` shows all") from None
    return known[word]


def _bad(message: str) -> InputError:
    return InputError("bad-scenario", message)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _explain(message: str) -> str:
    """msgspec's own words, with the nearest valid word for one that is unknown."""
    found = _UNKNOWN.search(message)
    if found is None:
        return message[0].lower() + message[1:]
    where = found["where"] or "$"
    table = _TABLES.get(where)
    known = [] if table is None else list(table.__struct_encode_fields__)
    hint = _nearest(found["word"], known) or f"; known are {', '.join(known)}"
    return f"unknown key {found['word']!r} at {where}{hint}"


def _check(scenario: Scenario) -> None:
    """What types cannot say."""
    if bool(scenario.constellation) == bool(scenario.catalog):
        raise _bad("give either a constellation or a catalog")
    instants = [("$.timeline", item.at) for item in scenario.timeline]
    instants += [("$.jobs", job.at) for job in scenario.jobs]
    instants += [("$.packets", scenario.packets.at)] if scenario.packets else []
    lengths = [("$.duration", scenario.duration), ("$.nodes.commit", scenario.nodes.commit)]
    lengths += [("$.packets.lifetime", scenario.packets.lifetime)] if scenario.packets else []
    for where, text in (*lengths, *instants):
        try:
            length = parse_duration(text)
        except MeshError as error:
            raise _bad(f"{error.message} at {where}") from None
        if (where, text) in instants and length > scenario.duration_ns:
            raise _bad(f"{text} at {where} is after the end, {scenario.duration}")
    try:
        parse_time(scenario.epoch)
    except MeshError as error:
        raise _bad(f"{error.message} at $.epoch") from None
    for item in scenario.timeline:
        if bool(item.kill) == bool(item.restart):
            raise _bad(f"at {item.at}: give either kill or restart, at $.timeline")
    if scenario.packets and not scenario.packets.pairs and len(scenario.stations) < 2:
        raise _bad("packets without pairs need two stations, at $.packets")
