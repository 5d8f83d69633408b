"""Hypatia's folders: read by its README's rules alone, and followed hop by hop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshd.adapters.skyfiles import load_sky
from meshd.ephemeris import find_city, sky_from_preset
from meshd.ephemeris.hypatia_presets import HYPATIA_EPOCH
from meshd.exchange.hypatia import write_folder
from meshd.router.snapshot import snapshot_route
from meshd.topology import build_plan, policy_for
from protocols.errors import InputError
from protocols.types import SECOND, SPEED_OF_LIGHT_KM_S

STEP_S, LENGTH_S = 5, 170

# Of Hypatia's own run, from when (s) on (see tests/router/test_timeline.py).
MANILA_DALIAN = {
    0: "1173-184-183-217-1241",
    20: "1173-218-217-1241",
    30: "1173-648-649-650-616-1241",
    75: "1173-218-217-216-250-1241",
    130: "1173-647-648-649-615-1241",
}
RIO_ST_PETERSBURG = {
    5: "1174-236-237-204-205-206-207-208-209-210-211-177-1229",
    35: "1174-269-270-271-238-239-240-241-242-243-244-245-211-177-1229",
    130: "1174-268-269-270-271-238-239-240-241-242-243-244-245-211-177-1229",
    160: "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sky = sky_from_preset("hypatia:kuiper_630")
    plan = build_plan(sky, policy_for(sky), HYPATIA_EPOCH, HYPATIA_EPOCH + LENGTH_S * SECOND)
    place = tmp_path_factory.mktemp("kuiper_630")
    for name, text in write_folder(plan, sky, STEP_S * SECOND):
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return place


def rows(path: Path, separator: str = ",") -> list[list[str]]:
    return [line.split(separator) for line in path.read_text().splitlines()]


def states(folder: Path) -> Iterator[tuple[int, dict[tuple[int, int], tuple[int, int, int]]]]:
    """The forwarding state at each instant (s): each file changes the one before."""
    (place,) = folder.glob("dynamic_state_*")
    state: dict[tuple[int, int], tuple[int, int, int]] = {}
    for at in range(0, LENGTH_S, STEP_S):
        for row in rows(place / f"fstate_{at * SECOND}.txt"):
            here, to, there, mine, theirs = map(int, row)
            state[here, to] = (there, mine, theirs)
        yield at, state


def follow(
    state: dict[tuple[int, int], tuple[int, int, int]], source: int, target: int
) -> list[int]:
    path = [source]
    while path[-1] != target:
        there, _, _ = state[path[-1], target]
        if there < 0:
            return []
        path.append(there)
        assert len(path) < 100
    return path


def test_following_the_states_hop_by_hop_gives_hypatias_paths(folder: Path) -> None:
    seen = {(1173, 1241): dict[int, str](), (1174, 1229): dict[int, str]()}
    for at, state in states(folder):
        for ends, paths in seen.items():
            paths[at] = "-".join(map(str, follow(state, *ends)))
    for ends, golden in (((1173, 1241), MANILA_DALIAN), ((1174, 1229), RIO_ST_PETERSBURG)):
        for at, path in golden.items():
            assert seen[ends][at] == path, (ends, at)


def test_states_are_complete_and_interfaces_lead_where_they_say(folder: Path) -> None:
    isls = [tuple(map(int, row)) for row in rows(folder / "isls.txt", " ")]
    port: dict[tuple[int, int], int] = {}
    count = [0] * 1156
    for a, b in isls:
        port[a, b], port[b, a] = count[a], count[b]
        count[a] += 1
        count[b] += 1
    at, state = next(states(folder))
    assert at == 0 and len(isls) == 2 * 1156 and set(count) == {4}
    # Every node to every station, but a station to itself.
    assert len(state) == 1256 * 100 - 100
    assert all(to >= 1156 and here != to for here, to in state)
    for (here, to), (there, mine, theirs) in state.items():
        if there < 0:
            assert (mine, theirs) == (-1, -1)
        elif here >= 1156:
            assert (mine, theirs) == (0, 4) and there < 1156
        elif there >= 1156:
            assert (mine, theirs) == (4, 0) and there == to
        else:
            assert (mine, theirs) == (port[here, there], port[there, here])


def test_only_changes_are_written(folder: Path) -> None:
    before: dict[tuple[int, int], tuple[int, int, int]] = {}
    (place,) = folder.glob("dynamic_state_*")
    assert place.name == f"dynamic_state_{STEP_S * 1000}ms_for_{LENGTH_S}s"
    for at, state in states(folder):
        if before:
            written = {(int(r[0]), int(r[1])) for r in rows(place / f"fstate_{at * SECOND}.txt")}
            assert written == {key for key in state if state[key] != before[key]}
        before = dict(state)
        bandwidths = rows(place / f"gsl_if_bandwidth_{at * SECOND}.txt")
        assert len(bandwidths) == (0 if at else 1256)


def test_the_static_files_are_satgenpys(folder: Path) -> None:
    lines = (folder / "tles.txt").read_text().splitlines()
    assert lines[0] == "34 34" and lines[1].split()[1] == "0" and len(lines) == 1 + 3 * 1156
    assert lines[1 + 3 * 183 :][:3] == [
        "Kuiper-630 183",
        "1 00184U 00000ABC 00001.00000000  .00000000  00000-0  00000+0 0    06",
        "2 00184  51.9000  52.9412 0000001   0.0000 142.9412 14.80000000    00",
    ]
    assert rows(folder / "ground_stations.basic.txt")[0] == [
        "0", "Tokyo", "35.6895", "139.69171", "0",
    ]  # fmt: skip
    number, name, latitude, longitude, height, *xyz = rows(folder / "ground_stations.txt")[0]
    assert (number, name, latitude, longitude, height) == (
        "0", "Tokyo", "35.6895", "139.69171", "0.000000",
    )  # fmt: skip
    assert math.dist([0, 0, 0], list(map(float, xyz))) == pytest.approx(6_370_850, abs=500)
    assert rows(folder / "gsl_interfaces_info.txt")[-1] == ["1255", "1", "1.000000"]
    limits = dict(row for row in rows(folder / "description.txt", "="))
    assert float(limits["max_gsl_length_m"]) == pytest.approx(1_260_000, abs=1e-3)
    assert float(limits["max_isl_length_m"]) == pytest.approx(5_442_958.2, abs=0.1)


def test_a_written_folder_is_a_sky_with_the_same_routes(folder: Path) -> None:
    sky = load_sky([str(folder)]).sky
    plan = build_plan(sky, policy_for(sky), HYPATIA_EPOCH, HYPATIA_EPOCH + SECOND)
    route = snapshot_route(plan, 1173, 1241, HYPATIA_EPOCH)
    assert route is not None and "-".join(map(str, route.path)) == MANILA_DALIAN[0]
    assert route.rtt_ns == pytest.approx(29_423_138, abs=1_000)


def test_an_honest_folder_says_how_long_its_links_become() -> None:
    sky = sky_from_preset("honest:telesat_1015", [find_city("Oslo")])
    plan = build_plan(sky, policy_for(sky), HYPATIA_EPOCH, HYPATIA_EPOCH + SECOND)
    files = dict(write_folder(plan, sky, SECOND))
    limits = dict(line.split("=") for line in files["description.txt"].split())
    assert 2_700e3 < float(limits["max_gsl_length_m"]) < 2_840e3
    longest_ns = max(
        plan.light_time_ns(a, b, HYPATIA_EPOCH) for a, b in plan.open_at(HYPATIA_EPOCH) if b >= 351
    )
    assert longest_ns / 1e6 * SPEED_OF_LIGHT_KM_S < float(limits["max_gsl_length_m"])
    assert files["ground_stations.basic.txt"].splitlines()[-1].startswith("100,Oslo,")


def test_skies_without_fixed_lasers_are_refused() -> None:
    sky = sky_from_preset("iridium")
    plan = build_plan(sky, policy_for(sky), HYPATIA_EPOCH, HYPATIA_EPOCH + SECOND)
    with pytest.raises(InputError, match="hypatia:kuiper_630"):
        next(write_folder(plan, sky, SECOND))
    kuiper = sky_from_preset("hypatia:kuiper_630")
    small = build_plan(kuiper, policy_for(kuiper), HYPATIA_EPOCH, HYPATIA_EPOCH + SECOND)
    with pytest.raises(InputError, match="step"):
        next(write_folder(small, kuiper, 1_500))
