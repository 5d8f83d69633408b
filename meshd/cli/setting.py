"""What offline commands predict from: a sky and its policy, or a contact plan that was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from meshd.adapters.clock import MissionClock
from meshd.adapters.skyfiles import load_sky, read_text
from meshd.ephemeris import GroundStation, Sky, parse_time, sky_from_preset
from meshd.ephemeris.elements import Refused
from meshd.ephemeris.places import first_instant, place_in
from meshd.ephemeris.sources import Loaded, refusals_told
from meshd.exchange.ion import read_ion
from meshd.router.changes import SightAt
from meshd.topology import ContactPlan, LinkPolicy, build_plan, policy_for
from meshd.topology.reasons import Sight
from protocols.errors import InputError
from protocols.types import Duration, Instant

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
    """A source, opened: `names` are those of the places asked for; `now` is when to begin.

    `told` is what every answer says of what was not taken.
    """

    sky: Sky | None
    policy: LinkPolicy | None
    names: tuple[str, ...]
    now: Instant
    told: dict[str, Any]
    given: ContactPlan | None = field(default=None, repr=False)

    def at(self, text: str | None) -> Instant:
        """The instant that a person typed, or the first there is."""
        return parse_time(text, self.now) if text else self.now

    def plan(self, start: Instant, end: Instant) -> ContactPlan:
        """The contacts of a span. Raises InputError "bad-window" where a given plan has none."""
        if self.given is None:
            assert self.sky is not None and self.policy is not None
            return build_plan(self.sky, self.policy, start, end)
        if not self.given.start <= start < self.given.end:
            raise InputError("bad-window", "this plan has no contacts then: give another --at")
        return self.given

    def sight_at(self) -> SightAt:
        """Where everybody is at an instant, to say why; None for a given plan."""
        sky, policy = self.sky, self.policy
        if sky is None or policy is None:
            return lambda at: None
        return lambda at: Sight.of(sky, policy, at)

    def end_of(self, start: Instant, length: Duration) -> Instant:
        """Where a span from an instant on ends: at the end of a given plan at the latest."""
        return start + length if self.given is None else min(start + length, self.given.end)


def open_setting(places: tuple[str, ...], source: Source, warn: Warn) -> Setting:
    """The setting in which all these places are; people hear at once what was not taken."""
    if sum(map(bool, (source.constellation, source.catalog, source.plan))) != 1:
        raise InputError("usage", "give one of --constellation, --catalog and --plan")
    now = MissionClock().now()
    if source.plan:
        given = read_ion(read_text(Path(source.plan).expanduser()), now)
        told = _told(given.refused, warn)
        names = tuple(given.plan.names[given.plan.index_of(place)] for place in places)
        return Setting(None, None, names, given.plan.start, told, given.plan)
    loaded = (
        Loaded(sky_from_preset(source.constellation))
        if source.constellation
        else load_sky(source.catalog or ())
    )
    told = _told(loaded.refused, warn)
    sky, names = _with_places(loaded.sky, places)
    return Setting(sky, policy_for(sky), names, first_instant(sky, now), told)


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


def _told(refused: tuple[Refused, ...], warn: Warn) -> dict[str, Any]:
    warnings = refusals_told(refused)
    for line in warnings:
        warn(line)
    return {"warnings": warnings, "refused": [asdict(item) for item in refused]}
