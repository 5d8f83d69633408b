"""Events as bytes: the name of the kind, and the fields as msgpack; a plan by its digest, a roster
by its records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from meshd.recording.entries import Entry, Happened
from meshd.recording.entries import KeptPlan as Kept
from meshd.recording.plans import plan_of
from meshd.router.roster import Roster, roster_of
from meshd.seam import Event, PlanLoaded, RosterLoaded
from meshd.topology.plan import ContactPlan
from protocols.errors import MALFORMED, InputError, ProtocolError
from protocols.record import Record
from protocols.types import Instant

EVENTS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}

_encode = msgspec.msgpack.Encoder().encode
_FIELDS: dict[type, Any] = {PlanLoaded: str, RosterLoaded: tuple[Record, ...]}
"""Events that carry what is shared, and what is written of it."""

_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(_FIELDS.get(kind, kind)) for name, kind in EVENTS.items()
}


def encoded(event: Event) -> bytes:
    """The fields of an event."""
    match event:
        case PlanLoaded(plan=plan):
            return _encode(plan.digest)
        case RosterLoaded(roster=roster):
            return _encode([entry.record for entry in roster.entries.values()])
        case _:
            return _encode(event)


def decoded(kind: str, body: msgspec.Raw | bytes, plans: dict[str, ContactPlan]) -> Event:
    """The event of a recording. Raises InputError "recording-damaged" for what is none."""
    decoder = _decoders.get(kind)
    if decoder is None:
        raise InputError("recording-damaged", f"no event is called {kind[:32]!r}")
    try:
        fields = decoder.decode(body)
    except MALFORMED as error:
        raise InputError("recording-damaged", f"a {kind} cannot be read: {error}") from None
    if kind == RosterLoaded.__name__:
        return RosterLoaded(_roster(fields))
    if kind != PlanLoaded.__name__:
        return fields  # type: ignore[no-any-return]
    plan = plans.get(fields)
    if plan is None:
        raise InputError("recording-damaged", f"plan {fields[:12]} was not kept")
    return PlanLoaded(plan)


def _roster(records: tuple[Record, ...]) -> Roster:
    """As it was loaded: its signatures were verified then."""
    try:
        return roster_of(records, lambda author, message, signature: True)
    except ProtocolError as error:
        raise InputError("recording-damaged", f"a roster cannot be read: {error}") from None


def events_of(entries: Iterable[Entry]) -> Iterator[tuple[Instant, Event, Happened]]:
    """The events among entries, each with its instant and its entry."""
    plans: dict[str, ContactPlan] = {}
    for entry in entries:
        if isinstance(entry, Kept):
            plans[entry.digest] = plan_of(entry)
        elif isinstance(entry, Happened):
            yield entry.at, decoded(entry.kind, entry.body, plans), entry
