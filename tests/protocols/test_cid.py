"""A blob's name agrees with the CID specification and with py-cid."""

from __future__ import annotations

import hashlib

import cid as py_cid  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.cid import Hasher, check, cid_of
from protocols.errors import InputError, ProtocolError

HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"hello world", HELLO),
        (b"", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    ],
)
def test_known_vectors(data: bytes, name: str) -> None:
    assert cid_of(data) == name
    assert check(name) == name


@given(st.binary(max_size=64))
def test_against_py_cid(data: bytes) -> None:
    theirs = py_cid.make_cid(cid_of(data))
    assert (theirs.version, theirs.codec) == (1, "raw")
    assert theirs.multihash.hex() == "1220" + hashlib.sha256(data).hexdigest()
    assert theirs.encode("base32").decode() == check(cid_of(data))


@given(st.lists(st.binary(max_size=40)))
def test_pieces_hash_like_the_whole(pieces: list[bytes]) -> None:
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)
    assert hasher.cid() == cid_of(b"".join(pieces))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        HELLO[:-1],
        HELLO + "a",
        HELLO + "\n",
        HELLO.upper(),
        HELLO[:-1] + "b",  # a second spelling of a digest: its spare bits are not zero
        "z" + HELLO[1:],
        HELLO[:20] + "1" + HELLO[21:],
        HELLO[:20] + "/" + HELLO[21:],
        "../" + HELLO[3:],
        "Qm" + "a" * 44,
        "bafybei" + HELLO[7:],
        "a" * 10_000,
    ],
)
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check(text)
    assert caught.value.code == "bad-cid"
    assert len(caught.value.message) < 250


def test_a_person_is_blamed_for_what_a_person_typed() -> None:
    with pytest.raises(InputError):
        check("digits", InputError)
