"""Flag > MESHD_* > config.toml > default, and a clear word for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshd.config import Config, home_folder, load_config
from protocols.errors import InputError


def test_the_order_of_sources(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('name = "file"\nslots = 3\nspeed = 2.0\n')
    environ = {"MESHD_NAME": "environment", "MESHD_SLOTS": "5", "MESHD_STATIONS": "London,Sydney"}
    config = load_config(tmp_path, {"name": "flag", "slots": None}, environ)
    assert (config.name, config.slots, config.speed) == ("flag", 5, 2.0)
    assert config.stations == ("London", "Sydney")
    assert load_config(tmp_path / "none", {}, {}) == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slotz = 1", "slots"),
        ("slots = -1", ">= 0"),
        ("slots = ", "config.toml"),
        ("speed = 0.0", "> 0"),
        ('accept_jobs = "maybe"', "accept_jobs"),
    ],
)
def test_a_bad_key_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match=says) as refused:
        load_config(tmp_path, {}, {})
    assert refused.value.code == "bad-config"


@pytest.mark.parametrize(
    "flags",
    [
        {"constellation": "iridium", "catalog": "x.tle"},
        {"satellite": "iridium-1-1", "city": "London", "constellation": "iridium"},
        {"city": "London"},
    ],
)
def test_contradictions_are_refused(tmp_path: Path, flags: dict[str, str]) -> None:
    with pytest.raises(InputError) as refused:
        load_config(tmp_path, flags, {})
    assert refused.value.code == "bad-config"


def test_remote_work_is_taken_on_loopback_only_unless_told() -> None:
    assert Config().accepts_remote_jobs
    open_wide = ("/ip4/192.0.2.7/tcp/4001",)
    assert not Config(listen=open_wide).accepts_remote_jobs
    assert Config(listen=open_wide, accept_jobs="yes").accepts_remote_jobs
    assert not Config(accept_jobs="no").accepts_remote_jobs


def test_the_home_follows_the_flag_then_the_environment(tmp_path: Path) -> None:
    assert home_folder(tmp_path, {"MESHD_HOME": "/elsewhere"}) == tmp_path
    assert home_folder(None, {"MESHD_HOME": str(tmp_path)}) == tmp_path
    assert home_folder(None, {"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "meshd"


def test_an_address_nobody_can_dial_is_refused(tmp_path: Path) -> None:
    for address in ("/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"):
        with pytest.raises(InputError, match="could dial"):
            load_config(tmp_path, {"listen": [address]}, {})
    with pytest.raises(InputError, match="length"):
        load_config(tmp_path, {"listen": ["/ip4/127.0.0.1/tcp/0"] * 9}, {})
