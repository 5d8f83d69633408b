"""Changes: a scenario with some of its words set otherwise, as `--set link.loss=0.01` says it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from sim.scenario.errors import ScenarioError, nearest
from sim.scenario.reading import from_mapping
from sim.scenario.schema import Scenario

Change: TypeAlias = tuple[str, str]
"""A path into the scenario (`link.loss`, `packets[0].count`), and the value as text."""

_STEPS = re.compile(r"[^.\[\]]+")
_OPENS, _CLOSES = "[{", "]}"


def parse_change(text: str) -> tuple[str, tuple[str, ...]]:
    """The path and the values of `link.loss=0,0.01`. Raises ScenarioError."""
    path, equals, values = text.partition("=")
    if not path.strip() or not equals:
        raise ScenarioError(f"write PATH=VALUE or PATH=VALUE,VALUE, not {text!r}")
    found = tuple(value.strip() for value in _split(values))
    if "" in found:
        raise ScenarioError(f"a value is missing in {text!r}")
    if len(set(found)) < len(found):
        raise ScenarioError(f"a value is given twice in {text!r}")
    return path.strip(), found


def changed(scenario: Scenario, changes: Sequence[Change]) -> Scenario:
    """The scenario with these values. Raises ScenarioError: unknown words with the nearest."""
    if not changes:
        return scenario
    mapping: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(scenario))
    mapping = {word: value for word, value in mapping.items() if value is not None}
    for path, text in changes:
        _set(mapping, path, _value(text))
    return from_mapping(mapping)


def _set(mapping: dict[str, Any], path: str, value: Any) -> None:
    steps = _STEPS.findall(path)
    if not steps:
        raise ScenarioError(f"{path!r} is no path into a scenario, such as link.loss")
    place: Any = mapping
    for done, step in enumerate(steps[:-1], 1):
        key = _key(place, step, path)
        if place.__class__ is dict and place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict | list):
            raise ScenarioError(f"{'.'.join(steps[:done])} has no parts", path)
    place[_key(place, steps[-1], path)] = value


_OPEN_TABLES = ("expect", "liveness")
"""`expect` names any metric; `liveness` is missing when it is not given. Checked when read."""


def _key(place: dict[str, Any] | list[Any], step: str, path: str) -> str | int:
    if isinstance(place, list):
        if step.isdigit() and int(step) < len(place):
            return int(step)
        raise ScenarioError(f"there are {len(place)} of these, from 0; not {step!r}", path)
    if step in place or path.split(".")[0] in _OPEN_TABLES:
        return step
    raise ScenarioError(f"unknown key {step!r}{nearest(step, place)}", path)


def _value(text: str) -> Any:
    """As TOML reads it; what TOML cannot read is a text, so that `90s` needs no quotes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | str | list | dict) else text


def _split(values: str) -> Iterator[str]:
    """At commas that stand in no list, table or quotes."""
    depth, quote, part = 0, "", ""
    for letter in values:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += (letter in _OPENS) - (letter in _CLOSES) if not quote else 0
        if letter == "," and not depth and not quote:
            yield part
            part = ""
        else:
            part += letter
    yield part
