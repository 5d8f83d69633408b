from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from meshd.adapters.address import node_id_of, public_key_of, split_address, validate_address
from meshd.adapters.identity import Identity, Verifier, load_or_create, verify
from protocols.errors import InputError, MeshError
from protocols.types import NodeId

ALICE, BOB = Identity.from_seed(b"a" * 32), Identity.from_seed(b"b" * 32)


@given(st.binary(min_size=32, max_size=32))
def test_node_id_against_libp2p(seed: bytes) -> None:
    theirs = ID.from_pubkey(create_new_key_pair(seed or None).public_key).to_base58()
    assert Identity.from_seed(seed).node_id == theirs


@given(st.binary(min_size=32, max_size=32))
def test_node_id_contains_its_key(key: bytes) -> None:
    assert public_key_of(node_id_of(key)) == key


@pytest.mark.parametrize("text", ["", "1", "Qm", "12D3KooW", "0OIl", str(ALICE.node_id) + "1", "é"])
def test_what_is_no_node_id(text: str) -> None:
    with pytest.raises(InputError, match="12D3KooW") as caught:
        public_key_of(text)
    assert caught.value.code == "bad-node-id"


def test_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "home" / "key.pem"
    first = load_or_create(path)
    assert load_or_create(path).node_id == first.node_id
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]
    assert first.seed().hex() not in repr(first)


def test_of_two_that_start_at_once_one_key_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    winner = load_or_create(path)
    # The loser looked before the winner's key was there.
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert load_or_create(path).node_id == winner.node_id


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(MeshError, match="chmod 600") as caught:
        load_or_create(path)
    assert caught.value.code == "key-permissions"


def test_a_corrupt_key_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path = tmp_path / "key.pem"
    for content in (b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\n", other):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(MeshError) as caught:
            load_or_create(path)
        assert caught.value.code == "key-corrupt"
        assert path.read_bytes() == content


def test_signatures() -> None:
    signature = ALICE.sign(b"message")
    assert verify(ALICE.node_id, b"message", signature)
    assert not verify(BOB.node_id, b"message", signature)
    assert not verify(ALICE.node_id, b"massage", signature)
    assert not verify(ALICE.node_id, b"message", signature[:-1])
    assert not verify(NodeId("nobody"), b"message", signature)


def test_signature_against_libp2p() -> None:
    key = create_new_key_pair(b"a" * 32)
    assert verify(ALICE.node_id, b"message", key.private_key.sign(b"message"))
    assert key.public_key.verify(b"message", ALICE.sign(b"message"))


def test_verifier_remembers_truths_only_and_few() -> None:
    verifier = Verifier(known_max=3)
    signed = [(bytes([i]), ALICE.sign(bytes([i]))) for i in range(5)]
    for _ in range(2):
        for message, signature in signed:
            assert verifier.verify(ALICE.node_id, message, signature)
            assert not verifier.verify(BOB.node_id, message, signature)
            assert not verifier.verify(ALICE.node_id, message + b"x", signature)
            assert not verifier.verify(ALICE.node_id, message, signature + b"x")
    assert len(verifier) == 3


def test_verifier_verifies_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[NodeId] = []

    def counted(node: NodeId, message: bytes, signature: bytes) -> bool:
        calls.append(node)
        return verify(node, message, signature)

    monkeypatch.setattr("meshd.adapters.identity.verify", counted)
    verifier, signature = Verifier(), ALICE.sign(b"message")
    assert all(verifier.verify(ALICE.node_id, b"message", signature) for _ in range(72))
    assert calls == [ALICE.node_id]


def test_addresses_that_are() -> None:
    node = ALICE.node_id
    for where in (
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/0",
        "/dns4/gs1.example/tcp/65535",
        "/dns/localhost/tcp/1",
    ):
        assert validate_address(f" {where}/p2p/{node}\n") == (node, f"{where}/p2p/{node}")
        assert split_address(where) == (None, where)


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("", "bad-address", "an address is"),
        ("localhost:4001", "bad-address", "an address is"),
        ("/ip4/127.0.0.1", "bad-address", "an address is"),
        ("/ip4/300.0.0.1/tcp/1", "bad-address", "'300.0.0.1' is not an ip4 address"),
        ("/ip6/127.0.0.1/tcp/1", "bad-address", "'127.0.0.1' is not an ip6 address"),
        ("/dns4/-x/tcp/1", "bad-address", "not a DNS name"),
        ("/unix/x/tcp/1", "bad-address", "begins with 'unix'"),
        ("/ip4/127.0.0.1/udp/1/quic-v1", "bad-address", "the transport is 'udp'"),
        ("/ip4/127.0.0.1/tcp/65536", "bad-address", "'65536' is not a port"),
        ("/ip4/127.0.0.1/tcp/-1", "bad-address", "'-1' is not a port"),
        ("/ip4/127.0.0.1/tcp/1/ws", "bad-address", "after the port only"),
        ("/ip4/127.0.0.1/tcp/1/p2p/QmNope", "bad-address", "'QmNope' is not the id"),
        ("/ip4/127.0.0.1/tcp/1", "address-without-id", "add /p2p/ID"),
    ],
)
def test_addresses_that_are_not(text: str, code: str, why: str) -> None:
    with pytest.raises(InputError, match="Example: /ip4/") as caught:
        validate_address(text)
    assert caught.value.code == code
    assert why in caught.value.message


def test_the_cli_can_name_nodes_without_libp2p() -> None:
    code = (
        "import sys, meshd.adapters.address, meshd.adapters.identity, meshd.adapters.clock\n"
        "sys.exit(any(m.split('.')[0] in ('libp2p', 'trio', 'multiaddr') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
