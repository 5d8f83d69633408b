"""Chance without a state: every draw is a hash of (seed, who, what for), so none moves another."""

from __future__ import annotations

import hashlib
from random import Random

from protocols.record import Signer, Verifier
from protocols.types import NodeId

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_HEAD = "12D3Sim"
_ID_LETTERS = 52
"""As long as the peer id of an Ed25519 key."""


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


def node_id(seed: int, name: str) -> NodeId:
    """A name that looks and sorts like a peer id. No key is behind it: simulated ones are cheap."""
    value = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode()).digest(), "big")
    letters = []
    for _ in range(_ID_LETTERS - len(_ID_HEAD)):
        value, digit = divmod(value, 58)
        letters.append(_BASE58[digit])
    return NodeId(_ID_HEAD + "".join(letters))


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


def _mark(author: NodeId, message: bytes) -> bytes:
    return hashlib.blake2b(message, key=author.encode()[:64], digest_size=32).digest()
