"""Authority: an operator's own folder: its key, what it has certified, and what it took back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from meshd.adapters.identity import Identity, load, load_or_create
from meshd.adapters.ondisk import unwritable, write_whole
from meshd.trust.certificates import seal
from protocols.bounds import REVOKED_MAX
from protocols.certificate import Certificate, Revocations, Sealed
from protocols.errors import InputError, MeshError, NotFound
from protocols.record import Body, Record, Statement, sign
from protocols.types import HOUR, Duration, Instant, NodeId

KEY = "operator.key"
CARD = "operator.toml"
BOOK = "certificates.json"

REVOCATIONS_TTL_NS = 3_650 * 24 * HOUR
"""What is taken back stays so, longer than any certificate should last."""


class Given(msgspec.Struct, frozen=True):
    """One certificate that was signed; `revoked` by a later word."""

    serial: int
    node: NodeId
    site: str
    roles: tuple[str, ...]
    not_before: Instant
    not_after: Instant
    revoked: bool = False


class Book(msgspec.Struct, frozen=True):
    """What an operator must not forget: serials and sequences that were used."""

    name: str
    sequence: int = 0
    certificates: tuple[Given, ...] = ()


class Authority:
    """One operator. `open` reads its folder, `init` makes one. The key never leaves it."""

    def __init__(self, folder: Path, identity: Identity, book: Book) -> None:
        self.folder = folder
        self._identity = identity
        self.book = book

    @property
    def id(self) -> NodeId:
        return self._identity.node_id

    @classmethod
    def init(cls, folder: Path, name: str, satellites: tuple[str, ...]) -> Authority:
        """A new operator. Raises MeshError "operator-exists" or "unwritable-file"."""
        if (folder / KEY).exists():
            message = f"{folder} holds an operator already; choose another folder"
            raise MeshError("operator-exists", message)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            identity = load_or_create(folder / KEY)
        except OSError as error:
            raise unwritable(folder, error) from None
        authority = cls(folder, identity, Book(name))
        lines = ["[[operator]]", f"id = {_quoted(identity.node_id)}", f"name = {_quoted(name)}"]
        lines.append(f"satellites = [{', '.join(map(_quoted, satellites))}]")
        write_whole(folder / CARD, "\n".join([*lines, ""]).encode(), 0o644)
        authority._keep(authority.book)
        return authority

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Raises NotFound "no-operator"; MeshError "key-permissions", "key-corrupt", "bad-book"."""
        if not (folder / KEY).exists():
            message = f"{folder} holds no operator; meshd operator init makes one"
            raise NotFound("no-operator", message)
        identity = load(folder / KEY)
        try:
            book = msgspec.json.decode((folder / BOOK).read_bytes(), type=Book)
        except (OSError, msgspec.DecodeError) as error:
            message = f"cannot read {folder / BOOK}: {error}; restore it: serials must not repeat"
            raise MeshError("bad-book", message) from None
        return cls(folder, identity, book)

    def certify(
        self, node: NodeId, site: str, roles: tuple[str, ...], begin: Instant, lasts: Duration
    ) -> tuple[Sealed, Given]:
        """Sign a certificate, under a serial that is on disk before anyone sees it."""
        serial = max((given.serial for given in self.book.certificates), default=0) + 1
        given = Given(serial, node, site, roles, begin, begin + lasts)
        certificates = (*self.book.certificates, given)
        self._keep(msgspec.structs.replace(self.book, certificates=certificates))
        plain = Certificate(node, self.id, roles, site, begin, begin + lasts, serial)
        return seal(plain, self._identity.sign), given

    def revoke(self, which: str, now: Instant) -> tuple[Record, tuple[Given, ...]]:
        """Take back the certificate of a serial, or all that a node has; all that is taken back.

        Raises NotFound "unknown-certificate", InputError "revocations-full".
        """
        match = [g for g in self.book.certificates if which in (str(g.serial), g.node)]
        if not match:
            message = f"no certificate {which!r}; meshd operator show lists them"
            raise NotFound("unknown-certificate", message)
        serials = {given.serial for given in match}
        certificates = tuple(
            msgspec.structs.replace(g, revoked=g.revoked or g.serial in serials)
            for g in self.book.certificates
        )
        self.book = msgspec.structs.replace(self.book, certificates=certificates)
        return self.revocations(now), tuple(match)

    def revocations(self, now: Instant) -> Record:
        """All that is taken back and has not expired, signed under the next sequence."""
        taken = (g.serial for g in self.book.certificates if g.revoked and now < g.not_after)
        serials = tuple(sorted(taken))
        if len(serials) > REVOKED_MAX:
            message = f"{len(serials)} certificates are revoked, at most {REVOKED_MAX} may be"
            raise InputError("revocations-full", message)
        return self.say((Revocations(serials),), now, REVOCATIONS_TTL_NS)[0]

    def say(self, bodies: tuple[Body, ...], now: Instant, ttl_ns: Duration) -> tuple[Record, ...]:
        """Sign statements of the operator, under sequences that are on disk before."""
        first = self.book.sequence + 1
        self._keep(msgspec.structs.replace(self.book, sequence=self.book.sequence + len(bodies)))
        return tuple(
            sign(Statement(self.id, number, now, ttl_ns, body), self._identity.sign)
            for number, body in enumerate(bodies, first)
        )

    def seed(self) -> bytes:
        """The 32 secret bytes, for who makes capabilities."""
        return self._identity.seed()

    def _keep(self, book: Book) -> None:
        write_whole(self.folder / BOOK, msgspec.json.format(msgspec.json.encode(book)))
        self.book = book


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a basic string of TOML, too
