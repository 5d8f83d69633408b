"""Setting: where a scenario takes place: its sky, plan, nodes and cables, for any driver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from meshd.ephemeris import (
    Catalog,
    Kind,
    Sky,
    find_city,
    parse_catalog,
    parse_duration,
    sky_from_catalog,
    sky_from_preset,
)
from meshd.topology import ContactPlan, LinkPolicy, build_plan, plan_from_contacts, policy_with
from protocols.errors import MeshError
from protocols.types import MINUTE, Duration
from sim.scenario.errors import ScenarioError
from sim.scenario.names import select
from sim.scenario.schema import Link, Scenario, Subset

PLAN_MARGIN_NS = 10 * MINUTE
"""The plan goes on beyond the end of the run, so that routes near it see what comes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """`names` are the nodes there are; sites of the plan without one are absent to the routers.

    `sky` and `policy` are what daemons predict from; None for given contacts and for cables.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    plan: ContactPlan | None
    sky: Sky | None = None
    policy: LinkPolicy | None = None
    cables: tuple[tuple[str, str, Duration], ...] = ()
    folder: Path = Path()
    """Where the scenario's files are."""

    def is_site(self, name: str) -> bool:
        """Whether the plan has a place of this name."""
        return self.plan is not None and name in self.plan.names

    @property
    def stations(self) -> tuple[str, ...]:
        """The nodes on the ground; all of them where nobody has an orbit."""
        pairs = zip(self.names, self.kinds, strict=True)
        return tuple(name for name, kind in pairs if kind == "ground") or self.names


def setting_of(scenario: Scenario, folder: Path) -> Setting:
    """Predict what a scenario needs. `folder` is where its files are. Raises ScenarioError."""
    if scenario.members:
        return _laboratory(scenario)
    sky = _sky(scenario, folder)
    try:
        policy = _policy(scenario.link, sky)
        plan = build_plan(sky, policy, scenario.start, scenario.end + PLAN_MARGIN_NS)
    except MeshError as error:
        raise ScenarioError(error.message, "link") from None
    kinds = dict(zip(sky.names, sky.kinds, strict=True))
    flying = tuple(name for name in sky.names if kinds[name] == "satellite")
    if not scenario.catalog:
        flying = _subset(scenario.subset, flying)
    names = (*flying, *(station.name for station in sky.stations))
    of = tuple(kinds[name] for name in names)
    return Setting(names, of, plan, sky, policy, folder=folder)


def _laboratory(scenario: Scenario) -> Setting:
    """Named nodes without orbits. Those in given contacts are satellites of a given plan."""
    names, start = scenario.members, scenario.start
    if len(set(names)) < len(names):
        raise ScenarioError("two members have one name", "members")
    index = {name: site for site, name in enumerate(names)}
    rows = []
    for number, window in enumerate(scenario.contacts):
        a, b = (_member(n, index, f"contacts[{number}].between") for n in window.between)
        begin, finish = parse_duration(window.begin), parse_duration(window.finish)
        if not begin < finish or a == b:
            raise ScenarioError(
                "a contact joins two and ends after it begins", f"contacts[{number}]"
            )
        rows.append((a, b, start + begin, start + finish))
    cables = []
    for number, cable in enumerate(scenario.cables):
        for name in cable.between:
            _member(name, index, f"cables[{number}].between")
        cables.append((*cable.between, parse_duration(cable.light)))
    kinds: tuple[Kind, ...] = tuple("satellite" for _ in names)
    plan = None
    if rows:
        light, window_ns = parse_duration(scenario.contact_light), scenario.end + PLAN_MARGIN_NS
        plan = plan_from_contacts(kinds, rows, light, (start, window_ns), names)
    return Setting(names, kinds, plan, cables=tuple(cables))


def _member(name: str, index: dict[str, int], where: str) -> int:
    if name not in index:
        raise ScenarioError(f"no member is called {name!r}", where)
    return index[name]


def _sky(scenario: Scenario, folder: Path) -> Sky:
    stations = []
    for number, name in enumerate(scenario.stations):
        try:
            stations.append(find_city(name))
        except MeshError as error:
            raise ScenarioError(error.message, f"stations[{number}]") from None
    try:
        if scenario.constellation:
            return sky_from_preset(scenario.constellation, stations)
        return sky_from_catalog(_catalog(scenario, folder), stations)
    except ScenarioError:
        raise
    except MeshError as error:
        where = "constellation" if scenario.constellation else "catalog"
        raise ScenarioError(error.message, where) from None


def _catalog(scenario: Scenario, folder: Path) -> Catalog:
    """The elements of the satellites that have a daemon: the others need no prediction."""
    path = folder / scenario.catalog
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"cannot read {path}: {error}", "catalog") from None
    catalog = parse_catalog(text)
    wanted = _subset(scenario.subset, tuple(e.name for e in catalog.elements))
    kept = set(wanted)
    return replace(catalog, elements=tuple(e for e in catalog.elements if e.name in kept))


def _subset(subset: Subset, names: tuple[str, ...]) -> tuple[str, ...]:
    chosen = select(names, subset.satellites, "subset.satellites")
    return chosen[:: subset.every][: subset.count_max]


def _policy(link: Link, sky: Sky) -> LinkPolicy:
    """The sky's own policy, with what the scenario says otherwise."""
    rules = {name: getattr(link, name) for name in Link.__struct_fields__ if name != "loss"}
    return policy_with(sky, rules)
