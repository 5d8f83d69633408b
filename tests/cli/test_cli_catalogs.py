"""What people bring as a sky, on the command line: any format, several files, folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshd.config import load_config
from meshd.daemon.plans import world_of
from meshd.ephemeris import Elements, parse_time
from meshd.ephemeris.tle import checksum
from tests.cli.conftest import meshd
from tests.ephemeris.tabled import T0, grid, operator_text, truth

AT = "2026-01-01T00:10:00Z"


def tle(number: int, mean_anomaly_deg: float, raan_deg: float = 0.0) -> list[str]:
    lines = [
        f"1 {number:05d}U 26001A   26001.00000000  .00000000  00000-0  00000+0 0    0",
        f"2 {number:05d}  53.0000 {raan_deg:8.4f} 0000001   0.0000 {mean_anomaly_deg:8.4f} "
        "15.05000000    0",
    ]
    return [f"SAT {number}", *(line[:68] + str(checksum(line)) for line in lines)]


def shell(planes: int = 12, slots: int = 20) -> list[str]:
    return [
        line
        for plane in range(planes)
        for slot in range(slots)
        for line in tle(plane * slots + slot + 1, 360 / slots * slot, 360 / planes * plane)
    ]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "shell.tle"
    path.write_text("\n".join(shell()) + "\n")
    return path


def test_a_few_bad_sets_are_warned_about_and_the_rest_is_used(catalog: Path) -> None:
    lines = catalog.read_text().splitlines()
    lines[4] = lines[4][:50]
    lines[31] = lines[31][:-1] + "x"
    catalog.write_text("\n".join(lines))
    ran = meshd("links", "SAT 1", "--catalog", str(catalog), "--from", AT, "--for", "5m", "--json")
    assert ran.code == 0
    assert [(r["line"], r["name"], r["code"]) for r in ran.json["refused"]] == [
        (5, "SAT 2", "short-line"), (32, "SAT 11", "bad-checksum"),
    ]  # fmt: skip
    assert ran.json["links"]
    assert "2 refused, the rest is used" in ran.err
    assert f"{catalog} line 5: SAT 2: 50 columns where a TLE line has 69" in ran.err


def test_a_file_nobody_refuses_is_not_warned_about(catalog: Path) -> None:
    ran = meshd("links", "SAT 1", "--catalog", str(catalog), "--from", AT, "--for", "5m", "--json")
    assert (ran.code, ran.err, ran.json["refused"]) == (0, "", [])


def test_stale_elements_are_warned_about_with_their_cost(catalog: Path) -> None:
    asked = ("links", "SAT 1", "--catalog", str(catalog), "--for", "5m", "--json")
    fresh = meshd(*asked, "--from", "2026-01-01T23:00:00Z")
    stale = meshd(*asked, "--from", "2026-01-03T12:00:00Z")
    assert fresh.err == "" and fresh.json["elements"]["median_age_s"] == 23 * 3_600
    assert stale.json["elements"] == {
        "count": 240, "median_age_s": 216_000.0, "oldest_age_s": 216_000.0, "oldest": "SAT 1",
    }  # fmt: skip
    assert "240 satellites above 420 km are 2.5 days from their epoch" in stale.err
    assert "off by about 10 km along the track, 1 in 20 by 140 km" in stale.err
    assert stale.json["warnings"]


def test_exchanged_planes_and_satellites_are_warned_about() -> None:
    asked = ("links", "London", "--from", AT, "--for", "1m", "--constellation")
    ran = meshd(*asked, "D:550:53:1584/22/17")
    assert ran.code == 0 and "starlink-1 is 72 planes of 22" in ran.err
    assert "warning" not in meshd(*asked, "starlink-1").err


def test_several_files_and_folders_are_one_sky(catalog: Path, tmp_path: Path) -> None:
    lines = catalog.read_text().splitlines()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join(lines[:300]))
    (folder / ".hidden").write_text("nothing")
    (tmp_path / "b.txt").write_text("\n".join(lines[300:]))
    places = ("--catalog", str(folder), "--catalog", str(tmp_path / "b.txt"))
    asked = ("links", "SAT 1", "--from", AT, "--for", "5m", "--json")
    assert meshd(*asked, *places).json == meshd(*asked, "--catalog", str(catalog)).json
    config = load_config(tmp_path, {"catalog": [str(folder), str(tmp_path / "b.txt")]}, {})
    world = world_of(config)
    assert world is not None and world.sky.n_satellites == 240
    assert world.warnings(parse_time(AT)) == []


def test_a_folder_of_operators_ephemerides_is_a_sky_for_as_long_as_they_last(
    tmp_path: Path,
) -> None:
    nodes = grid(181)
    for number in range(1, 4):
        e = Elements(f"S{number}", number, T0, 53.0, 0.0, 1e-4, 0.0, 12.0 * number, 15.05)
        name = f"MEME_{number}_STARLINK-{number}_1790000_Operational_1_UNCLASSIFIED.txt"
        (tmp_path / name).write_text(operator_text(nodes, truth(e, nodes)))
    (tmp_path / "MANIFEST.txt").write_text("MEME_1\n")
    asked = ("links", "starlink-2", "--catalog", str(tmp_path), "--for", "10m", "--json")
    seen = meshd(*asked, "--from", "2025-06-28T01:00:00Z")
    assert (seen.code, seen.err) == (0, ""), seen.err
    assert sorted(row["peer"] for row in seen.json["links"]) == ["STARLINK-1", "STARLINK-3"]
    over = meshd(*asked, "--from", "2025-06-28T04:00:00Z")
    assert over.json["links"] == []
    assert "3 of 3 satellites have no position then, such as STARLINK-1" in over.err
    assert "its ephemeris is from 2025-06-28T00:00:00.000Z to 2025-06-28T03:00:00.000Z" in over.err


def test_a_folder_of_hypatias_is_a_sky_with_its_stations(tmp_path: Path) -> None:
    (tmp_path / "tles.txt").write_text("\n".join(["12 20", *shell()]) + "\n")
    (tmp_path / "ground_stations.basic.txt").write_text(
        "0,Tokyo,35.6895,139.69171,0\n1,Rio-de-Janeiro,-22.902780,-43.207500,0\n"
    )
    (tmp_path / "isls.txt").write_text("0 1\n1 2\n")
    ends = ("route", "tokyo", "Rio de Janeiro")
    ran = meshd(*ends, "--catalog", str(tmp_path), "--at", AT, "--json")
    assert ran.code in (0, 5), ran.err
    seen = meshd(
        "links", "Tokyo", "--catalog", str(tmp_path), "--from", AT, "--for", "1h", "--json"
    )
    assert seen.code == 0 and {row["peer"][:4] for row in seen.json["links"]} == {"SAT "}


def test_configuration_names_one_or_several(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('catalog = "a.tle"\n')
    assert load_config(tmp_path, {}, {}).catalog == ("a.tle",)
    assert load_config(tmp_path, {}, {"MESHD_CATALOG": "a.tle,b.oem"}).catalog == ("a.tle", "b.oem")


def test_json_of_a_constellation_says_nothing_was_refused() -> None:
    ran = meshd("route", "London", "Sydney", "--constellation", "starlink-1", "--at", AT, "--json")
    answer = json.loads(ran.out)
    assert (answer["refused"], answer["warnings"]) == ([], [])


def test_a_daemon_in_the_background_warns_where_it_was_started(
    catalog: Path, tmp_path: Path
) -> None:
    catalog.write_text(catalog.read_text() + "LAST\n1 00999U\n")
    home = tmp_path / "home"
    up = ("up", "--detach", "--satellite", "SAT 5", "--epoch", AT, "--catalog", str(catalog))
    ran = meshd(*up, home=home)
    try:
        assert ran.code == 0, ran.err
        assert "meshd: warning: 1 refused, the rest is used" in ran.err
        assert f"{catalog} line 722: LAST: line 1 has no line 2 after it" in ran.err
        assert "epoch" not in ran.err
    finally:
        meshd("down", home=home)
