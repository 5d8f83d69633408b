"""Crypto: how simulated nodes sign: by a keyed hash of 1 us, or by the keys of real daemons."""

from __future__ import annotations

from typing import Literal, TypeAlias

from meshd.adapters.identity import Identity
from meshd.adapters.identity import Verifier as KeyVerifier
from protocols.record import Signer, Verifier
from protocols.types import NodeId
from sim.chance import make_verifier, secret, signer

Crypto: TypeAlias = Literal["modelled", "ed25519"]


def signer_of(crypto: Crypto, seed: int, name: str, node: NodeId) -> Signer:
    """Signs as the node of this name. Ed25519 takes about 100 us, its verification as much."""
    if crypto == "modelled":
        return signer(node)
    return Identity.from_seed(secret(seed, name)).sign


def verifier_of(crypto: Crypto) -> Verifier:
    """Tells a signature of `signer_of` from anything else; one serves a whole world."""
    return make_verifier() if crypto == "modelled" else KeyVerifier().verify
