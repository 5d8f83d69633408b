"""The sky: every site, satellites and ground stations, in one fixed order, and where they are."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from meshd.ephemeris.elements import Catalog, Elements
from meshd.ephemeris.hypatia import HypatiaFolder, Wiring
from meshd.ephemeris.hypatia_presets import HYPATIA_RULES, preset_folder
from meshd.ephemeris.names import fold, not_found
from meshd.ephemeris.presets import shells_of
from meshd.ephemeris.propagate import (
    Failure,
    Joined,
    Propagator,
    Sgp4,
    States,
)
from meshd.ephemeris.secular import fly
from meshd.ephemeris.shellcode import code_of
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
from meshd.ephemeris.walker import SATELLITES_MAX, Shell, check_shell
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

    @property
    def elements(self) -> tuple[Elements, ...]:
        """The element sets of those satellites that have some."""
        parts = self.satellites.parts if isinstance(self.satellites, Joined) else (self.satellites,)
        return tuple(e for part in parts if isinstance(part, Sgp4) for e in part.elements)

    def index_of(self, name: str) -> int:
        """The site of this name, whatever its case; NotFound "unknown-site" offers the nearest."""
        site = _find(fold(name), self._index, self.shells)
        if site is None:
            known = (*(station.name for station in self.stations), *self.names)
            raise not_found("unknown-site", "site", name, known)
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

    def with_elements(self, satellite: int, elements: Elements) -> Sky:
        """The same sky after one satellite's elements have changed; raises as `with_newer`."""
        return self.with_newer({satellite: elements})

    def with_newer(self, elements: Mapping[int, Elements]) -> Sky:
        """The same sky after the elements of some satellites have changed.

        Raises InputError "bad-elements" where satellites are not propagated from elements.
        """
        if not isinstance(self.satellites, Sgp4):
            raise InputError("bad-elements", "the satellites of this sky have no elements")
        changed = self.satellites.changed(elements)
        content = self._content.replace(self.satellites.digest(), changed.digest())
        digest = hashlib.sha256((content + _told(self.stations)).encode()).hexdigest()
        return replace(self, satellites=changed, digest=digest, _content=content)


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
    if len({fold(shell.name) for shell in checked}) < len(checked):
        raise InputError("duplicate-name", "two shells have one name")
    if sum(shell.total for shell in checked) > SATELLITES_MAX:
        raise InputError("bad-shell", f"at most {SATELLITES_MAX} satellites in one sky")
    names = tuple(name for shell in checked for name in shell.satellite_names())
    content = "".join(f"shell {shell.name} {code_of(shell)}\n" for shell in checked)
    return _sky(fly(checked), names, stations, checked, content)


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
    counts = Counter(fold(e.name) for e in catalog.elements)
    if len(counts) == len(catalog.elements):
        return tuple(e.name for e in catalog.elements)
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
    first = len(satellite_names) if shells else 0
    index: dict[str, int] = {}
    for site, name in enumerate(names[first:], start=first):
        if index.setdefault(fold(name), site) != site or _find(fold(name), {}, shells) is not None:
            raise InputError("duplicate-name", f"two sites are called {name!r}")
    kinds: list[Kind] = ["satellite"] * len(satellite_names)
    kinds += ["ground"] * len(placed)
    digest = hashlib.sha256((content + _told(placed)).encode()).hexdigest()
    return Sky(names, tuple(kinds), digest, satellites, placed, shells, wiring, index, content)


def _told(stations: Sequence[GroundStation]) -> str:
    return "".join(
        f"ground {s.name}|{s.latitude_deg!r}|{s.longitude_deg!r}|{s.altitude_km!r}\n"
        for s in stations
    )


_IN_SHELL = re.compile(r"(?P<shell>.+)-(?P<plane>[1-9]\d*)-(?P<slot>[1-9]\d*)", re.ASCII)


def _find(folded: str, index: Mapping[str, int], shells: tuple[Shell, ...]) -> int | None:
    """The site of a folded name: listed, or a place in a shell, whose names follow a rule.

    A list of a million such names would be 150 MB and take seconds to make.
    """
    site = index.get(folded)
    match = _IN_SHELL.fullmatch(folded) if site is None and shells else None
    if match is None:
        return site
    plane, slot, base = int(match["plane"]), int(match["slot"]), 0
    for shell in shells:
        if fold(shell.name) == match["shell"] and plane <= shell.planes and slot <= shell.slots:
            return base + (plane - 1) * shell.slots + slot - 1
        base += shell.total
    return None
