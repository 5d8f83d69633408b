"""Who this node is: one Ed25519 key on disk, and the memory of what other keys have signed."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from meshd.adapters.address import node_id_of, public_key_of
from meshd.adapters.ondisk import sync
from protocols.errors import InputError, MeshError
from protocols.types import NodeId

_KEY_FILE_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's key, and the NodeId that follows from it."""

    node_id: NodeId
    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """The identity of 32 secret bytes (RFC 8032, 5.1.5)."""
        return cls._of(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def _of(cls, key: Ed25519PrivateKey) -> Identity:
        return cls(node_id_of(key.public_key().public_bytes_raw()), key)

    def seed(self) -> bytes:
        """The 32 secret bytes, for the library that makes the handshakes."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """A signature of 64 bytes."""
        return self._key.sign(message)


def load_or_create(path: Path) -> Identity:
    """The identity in this file, made on first use (atomically, mode 0600, PKCS 8 in PEM).

    MeshError "key-permissions" when others may read or write the file, "key-corrupt" when it
    holds no Ed25519 key.
    """
    if not path.exists():
        write_key(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return load(path)


def write_key(path: Path, seed: bytes) -> None:
    """Keep the key of 32 secret bytes in a file, unless one is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two daemons that start at once, one key wins and both load it.
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    sync(path.parent)


def load(path: Path) -> Identity:
    """The identity in a file that is there; raises as `load_or_create`."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise MeshError(
                "key-permissions",
                f"{path} is open to others (mode {mode:04o}); whoever reads it can speak in its "
                f"name. If no one has: chmod 600 {path}",
            )
        pem = file.read(_KEY_FILE_BYTES_MAX)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _corrupt(path, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _corrupt(path, f"it holds a {type(key).__name__}, not an Ed25519 key")
    return Identity._of(key)


def _corrupt(path: Path, why: str) -> MeshError:
    return MeshError(
        "key-corrupt",
        f"{path} cannot be read as a key: {why}. Restore it from a copy; or move it away, and the "
        "node starts anew under another id",
    )


def verify(node: NodeId, message: bytes, signature: bytes) -> bool:
    """True when the key inside this node id signed exactly these bytes (118 us)."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key_of(node))
        key.verify(signature, message)
    except (InvalidSignature, InputError, ValueError):
        return False
    return True


class Verifier:
    """`verify` with a bounded memory of what was found true, to be shared by a process.

    72 daemons in a process meet the same records: each is verified once (118 us) and known again
    by its digest (2 us). Only truths are kept, so no one can fill the memory with nonsense.
    """

    def __init__(self, known_max: int = 65_536) -> None:
        self.known_max = known_max
        self._known: OrderedDict[tuple[NodeId, bytes], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def verify(self, node: NodeId, message: bytes, signature: bytes) -> bool:
        """As `verify`; a truth met before costs a hash."""
        # The signature has a fixed length here, so the two cannot be cut differently.
        if len(signature) != 64:
            return False
        entry = (node, hashlib.blake2b(signature + message, digest_size=32).digest())
        if entry in self._known:
            self._known.move_to_end(entry)
            return True
        if not verify(node, message, signature):
            return False
        self._known[entry] = None
        if len(self._known) > self.known_max:
            self._known.popitem(last=False)
        return True
