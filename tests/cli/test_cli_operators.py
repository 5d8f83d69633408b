"""An operator's day: a key, certificates, what is taken back and granted; and open mode, told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Homes, meshd

NODE = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    ran = meshd("operator", "init", str(tmp_path / "acme"), "--satellites", "ONE-*,TWO-1", "--json")
    assert ran.code == 0 and ran.json["name"] == "acme"
    assert Path(ran.json["trust"]).read_text().endswith('satellites = ["ONE-*", "TWO-1"]\n')
    return tmp_path / "acme"


def operator(acme: Path, *arguments: str) -> tuple[int, str, str]:
    ran = meshd("operator", *arguments, "--operator", str(acme))
    return ran.code, ran.out, ran.err


def test_certificates_are_signed_shown_and_revoked(acme: Path, tmp_path: Path) -> None:
    cert = tmp_path / "node.cert"
    code, out, err = operator(acme, "sign", NODE, "--site", "ONE-1", "--out", str(cert))
    assert code == 0 and "serial" in out and str(cert) in err
    assert cert.read_text().startswith("meshd certificate\n")
    assert "ONE-1" in operator(acme, "show")[1]
    home = ("--home", str(tmp_path / "nobody"))
    code, _, err = operator(acme, "revoke", NODE, *home)
    assert code == 0 and "revoked: serial 1" in err and "NOBODY knows yet" in err
    assert "revoked" in operator(acme, "show")[1]
    assert "[unknown-certificate]" in operator(acme, "revoke", "9", *home)[2]
    assert "[bad-node-id]" in operator(acme, "sign", "alice")[2]


def test_a_key_that_others_may_read_is_not_used(acme: Path) -> None:
    key = acme / "operator.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    code, out, err = operator(acme, "sign", NODE)
    assert code == 1 and "[key-permissions]" in err
    assert "PRIVATE" not in out + err
    assert meshd("operator", "show").err.endswith("[no-operator]\n")


def test_capabilities_are_granted_and_narrowed(acme: Path) -> None:
    ran = meshd("operator", "grant", "--operator", str(acme), "--hours", "2", "--json")
    wide = ran.json["capability"]
    who = meshd("operator", "show", "--operator", str(acme), "--json").json["operator"]
    narrow = ("--narrow", wide, "--signer", who, "--slots", "2", "--kind", "onnx")
    ran = meshd("operator", "grant", *narrow)  # no key is needed
    assert ran.code == 0 and len(ran.out.strip()) > len(wide)
    ran = meshd("operator", "grant", "--narrow", "nonsense", "--signer", who)
    assert "[bad-capability]" in ran.err


def test_a_daemon_without_its_certificate_says_what_to_ask_for(acme: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    ran = meshd("up", "--trust", str(acme / "operator.toml"), home=home)
    assert ran.code == 1 and "[no-certificate]" in ran.err
    assert "meshd operator sign 12D3KooW" in ran.err
    ran = meshd("up", "--trust", str(tmp_path / "none.toml"), home=home)
    assert "[unreadable-file]" in ran.err
    key = (home / "identity.key").read_text()
    assert key not in ran.err


def test_open_mode_is_told_loudly(daemons: Homes) -> None:
    assert daemons.facts["dave"]["open"] is True
    assert "OPEN MODE" in (daemons["dave"] / "daemon.log").read_text()
    assert "OPEN: anyone is believed" in meshd("status", home=daemons["dave"]).out
    assert "warn  trust: OPEN MODE" in meshd("doctor", home=daemons["dave"]).out


def test_bootstrap_addresses_are_named_and_forgotten(daemons: Homes) -> None:
    home, address = daemons["dave"], f"/ip4/192.0.2.7/tcp/4001/p2p/{NODE}"
    assert "none is named" in meshd("bootstrap", "ls", home=home).err
    assert meshd("bootstrap", "add", address, home=home).code == 0
    assert meshd("bootstrap", "ls", "--json", home=home).json == [
        {"node": NODE, "name": NODE, "address": address, "linked": False}
    ]
    assert "[bad-address]" in meshd("bootstrap", "add", "/nowhere", home=home).err
    assert meshd("bootstrap", "rm", address, home=home).code == 0
    assert meshd("bootstrap", "ls", "--json", home=home).json == []
