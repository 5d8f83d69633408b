"""The mesh of a sky under a policy, for `meshd topology`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from meshd.adapters.clock import MissionClock
from meshd.adapters.skyfiles import load_sky
from meshd.ephemeris import Sky, find_city, format_time, parse_time
from meshd.ephemeris.mean import mean_elements
from meshd.ephemeris.sources import sky_from_constellation
from meshd.jobs.cutting import read_file
from meshd.router.offline import links_span
from meshd.topology import ContactPlan, LinkPolicy, build_plan, policy_with
from meshd.topology.changes import changes_between
from meshd.topology.figures import figures_of
from meshd.topology.packed import pack, unpack
from meshd.topology.structure import Structure, structure_of
from protocols.errors import InputError
from protocols.types import MINUTE, SECOND, Instant


class Wish(NamedTuple):
    """What a person asks of a policy; None for what suits the sky."""

    isl: str | None
    terminals: int | None
    ground: str | None
    antennas: int | None


@dataclass(frozen=True, slots=True)
class Mesh:
    """A sky, its structure, and its plan, with the seconds that they took."""

    sky: Sky
    structure: Structure
    policy: LinkPolicy
    plan: ContactPlan
    seconds: float
    warnings: list[str]
    refused: list[dict[str, Any]]
    packed: bytes
    """The plan as it is saved."""

    def save(self, path: Path) -> None:
        """Write the plan, whole or not at all."""
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(self.packed)
        part.replace(path)

    def answer(self, against: Path | None) -> dict[str, Any]:
        """Figures by name; with a saved plan, how many contacts differ from it."""
        plan, structure = self.plan, self.structure
        figures = figures_of(plan, self.sky.n_satellites)
        found: dict[str, Any] = {
            "from": format_time(plan.start),
            "until": format_time(plan.end),
            "policy": self.policy.isl,
            "satellites": self.sky.n_satellites,
            "shells": len(structure.shells),
            "planes": structure.planes,
            "strays": structure.strays,
            **figures._asdict(),
            "plan_bytes": len(self.packed),
            "seconds": round(self.seconds, 3),
            "sites_failed": len(plan.sites_failed),
            "fitted_shells": [asdict(shell) for shell in structure.shells],
            "warnings": self.warnings,
            "refused": self.refused,
        }
        if against is not None:
            changes = changes_between(unpack(read_file(against, "plan"), self.sky), plan)
            found["changes"] = {"gone": len(changes.gone), "fresh": len(changes.fresh)}
        return found


def mesh_of(
    files: Sequence[str] | None,
    constellation: str | None,
    wish: Wish,
    span: tuple[str | None, str],
    cities: Sequence[str],
) -> Mesh:
    """The mesh of files or of a preset over a span (from, for), with stations in these cities."""
    if bool(files) == bool(constellation):
        raise InputError("usage", "give files of elements, or --constellation with a preset")
    loaded = sky_from_constellation(constellation) if constellation else load_sky(files or ())
    sky = loaded.sky.with_stations((*loaded.sky.stations, *map(find_city, cities)))
    start = _start(sky, span[0])
    policy = policy_with(sky, wish._asdict())
    clock = MissionClock()
    structure = structure_of(mean_elements(sky.satellites, start))
    plan = build_plan(sky, policy, start, start + links_span(span[1]))
    took = (clock.now() - clock.epoch) / SECOND
    refused = [asdict(item) for item in loaded.refused]
    warnings = loaded.warnings(start)
    return Mesh(sky, structure, policy, plan, took, warnings, refused, pack(plan))


def _start(sky: Sky, text: str | None) -> Instant:
    now = MissionClock().now()
    if text is not None:
        return parse_time(text, now)
    epochs = sky.satellites.epochs()
    newest = now if epochs is None else int(epochs.max())
    return newest - newest % MINUTE
