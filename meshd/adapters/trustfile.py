"""Trust on disk: the file that names operators, and the certificate a daemon shows."""

from __future__ import annotations

import base64
import binascii
import tomllib
from pathlib import Path

import msgspec

from meshd.adapters.address import public_key_of
from meshd.trust.policy import OPERATORS_MAX, Operator, TrustPolicy
from protocols.certificate import Sealed, unseal
from protocols.errors import InputError, MeshError, ProtocolError
from protocols.types import NodeId

FILE_BYTES_MAX = 1 << 20
CERTIFICATE = "node.cert"
"""In a home: shown unless another is named."""

HEAD = "meshd certificate"


class _Operator(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str = ""
    satellites: tuple[str, ...] = ("*",)


class _Trust(msgspec.Struct, forbid_unknown_fields=True):
    operator: tuple[_Operator, ...] = ()
    allow: tuple[str, ...] = ()


def read_trust(paths: tuple[str, ...], certificate: Path | None) -> TrustPolicy:
    """The policy of some trust files together, and the certificate in a file.

    Raises InputError "bad-trust", "bad-certificate" or "unreadable-file".
    """
    operators: dict[NodeId, Operator] = {}
    allow: dict[NodeId, None] = {}
    for path in (Path(name).expanduser() for name in paths):
        said = _trust_of(path)
        for found in said.operator:
            node = _checked(found.id, path)
            operators[node] = Operator(node, found.name, found.satellites)
        allow |= dict.fromkeys(_checked(node, path) for node in said.allow)
    if len(operators) > OPERATORS_MAX:
        raise InputError("bad-trust", f"{len(operators)} operators; at most {OPERATORS_MAX}")
    shown = read_certificate(certificate) if certificate is not None else None
    return TrustPolicy(tuple(operators.values()), tuple(allow), shown)


def _trust_of(path: Path) -> _Trust:
    try:
        return msgspec.convert(tomllib.loads(_text(path)), _Trust)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError("bad-trust", f"{path}: {error}") from None


def _checked(node: str, path: Path) -> NodeId:
    try:
        public_key_of(node)
    except InputError as error:
        raise InputError("bad-trust", f"{path}: {error.message}") from None
    return NodeId(node)


def read_certificate(path: Path) -> Sealed:
    """Raises InputError "bad-certificate" or "unreadable-file"."""
    head, _, body = _text(path).strip().partition("\n")
    try:
        if head != HEAD:
            raise ValueError(f"it does not begin with {HEAD!r}")
        sealed = msgspec.msgpack.decode(base64.b64decode(body, validate=False), type=Sealed)
        unseal(sealed)
    except (ValueError, binascii.Error, msgspec.DecodeError, ProtocolError) as error:
        raise InputError("bad-certificate", f"{path} holds no certificate: {error}") from None
    return sealed


def certificate_text(sealed: Sealed) -> str:
    """A certificate as a file has it: there is nothing secret in it."""
    data = base64.b64encode(msgspec.msgpack.encode(sealed)).decode()
    lines = [data[i : i + 76] for i in range(0, len(data), 76)]
    return "\n".join([HEAD, *lines, ""])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise InputError("unreadable-file", f"cannot read {path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise InputError("unreadable-file", f"{path} is larger than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MeshError("unreadable-file", f"{path} is not text") from None
