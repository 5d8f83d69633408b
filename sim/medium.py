"""Medium: what joins two places: light time, rate, loss, a bounded queue; cables for the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from meshd.topology.plan import ContactPlan
from protocols.frame import LENGTH_BYTES
from protocols.types import SECOND, Duration, Instant, LinkId
from sim.chance import fraction

OUTBOX_BYTES_MAX = 4_194_304
"""Waiting to leave on one way of a link; as in meshd/adapters."""

CABLE_RATE_BPS = 10e9

Light: TypeAlias = Callable[[Instant], Duration]


@dataclass(frozen=True, slots=True)
class Path:
    """A planned contact, until `finish`, or a cable, for ever. `light` is one way, at departure."""

    light: Light
    rate_bps: float
    finish: Instant | None = None

    def open_at(self, at: Instant) -> bool:
        return self.finish is None or at < self.finish


@dataclass(slots=True)
class Way:
    """One direction of a link, seen from the end that sends on it."""

    free_at: Instant = 0
    """When what waits will have left."""
    last_arrival: Instant = 0
    frames: int = 0
    taken_bytes: int = 0
    """What has been taken to be sent, lost or not, and may still wait."""


@dataclass(slots=True)
class Link:
    """One connection's life. `ends` are indices of hosts; the first has dialled."""

    id: LinkId
    ends: tuple[int, int]
    path: Path
    ways: tuple[Way, Way] = field(default_factory=lambda: (Way(), Way()))

    def side(self, end: int) -> int:
        return 0 if self.ends[0] == end else 1

    def left_bytes(self, side: int, now: Instant) -> float:
        """What has left on one way by now: what was taken, but for what still waits its turn."""
        way = self.ways[side]
        waiting = max(0, way.free_at - now) * self.path.rate_bps / (8 * SECOND)
        return max(0.0, way.taken_bytes - waiting)


class Ride(NamedTuple):
    """A frame's first bit leaves at `depart`; its last is there at `arrive`."""

    depart: Instant
    arrive: Instant


Lost: TypeAlias = Literal["outbox-full", "contact-ended", "lost", "cut"]


class Medium:
    """Knows what joins whom at an instant, and when a frame that is sent arrives."""

    def __init__(self, seed: int, plan: ContactPlan | None, loss: float) -> None:
        self._seed = seed
        self._plan = plan
        self._loss = loss
        self._sites: dict[int, int] = {}
        self._cables: dict[tuple[int, int], Path] = {}
        self._apart: frozenset[int] = frozenset()
        self._out: frozenset[int] = frozenset()
        self.bytes_carried = 0
        """On all links, both ways, lost frames included."""

    def place(self, end: int, site: int) -> None:
        """This end lives at a site of the plan."""
        self._sites[end] = site

    def lay(self, a: int, b: int, delay_ns: Duration) -> None:
        """Join two ends by a cable. Where the plan has a contact too, the contact is taken."""
        self._cables[min(a, b), max(a, b)] = Path(lambda at: delay_ns, CABLE_RATE_BPS)

    def part(self, ends: frozenset[int]) -> None:
        """From now on nothing passes between these ends and the others; none ends it."""
        self._apart = ends

    def cut_off(self, ends: frozenset[int]) -> None:
        """From now on nothing passes to or from any of these ends; none ends it."""
        self._out = ends

    def joined(self, a: int, b: int) -> bool:
        """Whether no partition stands between two ends, and neither is cut off."""
        out = self._out
        return (a in self._apart) == (b in self._apart) and a not in out and b not in out

    def path(self, a: int, b: int, at: Instant) -> Path | None:
        """What a new link between two ends would run over at an instant."""
        if not self.joined(a, b):
            return None
        plan, site_a, site_b = self._plan, self._sites.get(a), self._sites.get(b)
        if plan is not None and site_a is not None and site_b is not None:
            contact = plan.open_contact(site_a, site_b, at)
            if contact is not None:
                light = _light(plan, site_a, site_b)
                return Path(light, contact.rate_bps, contact.finish)
        return self._cables.get((min(a, b), max(a, b)))

    def carry(self, link: Link, side: int, size: int, now: Instant) -> Ride | Lost:
        """Send a frame from one side of a link: first come, first gone."""
        way, path = link.ways[side], link.path
        way.frames += 1
        depart = way.free_at if way.free_at > now else now
        rate = path.rate_bps
        if (depart - now) * rate / (8 * SECOND) + size > OUTBOX_BYTES_MAX:
            return "outbox-full"
        if not path.open_at(depart):
            return "contact-ended"
        self.bytes_carried += size + LENGTH_BYTES
        way.free_at = depart + round((size + LENGTH_BYTES) * 8 * SECOND / rate)
        way.taken_bytes += size + LENGTH_BYTES
        if (self._apart or self._out) and not self.joined(*link.ends):
            return "cut"
        if self._loss and fraction(self._seed, "loss", link.id, side, way.frames) < self._loss:
            return "lost"
        # Light time falls by at most 5e-5 s/s, but is rounded: a frame never passes another.
        arrive = way.free_at + path.light(depart)
        way.last_arrival = arrive = max(arrive, way.last_arrival)
        return Ride(depart, arrive)


def _light(plan: ContactPlan, a: int, b: int) -> Light:
    low, high, between = min(a, b), max(a, b), plan.light_time_ns

    def light(at: Instant) -> Duration:
        return between(low, high, at)

    return light
