"""Medium: what joins two places: light time, rate, loss, a bounded queue; cables for the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from meshd.topology.plan import ContactPlan
from protocols.frame import LENGTH_BYTES
from protocols.types import SECOND, Duration, Instant, LinkId
from sim.chance import fraction
from sim.faults.barriers import Barriers
from sim.faults.noise import Noise

OUTBOX_BYTES_MAX = 4_194_304
"""Waiting to leave on one way of a link; as in meshd/adapters."""

CABLE_RATE_BPS = 10e9

RATE_SHARE_MIN = 1e-6
"""A bad link is slow, not still."""

Light: TypeAlias = Callable[[Instant], Duration]


@dataclass(frozen=True, slots=True)
class Path:
    """A planned contact, until `finish`, or a cable, for ever. `light` is one way, at departure."""

    light: Light
    rate_bps: float
    finish: Instant | None = None

    def open_at(self, at: Instant) -> bool:
        return self.finish is None or at < self.finish


class Waiting(NamedTuple):
    """A frame that has not been taken yet, in the order of leaving."""

    priority: int
    number: int
    frame: bytes


@dataclass(slots=True)
class Way:
    """One direction of a link, seen from the end that sends on it."""

    free_at: Instant = 0
    """When what waits will have left."""
    last_arrival: Instant = 0
    frames: int = 0
    taken_bytes: int = 0
    """What has been taken to be sent, lost or not, and may still wait."""
    waiting: list[Waiting] | None = None
    """A heap of what is not CONTROL and found the way busy. What is taken
    leaves in order; these may be overtaken until they are."""
    waiting_bytes: int = 0


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
        self.barriers = Barriers()
        self.noise: dict[int, Noise] = {}
        """Bad links, by the end that makes them so."""
        self.bytes_carried = 0
        """On all links, both ways, lost frames included."""

    def place(self, end: int, site: int) -> None:
        """This end lives at a site of the plan."""
        self._sites[end] = site

    def lay(self, a: int, b: int, delay_ns: Duration) -> None:
        """Join two ends by a cable. Where the plan has a contact too, the contact is taken."""
        self._cables[min(a, b), max(a, b)] = Path(lambda at: delay_ns, CABLE_RATE_BPS)

    def joined(self, a: int, b: int) -> bool:
        """Whether nothing stands between two ends, either way."""
        return not self.barriers.any or self.barriers.joined(a, b)

    def noise_on(self, link: Link, side: int) -> Noise | None:
        """What is wrong with a way of a link: by its sender, or else by its receiver."""
        if not self.noise:
            return None
        return self.noise.get(link.ends[side]) or self.noise.get(link.ends[1 - side])

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
        """Send a frame from one side of a link: behind all that were."""
        way, path = link.ways[side], link.path
        way.frames += 1
        depart = way.free_at if way.free_at > now else now
        rate, room = path.rate_bps, OUTBOX_BYTES_MAX
        noise = self.noise_on(link, side)
        if noise is not None:
            rate *= max(noise.rate, RATE_SHARE_MIN)
            room = noise.outbox_bytes or room
        if (depart - now) * rate / (8 * SECOND) + way.waiting_bytes + size > room:
            return "outbox-full"
        if not path.open_at(depart):
            return "contact-ended"
        self.bytes_carried += size + LENGTH_BYTES
        way.free_at = depart + round((size + LENGTH_BYTES) * 8 * SECOND / rate)
        way.taken_bytes += size + LENGTH_BYTES
        if self.barriers.any and not self.barriers.passes(link.ends[side], link.ends[1 - side]):
            return "cut"
        if noise is not None and noise.loses((self._seed, link.id, side, way.frames), now):
            return "lost"
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
