"""Hypatia's folders are read as they stand, and what contradicts itself in one is told."""

from __future__ import annotations

import pytest

from meshd.ephemeris.hypatia import read_folder
from meshd.ephemeris.propagate import EARTH_RADIUS_KM
from meshd.ephemeris.sources import sky_from_hypatia
from meshd.ephemeris.timescale import parse_time
from meshd.ephemeris.tle import checksum
from protocols.errors import InputError

EPOCH = parse_time("2000-01-01T00:00:00Z")


def folder(
    planes: int = 3, slots: int = 4, turns: float = 14.8, name: str = "Kuiper-630"
) -> dict[str, str]:
    """A folder by Hypatia's rules: half a slot of stagger, numbers to four decimals."""
    lines = [f"{planes} {slots}"]
    for plane in range(planes):
        for slot in range(slots):
            anomaly = slot * 360 / slots + (180 / slots if plane % 2 else 0)
            number = plane * slots + slot
            pair = (
                f"1 {number + 1:05d}U 00000ABC 00001.00000000  .00000000  00000-0  00000+0 0    0",
                f"2 {number + 1:05d} {51.9:8.4f} {plane * 360 / planes:8.4f} 0000001 "
                f"{0:8.4f} {anomaly:8.4f} {turns:11.8f}    0",
            )
            lines += [f"{name} {number}", *(row[:68] + str(checksum(row)) for row in pair)]
    return {
        "tles.txt": "\n".join(lines) + "\n",
        "ground_stations.txt": "0,Tokyo,35.689500,139.691710,0.000000,-3954843.5,3354936.1,3.7e6\n"
        "1,Sao-Paulo,-23.547500,-46.636110,40.000000,1.0,2.0,3.0\n",
        "isls.txt": "0 1\n1 2\n4 0\n",
        "description.txt": "max_gsl_length_m=1260000.0000000000\n"
        "max_isl_length_m=5442958.2030362869\n",
    }  # fmt: skip


def test_nodes_keep_their_numbers() -> None:
    loaded = sky_from_hypatia(folder())
    found = read_folder(folder())
    assert (found.planes, found.slots) == (3, 4)
    assert found.isls == ((0, 1), (1, 2), (4, 0))
    assert loaded.sky.wiring is not None
    assert loaded.sky.wiring.ground_range_max_km == 1_260.0
    names = loaded.sky.names
    assert names[:2] == ("Kuiper-630 0", "Kuiper-630 1") and names[12:] == ("Tokyo", "Sao-Paulo")
    assert loaded.sky.stations[1].altitude_km == pytest.approx(0.04)
    positions, _ = loaded.sky.states(EPOCH)
    assert positions[0] == pytest.approx((EARTH_RADIUS_KM + 630, 0, 0), abs=20)
    assert loaded.doubts == ()


def test_the_basic_stations_go_first_and_may_be_all_there_is() -> None:
    texts = folder() | {"ground_stations.basic.txt": "0,Quito,-0.18,-78.47,2850\n"}
    assert [s.name for s in read_folder(texts).stations] == ["Quito"]
    assert read_folder({"tles.txt": texts["tles.txt"]}).isls == ()


def test_an_altitude_that_its_mean_motion_denies_is_told() -> None:
    """Hypatia's own Starlink has it: 15.19 turns a day are 509 km, not 550."""
    texts = folder(turns=15.19, name="Starlink-550")
    texts["description.txt"] = "max_isl_length_m=5016591.2330984278\n"
    told = sky_from_hypatia(texts).doubts
    assert len(told) == 2 and all("an orbit at 509 km, but" in line for line in told)
    assert "one at 550 km" in told[0] and "'Starlink-550 0' is of one at 550 km" in told[1]
    assert sky_from_hypatia(folder(turns=13.66, name="Starlink-550")).doubts


def test_exchanged_numbers_in_the_first_line_are_told() -> None:
    texts = folder()
    texts["tles.txt"] = "4 3\n" + texts["tles.txt"].partition("\n")[2]
    (told,) = sky_from_hypatia(texts).doubts
    assert "says 4 planes of 3" in told and "exchanged?" in told


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        ("tles.txt", "3 4\n", "3 5\n", "12 satellites, not 3 x 5"),
        ("tles.txt", "3 4\n", "three\n", "line 1"),
        ("tles.txt", "51.9000   0.0000", "51.9000   0.0x00", "tles.txt line 4"),
        ("isls.txt", "1 2", "1 12", "isls.txt line 2"),
        ("isls.txt", "1 2", "1 2 3", "isls.txt line 2"),
        ("ground_stations.txt", "35.689500", "135.689500", "ground_stations line 1"),
        ("ground_stations.txt", "-46.636110", "west", "ground_stations line 2"),
        ("description.txt", "=5442958.2030362869", "", "description.txt line 2"),
    ],
)
def test_a_fault_is_told_with_file_and_line(file: str, old: str, new: str, where: str) -> None:
    texts = folder()
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    with pytest.raises(InputError) as caught:
        read_folder(texts)
    assert caught.value.code == "bad-hypatia" and where in caught.value.message
