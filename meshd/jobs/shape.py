"""Shape: whether a document has the keys and types of a record; every fault, with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import msgspec

from meshd.jobs.document import Place


@dataclass(frozen=True, slots=True)
class Fault:
    place: Place
    message: str
    code: str = "bad-job-file"


def shape_faults(said: Any, kind: type[msgspec.Struct], place: Place = ()) -> list[Fault]:
    """What keeps `said` from being converted to `kind`."""
    if not isinstance(said, dict):
        return [Fault(place, f"it is {_what(said)}, where keys and values belong")]
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    found = [
        Fault((*place, key), f"unknown key {dotted((*place, key))!r}{near(key, list(fields))}")
        for key in said
        if key not in fields
    ]
    for name, field in fields.items():
        if name in said:
            found += _value_faults(said[name], field.type, (*place, name))
    return found


def without(said: dict[str, Any], faults: Sequence[Fault]) -> dict[str, Any]:
    """A copy without the keys that have faults, so that the rest can be looked at too."""
    bad = {fault.place for fault in faults}

    def kept(value: Any, place: Place) -> Any:
        if not isinstance(value, dict):
            return value
        pairs = ((key, (*place, key), item) for key, item in value.items())
        return {key: kept(item, where) for key, where, item in pairs if where not in bad}

    return dict(kept(said, ()))


def dotted(place: Place) -> str:
    return ".".join(map(str, place))


def near(name: str, known: Sequence[str]) -> str:
    """A hint at what may have been meant."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there is: {', '.join(known)}"


def _value_faults(value: Any, kind: Any, place: Place) -> Iterator[Fault]:
    inner = _struct_in(kind)
    if inner is not None and get_origin(kind) is dict:
        if isinstance(value, dict):
            for key, item in value.items():
                yield from shape_faults(item, inner, (*place, key))
            return
    elif inner is not None and value is not None:
        yield from shape_faults(value, inner, place)
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error).removesuffix(" - at `$`")
        why, _, at = text.partition(" - at `$")
        yield Fault(place, f"{dotted(place)}{at.rstrip('`')}: {why[:1].lower()}{why[1:]}")


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The record that a field holds, alone, by name in a dict, or None."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _what(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
