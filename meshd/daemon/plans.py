"""Plans: the sky a configuration names, and contact plans that stay ahead of the clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

import trio

from meshd.adapters.skyfiles import load_sky
from meshd.config import Config
from meshd.ephemeris import Sky, find_city
from meshd.ephemeris.sources import Loaded, sky_from_constellation
from meshd.ports import ClockPort
from meshd.topology import ContactPlan, LinkPolicy, build_plan, policy_with
from protocols.types import MINUTE, Instant

WINDOW_NS = 40 * MINUTE
"""A plan reaches this far from the start of its tick."""

TICK_NS = 10 * MINUTE
"""Plans are cut on these ticks of UTC, so that all nodes build the same ones."""

AHEAD_NS = 20 * MINUTE
"""When less of the plan is left, the next takes over."""

PLANS_MAX = 4

LINK_RULES = (
    "isl",
    "terminals",
    "min_elevation_deg",
    "cross_plane_latitude_max_deg",
    "ground",
    "antennas",
)
"""Fields of a configuration that say how the link policy differs from what suits the sky."""


@dataclass(frozen=True, slots=True)
class World:
    """What a node predicts from: everyone in a mesh must have the same."""

    sky: Sky
    policy: LinkPolicy
    loaded: Loaded | None = None
    """The same sky, with what is to be known of the files it was read from."""

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
        """One plan after another, each before the last runs out; none without a sky."""
        while world is not None:
            plan = await self.at(world, clock.now())
            yield plan
            await trio.sleep(clock.real_seconds_until(plan.end - AHEAD_NS))

    async def at(self, world: World, now: Instant) -> ContactPlan:
        """The plan whose tick `now` is in. The loop goes on while it is built."""
        start = now - now % TICK_NS
        key = (world.sky.digest, world.policy.code, start)
        async with self._building:
            if key not in self._plans:
                window = (start, start + WINDOW_NS)
                # It goes on from the newest of the same world: states are not made twice.
                last = next((p for k, p in reversed(self._plans.items()) if k[:2] == key[:2]), None)
                build = partial(build_plan, world.sky, world.policy, *window, last)
                self._plans[key] = await trio.to_thread.run_sync(build)
                while len(self._plans) > PLANS_MAX:
                    del self._plans[next(iter(self._plans))]
            return self._plans[key]
