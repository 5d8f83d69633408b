"""Shells and planes read off a catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from skies import NOON, SHELLS, sky_of, untidy_elements

from meshd.ephemeris import parse_catalog, sky_from_catalog, sky_from_preset
from meshd.ephemeris.mean import mean_elements
from meshd.topology.structure import structure_of

SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="../shared is not here")


def test_shells_are_found_as_they_were_made() -> None:
    elements = untidy_elements()
    found = structure_of(mean_elements(sky_of(elements).satellites, NOON))
    made = sorted((inclination, height, planes) for height, inclination, planes, _ in SHELLS)
    assert len(found.shells) == len(made)
    for shell, (inclination, height, planes) in zip(found.shells, made, strict=True):
        assert shell.inclination_deg == pytest.approx(inclination, abs=0.01)
        assert shell.altitude_km == pytest.approx(height, abs=10.0)  # Kozai's and Brouwer's motion
        assert shell.planes == planes
    assert found.strays == 8
    assert sum(shell.satellites for shell in found.shells) == len(elements) - 8


def test_circular_shells_have_no_mean_elements_of_sgp4() -> None:
    sky = sky_from_preset("iridium")
    found = structure_of(mean_elements(sky.satellites, NOON))
    assert (found.shells, found.strays) == ((), 66)


@needs_shared
@pytest.mark.parametrize(
    ("name", "shells", "in_shells", "in_planes", "planes"),
    [("starlink", 17, 7_945, 7_881, 416), ("oneweb", 1, 642, 642, 12)],
)
def test_structure_of_real_catalogues(
    name: str, shells: int, in_shells: int, in_planes: int, planes: int
) -> None:
    """The figures of the prototypes, which found them by other code."""
    text = (SHARED / f"catalog/{name}-2025-09-23.tle").read_text()
    sky = sky_from_catalog(parse_catalog(text))
    found = structure_of(mean_elements(sky.satellites, NOON))
    assert len(found.shells) == shells
    assert int((found.shell >= 0).sum()) == in_shells
    assert int((found.plane >= 0).sum()) == in_planes
    assert found.planes == planes
