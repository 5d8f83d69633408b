"""Chart: where the nodes of a run are when it starts, and who is in contact with whom then."""

from __future__ import annotations

import msgspec
import numpy as np

from meshd.ephemeris.stations import geodetic, to_fixed
from protocols.types import Instant
from sim.scenario.setting import Setting

LINKS_MAX = 50_000


class Place(msgspec.Struct, frozen=True):
    """A node; `latitude_deg` and `longitude_deg` are None where nobody has an orbit."""

    name: str
    kind: str
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    altitude_km: float | None = None


class Chart(msgspec.Struct, frozen=True):
    """Places, and links as pairs of indices into them. Cables are links too."""

    at: Instant
    places: tuple[Place, ...]
    links: tuple[tuple[int, int], ...]

    @property
    def has_orbits(self) -> bool:
        return any(place.latitude_deg is not None for place in self.places)


def chart_of(setting: Setting, at: Instant) -> Chart:
    """The chart of a setting at an instant. What cannot be propagated has no place."""
    index = {name: number for number, name in enumerate(setting.names)}
    links = [(index[a], index[b]) for a, b, _ in setting.cables]
    plan = setting.plan
    if plan is not None:
        pairs = ((plan.names[a], plan.names[b]) for a, b in plan.open_at(at))
        links += [(index[a], index[b]) for a, b in pairs if a in index and b in index]
    where: dict[str, tuple[float, float, float]] = {}
    if setting.sky is not None:
        instants = np.array([at], dtype=np.int64)
        fixed = to_fixed(setting.sky.states_at(instants)[0], instants)[0]
        for name, position in zip(setting.sky.names, fixed, strict=True):
            if name in index and bool(np.isfinite(position).all()):
                where[name] = geodetic(position)
    places = tuple(
        Place(name, kind, *where.get(name, (None, None, None)))
        for name, kind in zip(setting.names, setting.kinds, strict=True)
    )
    return Chart(at, places, tuple(links[:LINKS_MAX]))
