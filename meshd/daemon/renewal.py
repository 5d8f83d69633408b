"""Renewal: new elements for a running daemon: given to it alone, or told to all by gossip.

What an operator gives to one daemon must be given to all, for the same instant. What is published
reaches everyone as signed records, each by its time or, late, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.adapters.updates import write_updates
from meshd.daemon.plans import World
from meshd.ephemeris.elements import Elements, Refused
from meshd.ephemeris.formats import Document
from meshd.ephemeris.published import ORBIT_TTL_NS, elements_of, orbit_of
from meshd.ephemeris.sources import sky_from_documents
from meshd.ephemeris.succession import Succession, Update, check_time
from meshd.ephemeris.timescale import format_time, parse_time
from meshd.seam import Publish
from protocols.errors import InputError, MeshError, NotFound
from protocols.record import Orbit, Statement
from protocols.types import Instant

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

REFUSED_SHOWN_MAX = 100
HEARD_MAX = 16_384
"""Orbits that wait to be taken: those of one more catalogue than there is."""

GATHER_S = 0.2
"""A catalogue comes as many records: they are taken together."""


class Renewal:
    """What `meshd elements` asks of one daemon, and what gossip brings it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._turn = trio.Lock()
        """One update at a time: each builds on the last."""
        self._heard: list[Orbit] = []
        self._news = trio.Event()

    # --- gossip ---------------------------------------------------------------------------------

    def hear(self, orbit: Orbit) -> None:
        """Take elements that somebody entitled has published, soon."""
        if self._daemon.world is not None and len(self._heard) < HEARD_MAX:
            self._heard.append(orbit)
            self._news.set()

    async def run(self) -> None:
        """Take what is heard, until cancelled."""
        while True:
            await self._news.wait()
            await trio.sleep(GATHER_S)
            heard, self._heard, self._news = self._heard, [], trio.Event()
            for at in sorted({orbit.at for orbit in heard}):
                sets = [elements_of(orbit) for orbit in heard if orbit.at == at]
                try:
                    await self._take(Update(at, tuple(sets)))
                except InputError:
                    continue  # nothing newer in it, or no satellite of this sky

    async def publish(self, at: str, documents: Mapping[str, str]) -> Json:
        """Sign the element sets of some files as this node, and have gossip spread them.

        Raises MeshError with the code by which others would refuse the first of them.
        """
        daemon, now = self._daemon, self._daemon.shared.clock.now()
        when = parse_time(at, now)
        elements, refused = await self._read(documents)
        self._world()
        check_time(when, now)
        me, shown = daemon.identity.node_id, daemon.node.config.trust.certificate
        orbits = [orbit_of(e, when, shown) for e in elements]
        for orbit in orbits:
            code = daemon.node.trust.refusal(Statement(me, 0, now, 0, orbit), now)
            if code:
                raise MeshError(code, f"this node may not publish elements of {orbit.name}")
        for orbit in orbits:
            daemon.driver.post(Publish(orbit, ORBIT_TTL_NS))
        return _answer(when, len(orbits), refused)

    # --- this daemon ----------------------------------------------------------------------------

    def view(self) -> Json:
        """The sky of now, and what waits for its time."""
        world, now = self._world(), self._daemon.shared.clock.now()
        waiting = Succession(world.sky, world.coming.updates).waiting(now)
        return {
            "at": format_time(now),
            "sky": world.at(now).sky.digest,
            "waiting": [_told(update, world) for update in waiting],
        }

    async def accept(self, at: str, documents: Mapping[str, str]) -> Json:
        """Take the element sets of some files, by name, to count from an instant.

        Raises what `Succession.accept` and `sky_from_documents` raise; MeshError
        "unwritable-file".
        """
        world, now = self._world(), self._daemon.shared.clock.now()
        when = parse_time(at, now)
        check_time(when, now)
        elements, refused = await self._read(documents)
        useless = await self._take(Update(when, elements), by_name=False)
        sky = (await trio.to_thread.run_sync(world.at, when)).sky.digest
        taken = len(elements) - len(useless)
        return {**_answer(when, taken, (*refused, *useless)), "sky": sky}

    async def _read(
        self, documents: Mapping[str, str]
    ) -> tuple[tuple[Elements, ...], tuple[Refused, ...]]:
        files = [Document(name, text) for name, text in documents.items()]
        loaded = await trio.to_thread.run_sync(sky_from_documents, files)
        return loaded.sky.elements, loaded.refused

    async def _take(self, update: Update, *, by_name: bool = True) -> tuple[Refused, ...]:
        """Have them on disk, then in the sky; those that are of no use. InputError if all are."""
        world, now = self._world(), self._daemon.shared.clock.now()
        async with self._turn:
            before = Succession(world.sky, world.coming.updates)

            def told() -> tuple[Succession, tuple[Refused, ...]]:
                return before.told(update, now, by_name=by_name)

            after, useless = await trio.to_thread.run_sync(told)
            await trio.to_thread.run_sync(write_updates, self._daemon.home, after.updates)
            world.coming.take(after.updates)
        return useless

    def _world(self) -> World:
        world = self._daemon.world
        if world is None:
            message = "this daemon has no sky; start it with --catalog to give it new elements"
            raise NotFound("no-plan", message)
        if not world.sky.elements:
            raise InputError("bad-elements", "the satellites of this sky have no elements")
        return world


def _answer(at: Instant, taken: int, refused: tuple[Refused, ...]) -> Json:
    return {
        "at": format_time(at),
        "taken": taken,
        "refused": [asdict(item) for item in refused[:REFUSED_SHOWN_MAX]],
        "refused_count": len(refused),
    }


def _told(update: Update, world: World) -> Json:
    at: Instant = update.at
    sky = world.at(at).sky.digest
    return {"at": format_time(at), "satellites": len(update.elements), "sky": sky}
