"""Chance without a state: every draw is a hash of (seed, who, what for), so none moves another."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meshd.adapters.address import node_id_of
from protocols.record import Signer, Verifier
from protocols.types import NodeId


def number(seed: int, *key: str | int) -> int:
    """64 random bits that belong to this seed and key alone."""
    text = "\x1f".join((str(seed), *map(str, key)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction(seed: int, *key: str | int) -> float:
    """A random number in [0, 1) that belongs to this seed and key alone."""
    return (number(seed, *key) >> 11) / (1 << 53)


def stream(seed: int, *key: str | int) -> Random:
    """A generator that belongs to this seed and key alone."""
    return Random(number(seed, *key))


def secret(seed: int, name: str) -> bytes:
    """The 32 secret bytes of a node's Ed25519 key."""
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=32).digest()


def node_id(seed: int, name: str) -> NodeId:
    """The peer id of that key, under every driver: who dials, and how ties end, hangs on it."""
    key = Ed25519PrivateKey.from_private_bytes(secret(seed, name))
    return node_id_of(key.public_key().public_bytes_raw())


def signer(author: NodeId) -> Signer:
    """Signs as this author: a keyed hash, 1 us where Ed25519 takes 100."""

    def sign(message: bytes) -> bytes:
        return _mark(author, message)

    return sign


def make_verifier() -> Verifier:
    """Knows a signature of `signer` from anything else."""

    def genuine(author: NodeId, message: bytes, signature: bytes) -> bool:
        return _mark(author, message) == signature

    return genuine


@lru_cache(1 << 14)
def _mark(author: NodeId, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=author.encode()[:64], digest_size=32).digest()
