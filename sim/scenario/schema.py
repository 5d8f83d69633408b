"""Scenario: one question put to a mesh, as a record; TOML (sim/scenario/reading.py) is its text."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from meshd.ephemeris import parse_duration, parse_time
from meshd.topology.policy import Ground, Lasers
from protocols.types import Duration, Instant
from sim.scenario.actions import Action, LetterSize, Names, PayloadSize, Positive, Submit

Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Slots: TypeAlias = Annotated[int, Meta(ge=0, le=1_024)]
Pair: TypeAlias = tuple[str, str]


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What links are like: how the policy differs from the sky's own, and what they lose."""

    isl: Lasers | None = None
    terminals: int | None = None
    min_elevation_deg: float | None = None
    cross_plane_latitude_max_deg: float | None = None
    grazing_altitude_km: float | None = None
    isl_range_max_km: float | None = None
    slew_max_deg_s: float | None = None
    sun_exclusion_deg: float | None = None
    acquisition_ns: int | None = None
    age_margin: bool | None = None
    isl_rate_bps: Positive | None = None
    ground: Ground | None = None
    antennas: int | None = None
    ground_rate_bps: Positive | None = None
    loss: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Probability that a frame is lost (heap driver)."""


class NodeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the nodes are like. `slots` are a satellite's."""

    slots: Slots = 1
    ground_slots: Slots = 0
    speed: Positive = 1.0
    commit: str = "0ms"
    """What it takes to put rows on disk (heap driver)."""
    crypto: Literal["modelled", "ed25519"] = "modelled"
    """`modelled`: a keyed hash of 1 us signs; `ed25519`: real keys and signatures (heap driver;
    the others are always real)."""
    beats: Literal["modelled", "frames"] = "modelled"
    """Whether a silent link is asked for a sign of life, frame by frame, or its node is told what
    would have come of that (heap driver; the others always ask)."""
    blobs: Literal["gone", "cached"] = "gone"
    """What becomes of a blob that nobody here needs any more: it goes at once, or stays as a cache,
    as daemons keep it while there is room (heap driver)."""
    roster: Literal["neighbours", "all", "none"] = "neighbours"
    """Whose signed presence a node is given before launch: of those its contacts lead to, of all,
    or of nobody."""
    operators: Annotated[int, Meta(ge=0, le=8)] = 0
    """How many operators certify the nodes, in turn; none: anyone is believed (heap driver)."""
    asleep: Names = ()
    """Nodes that wait for a `start` in the timeline."""


class Subset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which satellites of the sky have a daemon: those that match, every so many-th of them."""

    satellites: Names = "*"
    every: Annotated[int, Meta(ge=1)] = 1
    count_max: Annotated[int, Meta(ge=1)] = 1_000_000


class Cable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A standing link between two nodes; the first keeps it."""

    between: Pair
    light: str = "5ms"


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contact that is given, not predicted: for meshes without orbits."""

    between: Pair
    begin: str = msgspec.field(name="from", default="0s")
    finish: str = msgspec.field(name="to", default="1h")


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` packets at `rate_hz` from the instant `at` on, in turn between `pairs`.

    Without pairs each goes between two stations drawn by the seed.
    """

    count: Count
    rate_hz: Positive = 10.0
    pairs: tuple[Pair, ...] = ()
    size_bytes: PayloadSize = 256
    at: str = "5s"
    lifetime: str = "60s"
    ping: bool = False
    durable: bool = False
    """On disk at each relay before that accepts it. (Not of pings.)"""


class Letters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` letters at `rate_hz` from the instant `at` on, in turn between `pairs`."""

    count: Count
    pairs: Annotated[tuple[Pair, ...], Meta(min_length=1)]
    rate_hz: Positive = 10.0
    size_bytes: LetterSize = 256
    stream: str = ""
    at: str = "5s"
    lifetime: str = "1h"


class Liveness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After `at` no new harm is done, and `within` later everything must be well again."""

    at: str
    within: str = "60s"


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question. Instants (`at`) count from `epoch`.

    The nodes are those of a `constellation` (a preset or a code), of a `catalog` (a file of
    elements beside the scenario), or `members`, named here and joined by `contacts` and `cables`.
    """

    name: str
    question: str
    method: str
    expectation: str
    duration: str
    constellation: str = ""
    catalog: str = ""
    stations: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    contacts: tuple[Window, ...] = ()
    contact_light: str = "5ms"
    cables: tuple[Cable, ...] = ()
    subset: Subset = Subset()
    epoch: str = "2026-01-01T12:00:00Z"
    link: Link = Link()
    node: NodeRules = NodeRules()
    packets: tuple[Flow, ...] = ()
    letters: tuple[Letters, ...] = ()
    jobs: tuple[Submit, ...] = ()
    timeline: tuple[Action, ...] = ()
    liveness: Liveness | None = None
    script: str = ""
    """A Python file beside the scenario with `async def experiment(mesh)`."""
    sample_every: str = "1s"
    expect: dict[str, float] = {}
    """Metrics (`meshsim metrics` lists them) and their values; `_min` and `_max` make bounds."""

    @property
    def start(self) -> Instant:
        return parse_time(self.epoch)

    @property
    def duration_ns(self) -> Duration:
        return parse_duration(self.duration)

    @property
    def end(self) -> Instant:
        return self.start + self.duration_ns


class Expectation(msgspec.Struct, frozen=True):
    """One clause of `expect`, and what came of it."""

    name: str
    expected: float
    measured: float
    met: bool
