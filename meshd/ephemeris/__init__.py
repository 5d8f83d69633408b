"""Where everything is: elements, propagation, constellations and ground stations."""

from meshd.ephemeris.cities import CITIES, find_city
from meshd.ephemeris.elements import Catalog, Elements, Refused, check_elements
from meshd.ephemeris.formats import parse_catalog
from meshd.ephemeris.presets import CONSTELLATIONS, PRESETS, shells_of
from meshd.ephemeris.propagate import Failure, Sgp4
from meshd.ephemeris.secular import CircularJ2
from meshd.ephemeris.shellcode import code_of, parse_code
from meshd.ephemeris.sky import Kind, Sky, sky_from_catalog, sky_from_preset, sky_from_shells
from meshd.ephemeris.stations import GroundStation, great_circle_km
from meshd.ephemeris.timescale import (
    format_time,
    from_julian_date,
    gmst,
    julian_date,
    parse_duration,
    parse_time,
)
from meshd.ephemeris.tle import parse_tle
from meshd.ephemeris.walker import WALKER_EPOCH, Shell

__all__ = [
    "CITIES",
    "CONSTELLATIONS",
    "PRESETS",
    "WALKER_EPOCH",
    "Catalog",
    "CircularJ2",
    "Elements",
    "Failure",
    "GroundStation",
    "Kind",
    "Refused",
    "Sgp4",
    "Shell",
    "Sky",
    "check_elements",
    "code_of",
    "find_city",
    "format_time",
    "from_julian_date",
    "gmst",
    "great_circle_km",
    "julian_date",
    "parse_catalog",
    "parse_code",
    "parse_duration",
    "parse_time",
    "parse_tle",
    "shells_of",
    "sky_from_catalog",
    "sky_from_preset",
    "sky_from_shells",
]
