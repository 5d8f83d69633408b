"""Every message survives the wire; whatever else comes off it is a ProtocolError with a code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

import protocols
from protocols import Codec
from protocols.errors import ProtocolError
from protocols.forward import answer_id
from protocols.record import Beacon, LinkState, Presence, Record, Statement, read, sign, verify
from protocols.types import NodeId, PacketId

CODECS: dict[str, tuple[Codec[Any], Any]] = {
    "link": (protocols.LINK, protocols.LinkMessage),
    "job": (protocols.JOB, protocols.JobMessage),
    "blob": (protocols.BLOB, protocols.BlobMessage),
    "report": (protocols.REPORT, protocols.Undelivered),
    "job stream": (protocols.JOB_STREAM, protocols.JobStreamMessage),
    "blob stream": (protocols.BLOB_STREAM, protocols.BlobStreamMessage),
}
MESSAGES = [
    (name, kind)
    for name, (_, union) in CODECS.items()
    for kind in getattr(union, "__args__", (union,))
]
FIELDS = [
    (name, kind, field)
    for name, kind in MESSAGES
    for field in inspect.type_info(kind).fields  # type: ignore[union-attr]
]
INT_MAX = (1 << 64) - 1


def values(info: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901 - a table of types
    """Any value of a type, as its annotations bound it."""
    match info:
        case inspect.IntType(ge=ge, gt=gt, le=le, lt=lt):
            low = ge if ge is not None else (gt + 1 if gt is not None else 0)
            high = le if le is not None else (lt - 1 if lt is not None else INT_MAX)
            return st.integers(low, high)
        case inspect.FloatType(gt=gt, ge=ge, le=le):
            return st.floats(ge if gt is None else gt, le, exclude_min=ge is None, allow_nan=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.StrType(pattern=str() as pattern, max_length=high):
            return st.from_regex(pattern).filter(lambda text: len(text) <= high)
        case inspect.StrType(min_length=low, max_length=high):
            return st.text(st.characters(codec="utf-8"), min_size=low or 0, max_size=min(high, 70))
        case inspect.BytesType(max_length=high):
            return st.binary(max_size=min(high, 200))
        case inspect.LiteralType(values=choices) | inspect.EnumType(cls=choices):
            return st.sampled_from(choices)
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            return st.lists(values(item), min_size=low or 0, max_size=min(high, 3)).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(values, items))
        case inspect.UnionType(types=kinds):
            return st.one_of(*map(values, kinds))
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: values(field.type) for field in fields})
    raise AssertionError(f"no strategy for {info}")


def code_of(codec: Codec[Any], data: bytes) -> str:
    try:
        codec.decode(data)
    except ProtocolError as error:
        return error.code
    return "ok"


def example(kind: type) -> Any:
    """One plain message of a kind: the same each time."""
    fields = inspect.type_info(kind).fields  # type: ignore[union-attr]
    return kind(**{field.name: _plain(field.type) for field in fields})


def _plain(info: inspect.Type) -> Any:
    match info:
        case inspect.IntType(gt=gt, ge=ge):
            return gt + 1 if gt is not None else ge or 0
        case inspect.FloatType():
            return 1.0
        case inspect.BoolType():
            return False
        case inspect.StrType(min_length=low):
            return "a" * (low or 0)
        case inspect.BytesType():
            return b""
        case inspect.LiteralType(values=choices):
            return choices[0]
        case inspect.EnumType(cls=choice):
            return next(iter(choice))
        case inspect.VarTupleType(item_type=item, min_length=low):
            return (_plain(item),) * (low or 0)
        case inspect.TupleType(item_types=items):
            return tuple(map(_plain, items))
        case inspect.UnionType(types=kinds):
            return None if any(isinstance(k, inspect.NoneType) for k in kinds) else _plain(kinds[0])
        case inspect.StructType(cls=cls):
            return example(cls)
    raise AssertionError(f"no example for {info}")


def too_much(info: inspect.Type) -> Any:
    """The smallest value beyond the upper bound; None when there is no bound."""
    match info:
        case inspect.IntType(le=le, lt=lt):
            return le + 1 if le is not None else lt
        case inspect.FloatType(le=le) if le is not None:
            return le * 2
        case inspect.StrType(max_length=high) if high is not None:
            return "a" * (high + 1)
        case inspect.BytesType(max_length=high) if high is not None:
            return b"a" * (high + 1)
        case inspect.VarTupleType(item_type=item, max_length=high) if high is not None:
            return (_plain(item),) * (high + 1)
        case inspect.TupleType(item_types=items):
            return (too_much(items[0]), *map(_plain, items[1:]))
        case inspect.EnumType(cls=choice):
            return len(choice)
        case inspect.UnionType(types=kinds):
            return next(too_much(k) for k in kinds if not isinstance(k, inspect.NoneType))
        case inspect.StructType(cls=cls, fields=fields):
            beyond = {field.name: too_much(field.type) for field in fields}
            name = next((name for name in beyond if beyond[name] is not None), None)
            return name and msgspec.structs.replace(example(cls), **{name: beyond[name]})
    return None


@pytest.mark.parametrize(("name", "kind"), MESSAGES)
@settings(max_examples=20)
@given(data=st.data())
def test_message_survives_the_wire(name: str, kind: type, data: st.DataObject) -> None:
    codec = CODECS[name][0]
    message = data.draw(values(inspect.type_info(kind)))
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize(("name", "kind"), MESSAGES)
def test_message_is_an_array_with_its_tag_first(name: str, kind: Any) -> None:
    raw = msgspec.msgpack.decode(CODECS[name][0].encode(example(kind)))
    assert raw[0] == kind.__struct_config__.tag
    assert len(raw) == 1 + len(kind.__struct_fields__)


@pytest.mark.parametrize(("name", "kind", "field"), FIELDS)
def test_every_field_is_bounded(name: str, kind: type, field: inspect.Field) -> None:
    beyond = too_much(field.type)
    unbounded = (inspect.BoolType, inspect.LiteralType, inspect.StructType)
    if beyond is None and (isinstance(field.type, unbounded) or field.name == "version"):
        return
    message = msgspec.structs.replace(example(kind), **{field.name: beyond})
    assert code_of(CODECS[name][0], CODECS[name][0].encode(message)) == "bad-message"


@pytest.mark.parametrize(("name", "kind", "field"), FIELDS)
def test_wrong_type_is_refused(name: str, kind: type, field: inspect.Field) -> None:
    message = msgspec.structs.replace(example(kind), **{field.name: {"no": "field is a map"}})
    assert code_of(CODECS[name][0], CODECS[name][0].encode(message)) == "bad-message"


@pytest.mark.parametrize(("name", "kind"), MESSAGES)
def test_message_cut_short_is_refused(name: str, kind: type) -> None:
    codec = CODECS[name][0]
    data = codec.encode(example(kind))
    assert {code_of(codec, data[:end]) for end in range(len(data))} == {"bad-message"}
    raw = msgspec.msgpack.decode(data)
    assert code_of(codec, msgspec.msgpack.encode(raw[:1])) == "bad-message"


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bad-message"),
        (b"\xc1", "bad-message"),
        (b"\xc0", "bad-message"),
        (b"\x90", "bad-message"),
        (b"\x91\x01", "bad-message"),
        (b"\x91\xa5hullo", "unknown-message"),
        (b"\x91\xa1\xff", "bad-message"),
        (b"\x81\x81\x01\x02\x03", "bad-message"),
        (b"\xd6\xff\xff\xff\xff\xff", "bad-message"),
        (b"\x91" * 100_000, "bad-message"),
        (b"\x98\xa5hello" + b"\x91" * 100_000, "bad-message"),
    ],
    ids=lambda x: str(x[:8]) if isinstance(x, bytes) else x,
)
def test_nonsense_is_refused(name: str, data: bytes, code: str) -> None:
    assert code_of(CODECS[name][0], data) == code


def test_message_of_another_port_is_unknown() -> None:
    hello = protocols.LINK.encode(example(protocols.Hello))
    assert [code_of(codec, hello) for codec, _ in CODECS.values()] == [
        "ok",
        *["unknown-message"] * (len(CODECS) - 1),
    ]


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=150)
@given(
    noise=st.binary(max_size=60),
    where=st.integers(0, 1 << 16),
    which=st.integers(0, 100),
    cut=st.integers(0, 3),
)
def test_decode_raises_nothing_else(
    name: str, noise: bytes, where: int, which: int, cut: int
) -> None:
    codec, union = CODECS[name]
    kinds = getattr(union, "__args__", (union,))
    whole = codec.encode(example(kinds[which % len(kinds)]))
    at = where % (len(whole) + 1)
    for data in (noise, whole[:at] + noise + whole[at + cut :]):
        assert code_of(codec, data) in ("ok", "bad-message", "unknown-message")


def genuine(author: NodeId, message: bytes, signature: bytes) -> bool:
    return signature == message[-8:]


def test_statement_survives_its_record() -> None:
    for body in (example(Presence), example(Beacon), example(LinkState)):
        statement = Statement(NodeId("A"), 1, 2, 3, body)
        record = sign(statement, lambda message: message[-8:])
        assert read(record) == statement
        verify(record, statement, genuine)
        with pytest.raises(ProtocolError) as caught:
            verify(Record(record.statement, b"other"), statement, genuine)
        assert caught.value.code == "bad-signature"


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_beacon_has_a_speed_to_divide_by(speed: float) -> None:
    beacon = msgspec.structs.replace(example(Beacon), speed=speed)
    record = sign(Statement(NodeId("A"), 1, 2, 3, beacon), lambda message: b"")
    with pytest.raises(ProtocolError) as caught:
        read(record)
    assert caught.value.code == "bad-record"


@settings(max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 200))
def test_reading_a_record_raises_nothing_else(noise: bytes, at: int) -> None:
    whole = msgspec.msgpack.encode(Statement(NodeId("A"), 1, 2, 3, example(Presence)))
    for data in (noise, whole[:at] + noise, b"\x91" * 16_000, b"\x95\xa1\xff"):
        try:
            read(Record(data, b""))
        except ProtocolError as error:
            assert error.code == "bad-record"


@given(st.text(min_size=1, max_size=40))
def test_answer_has_a_legal_name(name: str) -> None:
    answer = answer_id(PacketId(name), "~")
    assert len(answer) <= 40 and answer.endswith("~")
    assert answer == f"{name}~" or len(name) == 40
