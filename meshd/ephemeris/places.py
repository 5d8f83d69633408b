"""Places that people name: a satellite, a station, a city near one, or Hypatia's node number."""

from __future__ import annotations

from meshd.ephemeris.cities import CITIES, find_city
from meshd.ephemeris.names import not_found
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.stations import GroundStation, great_circle_km
from protocols.errors import NotFound
from protocols.types import Instant

NEAR_KM = 50.0
"""A sky that comes with stations has one for every city within this distance of it."""


def place_in(sky: Sky, place: str) -> int | GroundStation:
    """The site that a person means, or the city to be added to the sky as a station.

    Skies of Hypatia's answer to its node numbers too, and to other names of its cities
    (`Saint Petersburg`, `New York`). Raises NotFound "unknown-site".
    """
    if sky.wiring is not None and place.isascii() and place.isdigit() and len(place) < 8:
        if int(place) < sky.n_sites:
            return int(place)
        raise NotFound("unknown-site", f"no node {place}: this sky has 0 to {sky.n_sites - 1}")
    try:
        return sky.index_of(place)
    except NotFound:
        station = _city(place, sky)
    if sky.wiring is not None:
        near = [(great_circle_km(station, own), site) for site, own in enumerate(sky.stations)]
        distance_km, site = min(near, default=(NEAR_KM, 0))
        if distance_km < NEAR_KM:
            return sky.n_satellites + site
    return station


def first_instant(sky: Sky, now: Instant) -> Instant:
    """When a question without a time is asked: now; for a sky of Hypatia's at its epoch."""
    epochs = sky.satellites.epochs()
    return now if sky.wiring is None or epochs is None else int(epochs[0])


def _city(place: str, sky: Sky) -> GroundStation:
    try:
        return find_city(place)
    except NotFound:
        known = [*(row[0] for row in CITIES), *sky.names]
        raise not_found("unknown-site", "satellite or city", place, known) from None
