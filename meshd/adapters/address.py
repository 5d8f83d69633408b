"""Addresses and node ids as text: read by hand, so that the CLI need not import libp2p.

Only what the daemon can dial is an address: an IP or a DNS name, a TCP port, and who is there.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

from protocols.errors import InputError
from protocols.types import NodeId

EXAMPLE = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWAsYgiwNUWonytyTWzQ7DCJKrM3AqqYmVQzjABv6TTUrN"

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUE_OF = {letter: value for value, letter in enumerate(_ALPHABET)}

# Identity multihash (code 0, 36 bytes) of the protobuf PublicKey {1: Ed25519 (1), 2: 32 bytes}:
# https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
_ED25519_PREFIX = bytes.fromhex("002408011220")

_DNS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?")


def node_id_of(public_key: bytes) -> NodeId:
    """The libp2p peer id, base58btc, of 32 bytes of an Ed25519 public key."""
    return NodeId(_to_base58(_ED25519_PREFIX + public_key))


def public_key_of(node: str) -> bytes:
    """The 32 bytes of the Ed25519 key that a node id contains. InputError "bad-node-id"."""
    raw = _from_base58(node)
    if raw is None or len(raw) != 38 or not raw.startswith(_ED25519_PREFIX):
        raise InputError(
            "bad-node-id",
            f"{node!r} is not the id of an Ed25519 key; such an id looks like 12D3KooW... "
            "(52 characters, no 0, O, I or l)",
        )
    return raw[len(_ED25519_PREFIX) :]


def split_address(text: str) -> tuple[NodeId | None, str]:
    """Who is at this address, if it says so, and where that is without the id.

    InputError "bad-address" says which part is wrong.
    """
    parts = text.split("/")
    if len(parts) < 5 or parts[0]:
        raise _bad(text, "an address is /ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT/p2p/ID")
    kind, host, transport, port = parts[1:5]
    _check_host(text, kind, host)
    if transport != "tcp":
        raise _bad(text, f"the transport is {transport!r}; meshd speaks tcp")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65_536):
        raise _bad(text, f"{port!r} is not a port, 0 to 65535")
    where = f"/{kind}/{host}/tcp/{int(port)}"
    rest = parts[5:]
    if not rest:
        return None, where
    if len(rest) != 2 or rest[0] != "p2p":
        raise _bad(text, f"after the port only /p2p/ID may stand, not {'/' + '/'.join(rest)!r}")
    try:
        public_key_of(rest[1])
    except InputError as error:
        raise _bad(text, error.message) from error
    return NodeId(rest[1]), where


def validate_address(text: str) -> tuple[NodeId, str]:
    """The node and the whole multiaddr, with /p2p/ID, of an address a person gave.

    InputError "bad-address" says what is wrong; "address-without-id" that no one is named.
    """
    node, where = split_address(text.strip())
    if node is None:
        raise InputError(
            "address-without-id",
            f"{text!r} does not say who is there; add /p2p/ID, the id that `meshd id` prints "
            f"on that node. Example: {EXAMPLE}",
        )
    return node, f"{where}/p2p/{node}"


def _check_host(text: str, kind: str, host: str) -> None:
    try:
        if kind == "ip4":
            IPv4Address(host)
        elif kind == "ip6":
            IPv6Address(host)
        elif kind not in ("dns", "dns4", "dns6"):
            raise _bad(text, f"it begins with {kind!r}; use ip4, ip6, dns, dns4 or dns6")
        elif _DNS_NAME.fullmatch(host) is None:
            raise _bad(text, f"{host!r} is not a DNS name")
    except ValueError as error:
        raise _bad(text, f"{host!r} is not an {kind} address") from error


def _bad(text: str, why: str) -> InputError:
    return InputError("bad-address", f"{text!r} is not an address: {why}. Example: {EXAMPLE}")


def _to_base58(raw: bytes) -> str:
    number, letters = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        letters = _ALPHABET[digit] + letters
    zeros = len(raw) - len(raw.lstrip(b"\x00"))
    return "1" * zeros + letters


def _from_base58(text: str) -> bytes | None:
    if not 1 <= len(text) <= 128:
        return None
    number = 0
    for letter in text:
        digit = _VALUE_OF.get(letter)
        if digit is None:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
