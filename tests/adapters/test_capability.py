"""A capability lets a client do what its operator wrote down, and can only be narrowed."""

from __future__ import annotations

import biscuit_auth
import pytest

from meshd.adapters import capability as capabilities
from meshd.adapters.capability import Bounds, Capability, Request, grant, narrow
from meshd.adapters.identity import Identity
from protocols.errors import InputError, MeshError
from protocols.types import HOUR, SECOND, NodeId

T0 = 1_767_268_800 * SECOND
SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
ACME, RIVAL = Identity.from_seed(SEED).node_id, Identity.from_seed(OTHER_SEED).node_id
CLIENT, THIEF = NodeId("12D3KooWClient"), NodeId("12D3KooWThief")
WIDE = Bounds(T0 + HOUR)


def code(token: str, request: Request, shards: int = 1, now: int = T0) -> str:
    try:
        Capability.read(token, (RIVAL, ACME)).check(request, shards, now)
    except MeshError as error:
        return error.code
    return "ok"


SUBMIT, PUT = Request("submit", CLIENT, "onnx"), Request("put", CLIENT)


def test_it_holds_until_its_time_is_over() -> None:
    token = grant(SEED, WIDE)
    assert code(token, SUBMIT) == code(token, PUT) == "ok"
    assert code(token, SUBMIT, now=T0 + HOUR - SECOND) == "ok"
    assert code(token, SUBMIT, now=T0 + HOUR) == "capability-refused"
    assert Capability.read(token, (RIVAL, ACME)).operator == ACME


@pytest.mark.parametrize(
    ("bounds", "request_", "shards", "expected"),
    [
        (Bounds(kinds=("onnx",)), SUBMIT, 1, "ok"),
        (Bounds(kinds=("command", "wasm")), SUBMIT, 1, "capability-refused"),
        (Bounds(kinds=("command",)), PUT, 1, "ok"),
        (Bounds(slots=4), SUBMIT, 4, "ok"),
        (Bounds(slots=4), SUBMIT, 5, "capability-refused"),
        (Bounds(slots=4), PUT, 5, "ok"),
        (Bounds(client=CLIENT), SUBMIT, 1, "ok"),
        (Bounds(client=CLIENT), Request("submit", THIEF, "onnx"), 1, "capability-refused"),
        (Bounds(client=CLIENT), Request("put", THIEF), 1, "capability-refused"),
    ],
)
def test_each_bound_holds_when_granted_and_when_narrowed(
    bounds: Bounds, request_: Request, shards: int, expected: str
) -> None:
    assert code(grant(SEED, bounds), request_, shards) == expected
    assert code(narrow(grant(SEED, WIDE), ACME, bounds), request_, shards) == expected


def test_narrowing_never_widens() -> None:
    """Also not by a fact that whoever narrowed it has written in."""
    token = narrow(narrow(grant(SEED, WIDE), ACME, Bounds(slots=2)), ACME, Bounds(slots=9))
    assert code(token, SUBMIT, 2) == "ok"
    assert code(token, SUBMIT, 3) == "capability-refused"
    key = biscuit_auth.PublicKey.from_bytes(
        capabilities.public_key_of(ACME), biscuit_auth.Algorithm.Ed25519
    )
    forged = biscuit_auth.Biscuit.from_base64(grant(SEED, Bounds(kinds=("wasm",))), key).append(
        biscuit_auth.BlockBuilder('kind("wasm"); right("all"); time(2000-01-01T00:00:00Z);')
    )
    assert code(forged.to_base64(), SUBMIT) == "capability-refused"


def test_names_stay_when_it_is_narrowed() -> None:
    first, second = grant(SEED, WIDE), grant(SEED, WIDE)
    names = [
        Capability.read(token, (ACME,)).name
        for token in (first, narrow(first, ACME, Bounds(slots=2)), second)
    ]
    assert names[0] == names[1] != names[2]


def test_only_operators_that_are_trusted_can_grant() -> None:
    for token, expected in (
        ("", "no-capability"),
        ("nonsense", "bad-capability"),
        (grant(OTHER_SEED, WIDE), "bad-capability"),
        (grant(SEED, WIDE)[:-8], "bad-capability"),
    ):
        with pytest.raises(MeshError) as refused:
            Capability.read(token, (ACME,))
        assert refused.value.code == expected
    with pytest.raises(InputError):
        narrow("nonsense", ACME, WIDE)


def test_who_cannot_be_judged_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "TIME_MAX_NS", 0)
    assert code(grant(SEED, WIDE), SUBMIT) == "capability-refused"


def test_a_token_full_of_rules_is_refused_not_worked_through() -> None:
    key = biscuit_auth.PublicKey.from_bytes(
        capabilities.public_key_of(ACME), biscuit_auth.Algorithm.Ed25519
    )
    facts = "".join(f"n({k});" for k in range(200))
    rules = "pair($a, $b) <- n($a), n($b);"
    bomb = biscuit_auth.Biscuit.from_base64(grant(SEED, WIDE), key).append(
        biscuit_auth.BlockBuilder(facts + rules)
    )
    assert code(bomb.to_base64(), SUBMIT) == "capability-refused"
