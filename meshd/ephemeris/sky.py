"""The sky: every site, satellites and ground stations, in one fixed order, and where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from meshd.ephemeris.elements import Catalog
from meshd.ephemeris.hypatia import HypatiaFolder, Wiring
from meshd.ephemeris.hypatia_presets import HYPATIA_RULES, preset_folder
from meshd.ephemeris.names import fold, not_found
from meshd.ephemeris.propagate import (
    CircularJ2,
    Failure,
    Joined,
    Propagator,
    Sgp4,
    States,
)
from meshd.ephemeris.stations import (
    GroundStation,
    check_station,
    ecef_km,
    station_states,
    to_inertial,
    zenith,
)
from meshd.ephemeris.tables import Tables
from meshd.ephemeris.timescale import FloatArray, IntArray
from meshd.ephemeris.walker import Shell, check_shell, code_of, shells_of
from protocols.errors import InputError
from protocols.types import Instant

Kind: TypeAlias = Literal["satellite", "ground"]


@dataclass(frozen=True, slots=True)
class Sky:
    """All sites: satellites first, in catalogue order, then stations in the order given.

    `shells` is the Walker structure of the satellites, shell after shell and plane after plane,
    or empty for a real catalogue; `wiring` is what a folder or preset of Hypatia's prescribes.
    `digest` is sha256 (hex) over elements, wiring and stations: two nodes with the same digest
    number the same sites and place them alike.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    digest: str
    satellites: Propagator
    stations: tuple[GroundStation, ...]
    shells: tuple[Shell, ...]
    wiring: Wiring | None
    _index: dict[str, int] = field(repr=False, compare=False)
    _content: str = field(repr=False, compare=False)

    @property
    def n_sites(self) -> int:
        return len(self.names)

    @property
    def n_satellites(self) -> int:
        return self.satellites.count

    def index_of(self, name: str) -> int:
        """The site of this name, whatever its case; NotFound "unknown-site" offers the nearest."""
        site = self._index.get(fold(name))
        if site is None:
            raise not_found("unknown-site", "site", name, self.names)
        return site

    def states(self, at: Instant) -> States:
        """Inertial positions (km) and velocities (km/s) of all sites, each (n_sites, 3).

        A satellite that SGP4 cannot place has NaN; `failures` names it and says why.
        """
        positions, velocities = self.states_at(np.array([at], dtype=np.int64))
        return positions[0], velocities[0]

    def states_at(self, instants: IntArray) -> States:
        """`states` over K instants (int64): each (K, n_sites, 3)."""
        instants = np.asarray(instants, dtype=np.int64)
        positions, velocities = self.satellites.states(instants)
        if not self.stations:
            return positions, velocities
        ground, ground_velocities = station_states(ecef_km(self.stations), instants)
        return (
            np.concatenate([positions, ground], axis=1),
            np.concatenate([velocities, ground_velocities], axis=1),
        )

    def zeniths(self, instants: IntArray) -> FloatArray:
        """Inertial unit vectors straight up at each station: (K, stations, 3)."""
        return to_inertial(zenith(self.stations), np.asarray(instants, dtype=np.int64))

    def failures(self, instants: IntArray) -> tuple[Failure, ...]:
        """The satellites that have no state at one of these instants, and why."""
        return self.satellites.failures(np.asarray(instants, dtype=np.int64))

    def with_stations(self, stations: Sequence[GroundStation]) -> Sky:
        """The same satellites seen from other stations."""
        names = self.names[: self.n_satellites]
        return _sky(self.satellites, names, stations, self.shells, self._content, self.wiring)


def sky_from_preset(name_or_code: str, stations: Sequence[GroundStation] = ()) -> Sky:
    """The sky of a preset (`iridium`) or of a constellation code, seen from some stations.

    Hypatia's (`hypatia:kuiper_630`) have its cities before any others. Raises what `shells_of`
    raises, and InputError "bad-station" or "duplicate-name".
    """
    name = name_or_code.strip().lower()
    if name.startswith(HYPATIA_RULES):
        return sky_from_folder(preset_folder(name), stations)
    return sky_from_shells(shells_of(name_or_code), stations)


def sky_from_shells(shells: Sequence[Shell], stations: Sequence[GroundStation] = ()) -> Sky:
    """The sky of Walker shells in the order given."""
    checked = tuple(check_shell(shell) for shell in shells)
    names = tuple(name for shell in checked for name in shell.satellite_names())
    content = "".join(f"shell {shell.name} {code_of(shell)}\n" for shell in checked)
    return _sky(CircularJ2.of(checked), names, stations, checked, content)


def sky_from_catalog(catalog: Catalog, stations: Sequence[GroundStation] = ()) -> Sky:
    """The sky of a catalogue of real satellites, seen from some stations.

    Satellites that share a name get their catalogue number after it. Raises InputError
    "bad-station" or "duplicate-name".
    """
    satellites = Sgp4.of(catalog.elements)
    return _sky(satellites, _names(catalog), stations, (), f"catalog {catalog.digest}\n")


def sky_from_folder(folder: HypatiaFolder, stations: Sequence[GroundStation] = ()) -> Sky:
    """The sky of a folder of Hypatia's, or of a preset: its own stations, then the others.

    A station that has the name of one of the folder's is that one.
    """
    own = {fold(station.name) for station in folder.stations}
    more = [station for station in stations if fold(station.name) not in own]
    told = repr(folder.wiring).encode()
    content = f"catalog {folder.catalog.digest}\nwiring {hashlib.sha256(told).hexdigest()}\n"
    satellites, names = Sgp4.of(folder.catalog.elements), _names(folder.catalog)
    return _sky(satellites, names, (*folder.stations, *more), (), content, folder.wiring)


def sky_from_tables(
    tables: Tables, catalog: Catalog | None, stations: Sequence[GroundStation] = ()
) -> Sky:
    """The sky of satellites with tables of states, after those of a catalogue, if there is one.

    Raises InputError "bad-station" or "duplicate-name".
    """
    content = f"tables {tables.digest}\n"
    if catalog is None:
        return _sky(tables, tables.names, stations, (), content)
    satellites = Joined((Sgp4.of(catalog.elements), tables))
    names = (*_names(catalog), *tables.names)
    return _sky(satellites, names, stations, (), f"catalog {catalog.digest}\n{content}")


def _names(catalog: Catalog) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for e in catalog.elements:
        counts[fold(e.name)] = counts.get(fold(e.name), 0) + 1
    return tuple(
        e.name if counts[fold(e.name)] == 1 else f"{e.name}-{e.norad_id}" for e in catalog.elements
    )


def _sky(
    satellites: Propagator,
    satellite_names: Sequence[str],
    stations: Sequence[GroundStation],
    shells: tuple[Shell, ...],
    content: str,
    wiring: Wiring | None = None,
) -> Sky:
    placed = tuple(check_station(station) for station in stations)
    names = (*satellite_names, *(station.name for station in placed))
    index: dict[str, int] = {}
    for site, name in enumerate(names):
        if index.setdefault(fold(name), site) != site:
            raise InputError("duplicate-name", f"two sites are called {name!r}")
    kinds: list[Kind] = ["satellite"] * len(satellite_names)
    kinds += ["ground"] * len(placed)
    ground = "".join(
        f"ground {s.name}|{s.latitude_deg!r}|{s.longitude_deg!r}|{s.altitude_km!r}\n"
        for s in placed
    )
    digest = hashlib.sha256((content + ground).encode()).hexdigest()
    return Sky(names, tuple(kinds), digest, satellites, placed, shells, wiring, index, content)
