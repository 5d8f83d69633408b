"""What offline commands predict from: a sky and its policy, or a contact plan that was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from meshd.adapters.clock import MissionClock
from meshd.adapters.skyfiles import load_sky, read_text
from meshd.ephemeris import GroundStation, Sky, parse_time
from meshd.ephemeris.places import first_instant, place_in
from meshd.ephemeris.sources import Loaded, refusals_told, sky_from_constellation
from meshd.ephemeris.staleness import ages
from meshd.exchange.ion import GivenPlan, read_ion
from meshd.router.changes import SightAt
from meshd.topology import ContactPlan, LinkPolicy, build_plan, policy_for
from meshd.topology.reasons import Sight
from protocols.errors import InputError
from protocols.types import SECOND, Duration, Instant

Warn: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where to predict from, as it was typed: one of the three."""

    constellation: str | None = None
    catalog: list[str] | None = None
    plan: str | None = None

    @property
    def given(self) -> bool:
        return bool(self.constellation or self.catalog or self.plan)


@dataclass(frozen=True, slots=True)
class Setting:
    """A source, opened: a sky with its policy, or a given plan.

    `names` are those of the places asked for; `now` is when to begin.
    """

    names: tuple[str, ...]
    now: Instant
    loaded: Loaded | None = field(default=None, repr=False)
    policy: LinkPolicy | None = None
    given: GivenPlan | None = field(default=None, repr=False)

    def at(self, text: str | None) -> Instant:
        """The instant that a person typed, or the first there is."""
        return parse_time(text, self.now) if text else self.now

    def plan(self, start: Instant, end: Instant) -> ContactPlan:
        """The contacts of a span. Raises InputError "bad-window" where a given plan has none."""
        if self.given is None:
            assert self.loaded is not None and self.policy is not None
            return build_plan(self.loaded.sky, self.policy, start, end)
        plan = self.given.plan
        if not plan.start <= start < plan.end:
            raise InputError("bad-window", "this plan has no contacts then: give another --at")
        return plan

    def sight_at(self) -> SightAt:
        """Where everybody is at an instant, to say why; None for a given plan."""
        loaded, policy = self.loaded, self.policy
        if loaded is None or policy is None:
            return lambda at: None
        return lambda at: Sight.of(loaded.sky, policy, at)

    def end_of(self, start: Instant, length: Duration) -> Instant:
        """Where a span from an instant on ends: at the end of a given plan at the latest."""
        return start + length if self.given is None else min(start + length, self.given.plan.end)

    def told(self, at: Instant, warn: Warn) -> dict[str, Any]:
        """What is to be known of the source at an instant; people hear it before any answer."""
        if self.given is not None:
            refused, warnings, old = self.given.refused, refusals_told(self.given.refused), None
        else:
            assert self.loaded is not None
            refused, warnings = self.loaded.refused, self.loaded.warnings(at)
            old = ages(self.loaded.sky.elements, at)
        for line in warnings:
            warn(line)
        return {
            "warnings": warnings,
            "refused": [asdict(item) for item in refused],
            "elements": None if old is None else {
                "count": old.count,
                "median_age_s": old.median_ns / SECOND,
                "oldest_age_s": old.oldest_ns / SECOND,
                "oldest": old.oldest,
            },
        }  # fmt: skip


def open_setting(places: tuple[str, ...], source: Source) -> Setting:
    """The setting in which all these places are: satellites first, then cities as stations."""
    if sum(map(bool, (source.constellation, source.catalog, source.plan))) != 1:
        raise InputError("usage", "give one of --constellation, --catalog and --plan")
    now = MissionClock().now()
    if source.plan:
        given = read_ion(read_text(Path(source.plan).expanduser()), now)
        names = tuple(given.plan.names[given.plan.index_of(place)] for place in places)
        return Setting(names, given.plan.start, given=given)
    if source.constellation:
        loaded = sky_from_constellation(source.constellation)
    else:
        loaded = load_sky(source.catalog or ())
    sky, names = _with_places(loaded.sky, places)
    return Setting(names, first_instant(sky, now), replace(loaded, sky=sky), policy_for(sky))


def _with_places(sky: Sky, places: tuple[str, ...]) -> tuple[Sky, tuple[str, ...]]:
    """The sky with the cities among these places as stations, and the places' names in it."""
    names, stations = [], dict[str, GroundStation]()
    for place in places:
        found = place_in(sky, place)
        if isinstance(found, int):
            names.append(sky.names[found])
        else:
            stations[found.name] = found
            names.append(found.name)
    return sky.with_stations((*sky.stations, *stations.values())), tuple(names)
