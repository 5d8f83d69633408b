"""Packets and signatures, beside JSON and bare Ed25519."""

from __future__ import annotations

import base64
import json

import protocols
from meshd.adapters.identity import Identity, Verifier, verify
from meshd.ephemeris import parse_time
from protocols.forward import Hop, Packet
from protocols.record import DOMAIN, Presence, Statement, sign
from protocols.types import SECOND, NodeId, PacketId
from tests.bench.measure import Row, per_call

AT = parse_time("2026-01-01T12:00:00Z")


def rows() -> list[Row]:
    return packets() + signatures()


def packets() -> list[Row]:
    hops = tuple(Hop(NodeId(f"12D3KooW{i:044}"), AT + i) for i in range(6))
    packet = Packet(
        PacketId("p" * 30), hops[0].node, hops[5].node, "app", bytes(1024), AT, AT, 64, hops
    )
    as_json = {
        **{name: getattr(packet, name) for name in ("id", "source", "destination", "port")},
        "payload": base64.b64encode(packet.payload).decode(),
        "hops": [[hop.node, hop.arrived_at] for hop in hops],
        "times": [packet.sent_at, packet.expires_at, packet.hop_limit],
    }
    data, text = protocols.LINK.encode(packet), json.dumps(as_json)
    encode, decode = protocols.LINK.encode, protocols.LINK.decode
    return [
        Row(
            "packet of 1 kB, encode",
            per_call(lambda: encode(packet)),
            "json, base64",
            per_call(
                lambda: json.dumps({**as_json, "p": base64.b64encode(packet.payload).decode()})
            ),
        ),
        Row(
            "packet of 1 kB, decode and check",
            per_call(lambda: decode(data)),
            "json, base64, no checks",
            per_call(lambda: base64.b64decode(json.loads(text)["payload"])),
        ),
    ]


def signatures() -> list[Row]:
    me = Identity.from_seed(bytes(range(32)))
    record = sign(Statement(me.node_id, 1, AT, SECOND, Presence("a", "", ())), me.sign)
    message, verifier = DOMAIN + record.statement, Verifier()
    verifier.verify(me.node_id, message, record.signature)
    return [
        Row(
            "signature met before",
            per_call(lambda: verifier.verify(me.node_id, message, record.signature)),
            "Ed25519 verify",
            per_call(lambda: verify(me.node_id, message, record.signature), calls=50),
        )
    ]
