"""Writing: a scenario as TOML that reads back as the same record."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from sim.scenario.schema import Scenario

TABLES = ("subset", "link", "node", "liveness")
LISTS = ("packets", "letters", "jobs", "cables", "contacts", "timeline")


def to_toml(scenario: Scenario) -> str:
    """The text of a scenario; what is as the schema has it by default is left out."""
    data: dict[str, Any] = msgspec.to_builtins(scenario, order=None)
    bare = msgspec.to_builtins(Scenario("", "", "", "", "1s"))
    lines = [f"# Question: {_first_line(scenario.question)}"]
    for key, value in data.items():
        if key in (*TABLES, *LISTS, "expect") or value == bare.get(key, ...):
            continue
        lines.append(f"{key} = {_value(value)}")
    for key in TABLES:
        value = data.get(key)
        if value and value != bare.get(key):
            lines += _table(f"[{key}]", value, _defaults(getattr(scenario, key)))
    for key in LISTS:
        for item, value in zip(getattr(scenario, key), data[key], strict=True):
            if key != "timeline":
                value.pop("do", None)  # a job is a submit, and so need not say
            lines += _table(f"[[{key}]]", value, _defaults(item))
    if scenario.expect:
        lines += _table("[expect]", scenario.expect, {})
    return "\n".join(lines) + "\n"


def _defaults(item: msgspec.Struct) -> dict[str, Any]:
    """The values that fields have when nothing is written, by their names in TOML."""
    fields = msgspec.structs.fields(type(item))
    return {
        field.encode_name: msgspec.to_builtins(field.default)
        for field in fields
        if field.default is not msgspec.NODEFAULT
    }


def _table(header: str, values: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    rows = [
        f"{key} = {_value(value)}"
        for key, value in values.items()
        if value is not None and value != defaults.get(key, ...)
    ]
    return ["", header, *rows]


def _value(value: Any) -> str:
    """A TOML value. JSON's strings, numbers and arrays are TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _first_line(text: str) -> str:
    return " ".join(text.split())
