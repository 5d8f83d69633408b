"""A contact plan as bytes: checksum, header, columns: small enough to send to a satellite.

Columns stand one after another, each as differences where that makes them small, each split into
planes of bytes (all lowest bytes first), and squeezed by zlib. Positions are not kept: whoever
reads a plan has the sky it was predicted from.
"""

from __future__ import annotations

import hashlib
import zlib

import msgspec
import numpy as np

from meshd.ephemeris.sky import Sky
from meshd.topology.plan import CONTACTS_MAX, Columns, ContactPlan, Header, assemble, plan_digest
from meshd.topology.trajectory import IntArray, make_trajectory
from protocols.errors import InputError
from protocols.types import MILLISECOND, Instant

MAGIC = b"meshd plan 2\n"
_SHA256_BYTES = 32
_HEADER_BYTES_MAX = 65_536
_BYTES_EACH = 4
_COLUMNS = 5


class _Head(msgspec.Struct, frozen=True, array_like=True):
    sky_digest: str
    policy_code: str
    start: Instant
    end: Instant
    contacts: int
    rates_bps: tuple[float, ...]


def pack(plan: ContactPlan) -> bytes:
    """The plan in few bytes; `unpack` with the same sky gives its contacts back."""
    rates, rate = np.unique(plan.rate_bps, return_inverse=True)
    begin = (plan.begin - plan.start) // MILLISECOND
    length = (plan.finish - plan.begin) // MILLISECOND
    columns = (np.diff(begin, prepend=0), length, plan.a, plan.b, rate)
    squeezed = zlib.compress(b"".join(_planes(np.asarray(column)) for column in columns), 9)
    head = _Head(
        plan.sky_digest,
        plan.policy_code,
        plan.start,
        plan.end,
        plan.n_contacts,
        tuple(rates.tolist()),
    )
    told = msgspec.msgpack.encode(head)
    body = len(told).to_bytes(4, "big") + told + squeezed
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes, sky: Sky) -> ContactPlan:
    """The plan that `pack` wrote, with positions from the sky it was predicted from.

    Raises InputError "bad-plan" (not one of ours, or damaged) or "other-sky".
    """
    head, squeezed = _read(data)
    if head.sky_digest != sky.digest:
        raise InputError("other-sky", "this plan was predicted from other elements or stations")
    try:
        columns = _columns(head, squeezed, sky.n_sites)
    except (zlib.error, IndexError, ValueError) as error:
        raise InputError("bad-plan", f"the columns of this plan cannot be read: {error}") from None
    trajectory = make_trajectory(sky, head.start, head.end)
    header = Header(
        head.sky_digest, head.policy_code, _digest(head), sky.names, sky.kinds, head.start, head.end
    )
    return assemble(header, columns, trajectory, trajectory.light_time_ns)


def _digest(head: _Head) -> str:
    return plan_digest(head.sky_digest, head.policy_code, head.start, head.end)


def _read(data: bytes) -> tuple[_Head, bytes]:
    begin = len(MAGIC) + _SHA256_BYTES
    sum_, body = data[len(MAGIC) : begin], data[begin:]
    if not data.startswith(MAGIC) or len(body) < 4:
        raise InputError("bad-plan", "this is no contact plan of meshd")
    if hashlib.sha256(body).digest() != sum_:
        raise InputError("bad-plan", "this plan is damaged: its checksum does not fit")
    size = int.from_bytes(body[:4], "big")
    if size > _HEADER_BYTES_MAX:
        raise InputError("bad-plan", "this is no contact plan of meshd")
    try:
        head = msgspec.msgpack.decode(body[4 : 4 + size], type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("bad-plan", f"the header of this plan cannot be read: {error}") from None
    if not (0 <= head.contacts <= CONTACTS_MAX and head.start < head.end):
        raise InputError("bad-plan", f"a plan of {head.contacts} contacts is not read")
    return head, body[4 + size :]


def _columns(head: _Head, squeezed: bytes, sites: int) -> Columns:
    size = head.contacts * _BYTES_EACH * _COLUMNS
    raw = zlib.decompressobj().decompress(squeezed, size + 1)
    planes = np.frombuffer(raw, np.uint8).reshape(_COLUMNS, _BYTES_EACH, head.contacts)
    gap, length, a, b, rate = (_column(planes[at]) for at in range(_COLUMNS))
    begin = head.start + np.cumsum(gap) * MILLISECOND
    finish = begin + length * MILLISECOND
    if head.contacts and (int(b.max()) >= sites or (a >= b).any() or int(finish.max()) > head.end):
        raise ValueError("a contact is of no site, or outside the window")
    return Columns(a, b, begin, finish, np.array(head.rates_bps)[rate])


def _column(planes: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> IntArray:
    """The entries of `_planes`."""
    entries = np.ascontiguousarray(planes.T).view("<u4")
    return entries.reshape(-1).astype(np.int64)


def _planes(column: IntArray) -> bytes:
    """The lowest bytes of all entries, then the next."""
    entries = column.astype("<u4").view(np.uint8).reshape(-1, _BYTES_EACH)
    return entries.T.tobytes()
