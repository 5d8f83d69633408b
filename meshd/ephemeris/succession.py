"""New elements that count from an agreed instant: which of them a sky is made of, and when.

Two catalogues a day apart share 91% of a mesh's links, so nodes must change over together. What
counts at an instant hangs on what was accepted alone, not on the order: of each satellite the
newest epoch of all sets that are in effect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshd.ephemeris.elements import Elements, Refused, print_of
from meshd.ephemeris.propagate import Sgp4
from meshd.ephemeris.sky import Sky
from meshd.ephemeris.timescale import format_time
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, Instant

TICK_NS = 10 * MINUTE
"""New elements count from a multiple of this since the Unix epoch, where plans are cut."""

LEAD_NS = MINUTE
"""So long before it counts a set must be known, to be planned with: a large sky takes seconds."""

AHEAD_MAX_NS = 7 * 24 * HOUR
UPDATES_MAX = 64


@dataclass(frozen=True, slots=True)
class Update:
    """Element sets, each of another satellite, and the instant from which they count."""

    at: Instant
    elements: tuple[Elements, ...]


@dataclass(frozen=True, slots=True)
class Succession:
    """A sky as it began, and the updates accepted since, in order of their instants."""

    sky: Sky
    updates: tuple[Update, ...] = ()

    def accept(self, update: Update, now: Instant) -> tuple[Succession, tuple[Refused, ...]]:
        """With one more update; and which of its element sets are of no use.

        What is in effect already is kept as one. Raises InputError "bad-time" (not on a tick, too
        soon, too late), "bad-elements" (a sky without elements), "nothing-new" or "updates-full".
        """
        check_time(update.at, now)
        return self.told(update, now)

    def told(
        self, update: Update, now: Instant, *, by_name: bool = False
    ) -> tuple[Succession, tuple[Refused, ...]]:
        """As `accept`, whatever the instant: what others plan by already counts at once.

        Unless told otherwise a satellite is known by its number alone: catalogues rename them.
        `by_name` its name must be that of the sky too, since who may move it hangs on that.
        """
        if not isinstance(self.sky.satellites, Sgp4):
            raise InputError("bad-elements", "the satellites of this sky have no elements")
        held = self._newest(update.at)
        place = self._places()
        taken, refused = [], []
        for e in update.elements:
            site = place.get(_key(e))
            if site is None or (by_name and e.name != self.sky.names[site]):
                refused.append(Refused(0, e.name, "unknown-satellite", "not in this sky"))
            elif not _newer(e, held.get(site, self.sky.satellites.elements[site])):
                refused.append(Refused(0, e.name, "superseded", "a set as new counts by then"))
            else:
                taken.append(e)
        if not taken:
            why = f" ({refused[0].name}: {refused[0].reason})" if refused else ""
            raise InputError("nothing-new", f"none of these element sets would count{why}")
        past = tuple(self._newest(now).values())
        settled = [Update(max(u.at for u in self.updates if u.at <= now), past)] if past else []
        waiting = {u.at: u.elements for u in self.waiting(now)}
        waiting[update.at] = (*waiting.get(update.at, ()), *taken)
        if len(waiting) > UPDATES_MAX:
            message = f"{UPDATES_MAX} updates wait for their time: let one come first"
            raise InputError("updates-full", message)
        coming = [Update(at, elements) for at, elements in waiting.items()]
        updates = tuple(sorted([*settled, *coming], key=lambda u: u.at))
        return replace(self, updates=updates), tuple(refused)

    def sky_at(self, at: Instant) -> Sky:
        """The sky of an instant."""
        newest = self._newest(at)
        return self.sky.with_newer(newest) if newest else self.sky

    def next_after(self, at: Instant) -> Instant | None:
        """The first instant after this one at which the sky becomes another."""
        return min((u.at for u in self.updates if u.at > at), default=None)

    def waiting(self, now: Instant) -> tuple[Update, ...]:
        """The updates that do not count yet."""
        return tuple(u for u in self.updates if u.at > now)

    def _newest(self, at: Instant) -> dict[int, Elements]:
        """The newest set in effect of each satellite that has a newer one than at first."""
        if not self.updates or not isinstance(self.sky.satellites, Sgp4):
            return {}
        place, found = self._places(), dict[int, Elements]()
        for e in (e for u in self.updates if u.at <= at for e in u.elements):
            site = place.get(_key(e))
            if site is not None and _newer(e, found.get(site, self.sky.satellites.elements[site])):
                found[site] = e
        return found

    def _places(self) -> dict[tuple[int, str], int]:
        assert isinstance(self.sky.satellites, Sgp4)
        return {_key(e): site for site, e in enumerate(self.sky.satellites.elements)}


def _key(e: Elements) -> tuple[int, str]:
    """What a satellite is known by: its number, or, without one, its name."""
    return e.norad_id, "" if e.norad_id else e.name


def _newer(e: Elements, held: Elements) -> bool:
    """Whether a set counts before another; of one epoch, whichever all nodes would take."""
    return (e.epoch, print_of(e)) > (held.epoch, print_of(held))


def check_time(at: Instant, now: Instant) -> None:
    """Raises InputError "bad-time" for an instant from which no mesh could count elements."""
    first = -(-(now + LEAD_NS) // TICK_NS) * TICK_NS
    if at % TICK_NS:
        tick = format_time(max(first, at - at % TICK_NS))
        message = f"new elements count from a whole ten minutes of UTC, such as {tick}"
        raise InputError("bad-time", message)
    if at < first:
        message = f"{format_time(at)} is too soon for all to plan by: {format_time(first)} or later"
        raise InputError("bad-time", message)
    if at > now + AHEAD_MAX_NS:
        days = AHEAD_MAX_NS // (24 * HOUR)
        raise InputError("bad-time", f"{format_time(at)} is more than {days} days ahead")
