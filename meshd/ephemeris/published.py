"""Elements as gossip carries them: each set a record of its own, for an instant that all share."""

from __future__ import annotations

from dataclasses import fields

from meshd.ephemeris.elements import Elements
from protocols.certificate import Sealed
from protocols.record import Orbit
from protocols.types import HOUR, Instant

ORBIT_TTL_NS = 14 * 24 * HOUR
"""So long elements are told to those who were away; SGP4 is off by tens of km by then."""

_FIELDS = tuple(field.name for field in fields(Elements))


def orbit_of(elements: Elements, at: Instant, certificate: Sealed | None = None) -> Orbit:
    """What is signed of an element set that counts from an instant."""
    return Orbit(
        at=at, certificate=certificate, **{name: getattr(elements, name) for name in _FIELDS}
    )


def elements_of(orbit: Orbit) -> Elements:
    """The element set, not checked."""
    return Elements(**{name: getattr(orbit, name) for name in _FIELDS})
