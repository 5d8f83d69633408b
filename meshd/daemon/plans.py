"""Plans: the sky a configuration names, and contact plans that stay ahead of the clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from meshd.adapters.skyfiles import load_sky
from meshd.config import Config
from meshd.ephemeris import Sky, find_city
from meshd.ephemeris.elements import Elements
from meshd.ephemeris.sources import Loaded, sky_from_constellation
from meshd.ephemeris.succession import TICK_NS, Succession, Update
from meshd.ports import ClockPort
from meshd.topology import ContactPlan, LinkPolicy, build_plan, policy_with
from meshd.topology.build import mend_plan
from protocols.types import MINUTE, Instant

WINDOW_NS = 40 * MINUTE
"""A plan reaches this far from the start of its tick."""

AHEAD_NS = 20 * MINUTE
"""When less of the plan is left, the next takes over."""

PLANS_MAX = 4

MENDED_MAX = 40
"""Above so many changed satellites a plan is built anew: each costs some 50 ms of a large sky."""

LINK_RULES = (
    "isl",
    "terminals",
    "min_elevation_deg",
    "cross_plane_latitude_max_deg",
    "ground",
    "antennas",
)
"""Fields of a configuration that say how the link policy differs from what suits the sky."""


class Coming:
    """The updates of a sky that were accepted, and a way to wait for the next."""

    def __init__(self, updates: tuple[Update, ...] = ()) -> None:
        self.updates = updates
        self.news = trio.Event()
        """Set when updates have been accepted; then there is another."""
        self._skies: dict[tuple[str, Instant | None], Sky] = {}

    def take(self, updates: tuple[Update, ...]) -> None:
        """From now on these are the updates."""
        self.updates = updates
        self._skies = {}
        self.news.set()
        self.news = trio.Event()

    def sky_at(self, first: Sky, at: Instant) -> Sky:
        """What a sky has become by an instant."""
        past = max((u.at for u in self.updates if u.at <= at), default=None)
        key, skies = (first.digest, past), self._skies
        if key not in skies:
            skies[key] = Succession(first, self.updates).sky_at(at)
        return skies[key]


@dataclass(frozen=True, slots=True)
class World:
    """What a node predicts from: everyone in a mesh must have the same."""

    sky: Sky
    policy: LinkPolicy
    loaded: Loaded | None = None
    """The same sky, with what is to be known of the files it was read from."""

    coming: Coming = field(default_factory=lambda: Coming())
    """What was accepted to change the sky as time passes."""

    def at(self, instant: Instant) -> World:
        """The world as it is at an instant: `sky` is the one that counts then."""
        return replace(self, sky=self.coming.sky_at(self.sky, instant))

    def warnings(self, at: Instant) -> list[str]:
        """What people should know before they believe this sky at an instant, in lines."""
        return self.loaded.warnings(at) if self.loaded else []


def world_of(config: Config) -> World | None:
    """The sky and link policy a configuration names; None for a node under no sky.

    Raises InputError for a file that cannot be used, NotFound for an unknown preset or city.
    """
    stations = [find_city(name) for name in config.stations]
    if config.constellation:
        loaded = sky_from_constellation(config.constellation, stations)
    elif config.catalog:
        loaded = load_sky(config.catalog, stations)
    else:
        return None
    sky = loaded.sky
    rules = {name: None if (value := getattr(config, name)) == "" else value for name in LINK_RULES}
    return World(sky, policy_with(sky, rules), loaded)


class Plans:
    """Contact plans by window, built in a thread, one for all daemons of the process."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, str, Instant], ContactPlan] = {}
        self._building = trio.Lock()

    async def ahead(
        self, world: World | None, clock: ClockPort
    ) -> AsyncGenerator[ContactPlan, None]:
        """One plan after another, each before the last runs out; none without a sky.

        Where new elements come to count inside a plan, the one that has them takes its place.
        """
        while world is not None:
            since = clock.now()
            plan = await self.at(world, since)
            yield plan
            while clock.now() < plan.end - AHEAD_NS:
                news, end, now = world.coming.news, plan.end - AHEAD_NS, clock.now()
                if await self._is_old(plan, world, now):  # what all others plan by came late
                    plan, since = await self.changed(plan, world, now), now
                    yield plan
                    continue
                change = Succession(world.sky, world.coming.updates).next_after(since)
                if change is None or change > end:
                    await _until(clock, end, news)
                    continue
                changed = await self.changed(plan, world, change)
                await _until(clock, change, news)
                if clock.now() >= change:
                    plan, since = changed, change
                    yield plan

    async def _is_old(self, plan: ContactPlan, world: World, now: Instant) -> bool:
        if not world.coming.updates:
            return False
        return (await trio.to_thread.run_sync(world.at, now)).sky.digest != plan.sky_digest

    async def changed(self, plan: ContactPlan, world: World, at: Instant) -> ContactPlan:
        """The plan of the same window by the elements that count at an instant."""
        now = await trio.to_thread.run_sync(world.at, at)
        key = (now.sky.digest, now.policy.code, plan.start)
        return await self._built(key, partial(_renewed, plan, now))

    async def at(self, world: World, now: Instant) -> ContactPlan:
        """The plan whose tick `now` is in. The loop goes on while it is built."""
        world = await trio.to_thread.run_sync(world.at, now)
        start = now - now % TICK_NS
        key = (world.sky.digest, world.policy.code, start)
        # It goes on from the newest of the same world: states are not made twice.
        last = next((p for k, p in reversed(self._plans.items()) if k[:2] == key[:2]), None)
        window = (start, start + WINDOW_NS)
        return await self._built(key, partial(build_plan, world.sky, world.policy, *window, last))

    async def _built(
        self, key: tuple[str, str, Instant], build: Callable[[], ContactPlan]
    ) -> ContactPlan:
        async with self._building:
            if key not in self._plans:
                self._plans[key] = await trio.to_thread.run_sync(build)
                while len(self._plans) > PLANS_MAX:
                    del self._plans[next(iter(self._plans))]
            return self._plans[key]


def _renewed(plan: ContactPlan, world: World) -> ContactPlan:
    """The plan mended where few elements are others, else built anew: the same either way."""
    before, after = _elements(plan), world.sky.elements
    changed = [site for site, e in enumerate(after) if before is None or before[site] != e]
    if before is None or len(changed) > MENDED_MAX:
        return build_plan(world.sky, world.policy, plan.start, plan.end)
    for site in changed:
        plan = mend_plan(plan, site, after[site])
    assert plan.sky_digest == world.sky.digest and plan.trajectory is not None
    plan.trajectory.whole()  # here, not in the loop at the first search
    return plan


def _elements(plan: ContactPlan) -> tuple[Elements, ...] | None:
    """The elements that a plan was predicted from; None where that is not known."""
    making = plan.derived.get("making")
    return making.sky.elements if making is not None else None


async def _until(clock: ClockPort, instant: Instant, news: trio.Event) -> None:
    """Wait for a mission instant, or for news."""
    with trio.move_on_after(clock.real_seconds_until(instant)):
        await news.wait()
