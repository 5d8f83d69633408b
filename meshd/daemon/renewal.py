"""Renewal: new elements that an operator gives a running daemon, to count from a later tick.

Every node of a mesh is to be given the same ones for the same instant: until gossip carries them,
that is the operator's to see to. Nodes that plan by other elements greet each other no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.adapters.updates import write_updates
from meshd.daemon.plans import World
from meshd.ephemeris.formats import Document
from meshd.ephemeris.sources import sky_from_documents
from meshd.ephemeris.succession import Succession, Update
from meshd.ephemeris.timescale import format_time, parse_time
from protocols.errors import InputError, NotFound
from protocols.types import Instant

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

REFUSED_SHOWN_MAX = 100


class Renewal:
    """What `meshd elements` asks of one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._turn = trio.Lock()
        """One update at a time: each builds on the last."""

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
        async with self._turn:
            loaded = await trio.to_thread.run_sync(
                sky_from_documents, [Document(name, text) for name, text in documents.items()]
            )
            before = Succession(world.sky, world.coming.updates)
            update = Update(when, loaded.sky.elements)
            after, useless = await trio.to_thread.run_sync(before.accept, update, now)
            await trio.to_thread.run_sync(write_updates, self._daemon.home, after.updates)
            world.coming.take(after.updates)
        refused = [asdict(item) for item in (*loaded.refused, *useless)]
        return {
            "at": format_time(when),
            "taken": len(update.elements) - len(useless),
            "refused": refused[:REFUSED_SHOWN_MAX],
            "refused_count": len(refused),
            "sky": (await trio.to_thread.run_sync(world.at, when)).sky.digest,
        }

    def _world(self) -> World:
        world = self._daemon.world
        if world is None:
            message = "this daemon has no sky; start it with --catalog to give it new elements"
            raise NotFound("no-plan", message)
        if not world.sky.elements:
            raise InputError("bad-elements", "the satellites of this sky have no elements")
        return world


def _told(update: Update, world: World) -> Json:
    at: Instant = update.at
    sky = world.at(at).sky.digest
    return {"at": format_time(at), "satellites": len(update.elements), "sky": sky}
