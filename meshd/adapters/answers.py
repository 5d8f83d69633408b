"""What the control API answers, as types: the source of its OpenAPI description.

Units stand in the names; instants are ISO 8601 in UTC of mission time. A later version of the API
may add fields, so a client ignores what it does not know.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

State: TypeAlias = Literal["alive", "dark", "suspect", "gone"]
"""Of a node: dark is who has no contact by the plan, suspect who is doubted by a neighbour, gone
who is doubted while no way leads there."""


class Refusal(msgspec.Struct):
    """Why a request was not carried out: a code for programs, a sentence for people."""

    error: dict[Literal["code", "message"], str]


class Identity(msgspec.Struct):
    """Who a daemon is."""

    id: str
    name: str
    site: str
    version: str
    home: str
    pid: int
    addresses: list[str]
    open: bool
    """Whether it trusts no operator, and so believes anyone."""


class Plan(msgspec.Struct):
    """The contact plan that a daemon routes by."""

    sky: str
    policy: str
    start: str
    end: str
    sites: int
    contacts: int
    digest: str


class Recording(msgspec.Struct):
    """The flight recorder."""

    file: str
    state: str
    events: int
    bytes: int
    bytes_max: int


class Trust(msgspec.Struct):
    """Whom a daemon believes: certificates of these operators, or anyone in open mode."""

    open: bool
    operators: list[str]
    allow: list[str]
    certificate: dict[str, Any] | None
    revoked: dict[str, Any]


class Membership(msgspec.Struct):
    """How many nodes are in which state."""

    alive: int
    dark: int
    suspect: int
    gone: int


class Status(Identity):
    """How a daemon is doing."""

    mission_time: str
    speed: float
    uptime_s: float
    peers: int
    links_missing: list[str]
    members: int
    membership: Membership
    plan: Plan | None
    trust: Trust
    emulate_light: bool
    slots: int
    kinds: list[str]
    accepts_remote_jobs: bool
    running: int
    queued: int
    jobs: dict[str, int]
    held_packets: int
    blob_bytes: int
    blob_bytes_max: int
    store: str
    events_handled: int
    recording: Recording | None


class Peer(msgspec.Struct):
    """A link that is up. Delays are one way."""

    node: str
    name: str
    site: str
    kind: Literal["standing", "planned"]
    ready: bool
    direction: Literal["out", "in"]
    delay_ms: float | None
    hello_delay_ms: float | None
    measured_delay_ms: float | None
    state: State
    address: str
    since: str
    frames_in: int
    frames_out: int
    received_bytes: int
    sent_bytes: int


class KnownNode(msgspec.Struct):
    """A node that was heard of, its newest load, and how far it is; null where that is unknown."""

    node: str
    name: str
    site: str
    addresses: list[str]
    me: bool
    reachable: bool
    delay_ms: float | None
    state: State
    dark_until: str | None
    slots: int | None
    running: int | None
    queued: int | None
    wait_ms: float | None
    kinds: list[str] | None
    beacon_age_ms: float | None


class Link(msgspec.Struct):
    """A contact of a site."""

    peer: str
    node: str | None
    begin: str
    finish: str
    duration_s: float
    range_km: float | None
    light_ms: float
    open: bool
    up: bool


class Links(msgspec.Struct):
    """The contacts of a site in a window."""

    node: str
    start: str = msgspec.field(name="from")
    until: str = ""
    links: list[Link] = []


class TableEntry(msgspec.Struct):
    """The way to a node: whom to give it to, and until when to hold it."""

    to: str
    node: str
    next: str
    next_node: str
    hold_until: str
    hold_ms: float
    arrive: str
    one_way_ms: float
    hops: int


class Table(msgspec.Struct):
    """The forwarding table of an instant."""

    node: str
    name: str
    at: str
    valid_until: str
    entries: list[TableEntry]
    unreachable: list[str]


class SentLetter(msgspec.Struct):
    """Where a letter is on its way."""

    letter: str
    state: Literal["sending", "delivered", "expired"]


class Mail(msgspec.Struct):
    """A letter that came; its body in base64."""

    number: int
    letter: str
    node: str
    name: str
    port: str
    stream: str
    arrived_at: str
    body: str


class Taken(msgspec.Struct):
    """The number of the letter that the mailbox has forgotten."""

    taken: int


class Job(msgspec.Struct):
    """A job that was accepted here."""

    job: str
    name: str
    kind: str
    status: Literal["running", "completed", "failed", "cancelled"]
    code: str
    message: str
    submitted_at: str
    deadline: str
    ended_at: str | None
    took_ms: float | None
    sink: str
    sink_name: str
    shards: int
    counts: dict[str, int]
    replaced: int
    holders: int


class Shard(msgspec.Struct):
    """One shard, who holds it, and how often it was placed anew."""

    shard: int
    stage: str
    phase: str
    holder: str | None
    holder_name: str | None
    epoch: int
    replaced: int
    failures: int
    code: str
    message: str
    wall_ms: float | None
    output: str | None


class WholeJob(Job):
    """A job with its shards."""

    shard_list: list[Shard]


class Output(msgspec.Struct):
    """The result of a shard, as a blob."""

    shard: int
    cid: str
    bytes: int


class Blob(msgspec.Struct):
    """A blob that is here whole; one that is not kept is a cache."""

    cid: str
    bytes: int
    kept: bool


class Linked(msgspec.Struct):
    """A standing link that was made."""

    node: str
    name: str
    address: str
    delay_ms: float | None
    warning: str | None


class Unlinked(msgspec.Struct):
    """A standing link that was given up."""

    node: str
    name: str
    was_linked: bool
    linked: bool
    planned_until: str | None


class PingRow(msgspec.Struct):
    """One round trip."""

    seq: int
    ok: bool
    predicted_rtt_ms: float | None
    measured_rtt_ms: float | None
    hops: int | None
    path: list[str] | None
    code: str | None
    message: str | None


class Pings(msgspec.Struct):
    """Round trips to a node, measured beside their predictions."""

    node: str
    name: str
    note: str | None
    sent: int
    received: int
    pings: list[PingRow]


class TracedHop(msgspec.Struct):
    """When a packet passed a node, counted from where it set out."""

    node: str
    name: str
    predicted_ms: float | None
    measured_ms: float | None


class Trace(msgspec.Struct):
    """A round trip hop by hop."""

    node: str
    name: str
    note: str | None
    direction: str
    predicted_path_there: list[str] | None
    predicted_path_back: list[str] | None
    predicted_rtt_ms: float | None
    measured_rtt_ms: float | None
    hops: list[TracedHop]


class Stopping(msgspec.Struct):
    """The daemon ends soon after it has said so."""

    stopping: bool


Anything = dict[str, Any]
"""Where the answer follows what was asked for: a route, a timeline, elements, a stream of rows."""
