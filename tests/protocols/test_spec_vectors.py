"""SPEC.md says what the code does: vectors, tables, constants and codes are compared with it."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import protocols
from meshd.adapters.identity import Identity, verify
from meshd.trust.certificates import certified, seal
from meshd.trust.policy import Operator, TrustPolicy
from protocols import certificate as certificates
from protocols import client, gossip, record
from protocols.certificate import Certificate, Sealed, unseal
from protocols.forward import Hop
from protocols.frame import FrameDecoder, encode_frame
from protocols.job import (
    File,
    Input,
    JobSpec,
    Leased,
    Limits,
    Placement,
    Region,
    ShardSpec,
    Stage,
)
from protocols.link import PROTOCOL, VERSION
from protocols.record import DOMAIN, Statement
from protocols.tag import mark_of, tag_of
from protocols.types import NodeId

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "protocols" / "SPEC.md").read_text(encoding="utf-8")
CODECS = (
    *(protocols.LINK, protocols.JOB, protocols.BLOB, protocols.LETTER, protocols.REPORT),
    *(protocols.JOB_STREAM, protocols.BLOB_STREAM),
)
UNITS = {"ms": 10**6, "s": 10**9}

VECTOR = re.compile(r"#### vector: (.+)\n\n```json\n(.+)\n```\n\n```hex\n([0-9a-f\n]+)```")
VECTORS = {name: (json.loads(text), _hex) for name, text, _hex in VECTOR.findall(SPEC)}
OPERATORS = re.findall(r"signature by the operator:\n\n```hex\n([0-9a-f\n]+)```", SPEC)
SIGNATURES = re.compile(r"Its signature:\n\n```hex\n([0-9a-f\n]+)```").findall(SPEC)
KEYS = re.findall(r"\| `([0-9a-f]{64})` \| `(12D3\w+)` \|", SPEC)


def data_of(text: str) -> bytes:
    return bytes.fromhex(text.replace("\n", ""))


def plain(value: Any) -> Any:
    """JSON of the specification as what msgpack carries: {"hex": ...} stands for bytes."""
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def kinds() -> dict[str, Any]:
    """Every message by its tag."""
    messages = (
        *(protocols.JobMessage, protocols.BlobMessage, protocols.LetterMessage),
        *(protocols.JobStreamMessage, protocols.BlobStreamMessage),
    )
    found = [kind for union in (protocols.LinkMessage, *messages) for kind in union.__args__]
    return {kind.__struct_config__.tag: kind for kind in (*found, protocols.Undelivered)}


def structs() -> dict[str, Any]:
    parts = (
        Hop,
        gossip.Held,
        gossip.Span,
        record.Record,
        record.Statement,
        record.Presence,
        record.Beacon,
    )
    parts = (*parts, Sealed, Certificate, record.Revocations, record.Orbit, record.Doubt)
    more = (record.LinkState, record.Standing, record.Doubts, Limits, Leased, JobSpec, ShardSpec)
    jobs = (File, Input, Placement, Region, Stage, client.Output)
    return {kind.__name__: kind for kind in (*kinds().values(), *parts, *more, *jobs)}


def test_every_message_has_a_vector() -> None:
    assert sorted(kinds()) == sorted(name for name in VECTORS if " " not in name)


@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_what_its_json_says(name: str) -> None:
    said, text = VECTORS[name]
    assert msgspec.msgpack.decode(data_of(text)) == plain(said)
    assert msgspec.msgpack.encode(plain(said)) == data_of(text)


@pytest.mark.parametrize("name", [name for name in VECTORS if " " not in name])
def test_vector_is_decoded_and_encoded(name: str) -> None:
    data = data_of(VECTORS[name][1])
    codecs = [codec for codec in CODECS if name in codec._tags]
    assert codecs
    for codec in codecs:
        message: Any = codec.decode(data)
        assert isinstance(message, kinds()[name])
        assert codec.encode(message) == data


def test_frame_is_decoded_and_encoded() -> None:
    (text,) = re.findall(r"```hex frame\n([0-9a-f\n]+)```", SPEC)
    message = data_of(VECTORS["accepted"][1])
    assert encode_frame(message) == data_of(text)
    assert FrameDecoder().feed(data_of(text)) == [message]


def test_keys_follow_from_their_seeds() -> None:
    assert len(KEYS) == 2
    assert [(Identity.from_seed(bytes.fromhex(seed)).node_id) for seed, _ in KEYS] == [
        node for _, node in KEYS
    ]


def test_statements_are_signed_by_the_first_key() -> None:
    me = Identity.from_seed(bytes.fromhex(KEYS[0][0]))
    statements = [data_of(text) for name, (_, text) in VECTORS.items() if "statement" in name]
    assert len(statements) == len(SIGNATURES) == 5
    assert f"`{DOMAIN.hex()}`" in SPEC
    for data, text in zip(statements, SIGNATURES, strict=True):
        statement = record.read(record.Record(data, data_of(text)))
        assert record.sign(statement, me.sign) == record.Record(data, data_of(text))
        assert isinstance(statement, Statement)
        record.verify(record.Record(data, data_of(text)), statement, verify)
        assert not verify(me.node_id, data, data_of(text))  # without the domain


def test_what_an_operator_signs_is_by_the_second_key() -> None:
    operator = Identity.from_seed(bytes.fromhex(KEYS[1][0]))
    sealed, revoked = (
        Sealed(data_of(VECTORS[f"the {name}"][1]), data_of(text))
        for name, text in zip(("certificate", "revocations"), OPERATORS, strict=True)
    )
    certificate = unseal(sealed)
    assert (certificate.node, certificate.operator) == (KEYS[0][1], KEYS[1][1])
    assert seal(certificate, operator.sign) == sealed
    assert f"`{certificates.DOMAIN.hex()}`" in SPEC
    policy = TrustPolicy((Operator(operator.node_id),))
    assert certified(sealed, NodeId(KEYS[0][1]), policy, verify) == certificate
    record_ = record.Record(revoked.certificate, revoked.signature)
    record.verify(record_, record.read(record_), verify)
    assert plain(VECTORS["hello"][0])[9] == [sealed.certificate, sealed.signature]


def test_record_of_the_vector_is_the_signed_presence() -> None:
    ((statement, signature),) = plain(VECTORS["records"][0])[1]
    assert statement == data_of(VECTORS["statement with presence"][1])
    assert signature == data_of(SIGNATURES[0])


@pytest.mark.parametrize("name", structs())
def test_table_names_the_fields_in_order(name: str) -> None:
    section = re.split(rf"\n#### {name}[ \n]", SPEC)[1]
    found = re.search(r"\n\|---\|---\|---\|\n((?:\|.*\n)+)", section)
    assert found is not None
    fields = re.findall(r"^\| `(\w+)` \|", found[1], re.MULTILINE)
    assert tuple(fields) == structs()[name].__struct_fields__


def test_tags_and_marks_are_as_told() -> None:
    tag = tag_of(NodeId(KEYS[0][1]), "presence")
    assert f"tag is {tag}, and with sequence 1 the mark {mark_of(tag, 1)}" in " ".join(SPEC.split())
    digest, listing = (plain(VECTORS[name][0]) for name in ("digest", "listing"))
    marks = [mark_of(*held) for held in listing[3]]
    assert digest[1] == [[0, 0, len(marks), sum(marks) % (1 << 63)]]


def test_protocol_id_and_version() -> None:
    assert f"`{PROTOCOL}`" in SPEC and f"Version {VERSION}." in SPEC
    assert f"| `{client.JOB_PROTOCOL}` | `Submit` | `State` |" in SPEC
    assert f"| `{client.BLOB_PROTOCOL}` | `Get` | `Chunk`" in SPEC


CONSTANTS = re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+)(?: (ms|s))? \|.*\| `([\w.]+)` \|$", SPEC, re.M)


@pytest.mark.parametrize(("name", "value", "unit", "module"), CONSTANTS)
def test_constant_is_as_in_the_code(name: str, value: str, unit: str, module: str) -> None:
    number = int(value.replace(",", "")) * UNITS.get(unit, 1)
    assert getattr(importlib.import_module(module), name) == number


def said_codes() -> set[str]:
    """Codes that the code puts on the wire or closes links with."""
    calls = {"ProtocolError": 0, "_give_up": 1, "Refused": 2, "_unfetched": 2, "_fail": 1}
    calls |= {"MeshError": 0, "InputError": 0, "NotFound": 0, "Failure": 0}
    found: set[str] = set()
    homes = [
        "protocols",
        *(f"meshd/{x}" for x in ("forwarding", "gossip", "blobs", "letters", "scheduler", "trust")),
    ]
    paths = [path for home in homes for path in (ROOT / home).glob("*.py")]
    answers = (
        "adapters/requests.py",
        "adapters/capability.py",
        "daemon/clients.py",
        "daemon/work.py",
        "daemon/names.py",
    )
    for path in (*paths, *(ROOT / "meshd" / name for name in answers)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                called = node.func.id if isinstance(node.func, ast.Name) else called
                at = calls.get(called)
                values = [] if at is None else node.args[at : at + 1]
            elif isinstance(node, ast.FunctionDef) and node.name == "_refusal":
                values = [e for e in ast.walk(node) if isinstance(e, ast.Constant)]
            found |= {v.value for v in values if isinstance(v, ast.Constant) and _is_code(v.value)}
    return found


def _is_code(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+", value) is not None


def test_every_code_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \|$", SPEC, re.M))
    assert len(said_codes()) > 20
    for_owners = {"ambiguous-job", "not-running"}  # a client names jobs whole, and cancels none
    assert sorted(said_codes() - explained - for_owners) == []
