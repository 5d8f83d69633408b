"""Reading: a scenario from TOML, every word of it checked; errors name the line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from meshd.ephemeris import parse_duration, parse_time
from protocols.errors import MeshError
from sim.scenario.actions import Action, Harmful, Submit
from sim.scenario.errors import ScenarioError, nearest
from sim.scenario.lines import line_of, lines_of
from sim.scenario.schema import (
    Cable,
    Flow,
    Letters,
    Link,
    Liveness,
    NodeRules,
    Scenario,
    Subset,
    Window,
)

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
SCENARIO_BYTES_MAX = 1_000_000

_LISTS: dict[str, Any] = {
    "packets": Flow,
    "letters": Letters,
    "jobs": Submit,
    "timeline": Action,
    "cables": Cable,
    "contacts": Window,
}
_TABLES: dict[str, type[msgspec.Struct]] = {
    "link": Link,
    "node": NodeRules,
    "subset": Subset,
    "liveness": Liveness,
}
_ACTIONS: dict[str, type[msgspec.Struct]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Action)
}
_UNKNOWN = re.compile(r"unknown field `(?P<word>[^`]*)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`")


@dataclass(frozen=True, slots=True)
class Document:
    """A scenario and where it was read: its folder is where its other files are."""

    path: Path
    text: str
    scenario: Scenario

    @property
    def folder(self) -> Path:
        return self.path.parent

    def located(self, error: ScenarioError) -> ScenarioError:
        """The same error with the file and line in front."""
        return _located(error, self.text, self.path)


def read(path: Path) -> Document:
    """The scenario of a file. Raises ScenarioError, with the line."""
    try:
        if path.stat().st_size > SCENARIO_BYTES_MAX:
            raise ScenarioError(f"{path} is larger than {SCENARIO_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path} is not UTF-8 text") from None
    return Document(path, text, parse(text, path))


def parse(text: str, path: Path | None = None) -> Scenario:
    """The scenario of TOML text. Raises ScenarioError: what is wrong, and in which line."""
    try:
        scenario = _convert_all(_load(text))
        check(scenario)
    except ScenarioError as error:
        raise _located(error, text, path) from None
    return scenario


def from_mapping(data: dict[str, Any]) -> Scenario:
    """The scenario of a mapping with the same keys as the TOML. Raises ScenarioError."""
    scenario = _convert_all(data)
    check(scenario)
    return scenario


def bundled() -> dict[str, Path]:
    """The experiments that come with meshsim, by name."""
    paths = [path for path in EXPERIMENTS.iterdir() if path.suffix in (".toml", ".py")]
    return {path.stem: path for path in sorted(paths)}


def find(word: str) -> Path:
    """A scenario by path or bundled name. Raises ScenarioError with the nearest."""
    path = Path(word)
    if path.suffix in (".toml", ".py") or path.is_file():
        return path
    known = bundled()
    if word not in known:
        hint = nearest(word, known)
        raise ScenarioError(f"no scenario is called {word!r}{hint}; `meshsim list` shows all")
    return known[word]


def check(scenario: Scenario) -> None:
    """What types cannot say: lengths of time, instants, and what goes together."""
    places = (scenario.constellation, scenario.catalog, scenario.members)
    if sum(map(bool, places)) != 1:
        raise ScenarioError("give one of constellation, catalog and members")
    if (scenario.cables or scenario.contacts) and not scenario.members:
        raise ScenarioError("cables and contacts join members; a sky has its own links")
    _as_time(scenario.epoch, "epoch")
    for where, text in _lengths(scenario):
        _as_duration(text, where)
    for where, text in _instants(scenario):
        if _as_duration(text, where) > scenario.duration_ns:
            raise ScenarioError(f"{text} is after the end, {scenario.duration}", where)
    if scenario.liveness is not None:
        _check_liveness(scenario.liveness, scenario)
    ends = scenario.stations or scenario.members
    for index, flow in enumerate(scenario.packets):
        if not flow.pairs and len(ends) < 2:
            raise ScenarioError("packets without pairs need two stations", f"packets[{index}]")


def _check_liveness(liveness: Liveness, scenario: Scenario) -> None:
    """No harm after `at`, and the end no earlier than all must be well."""
    healed = _as_duration(liveness.at, "liveness.at")
    if healed + _as_duration(liveness.within, "liveness.within") > scenario.duration_ns:
        raise ScenarioError(f"at + within is after the end, {scenario.duration}", "liveness")
    for index, action in enumerate(scenario.timeline):
        if isinstance(action, Harmful) and parse_duration(action.at) >= healed:
            what = action.__struct_config__.tag
            where = f"timeline[{index}].at"
            raise ScenarioError(f"{what!r} does harm after liveness.at, {liveness.at}", where)


def _lengths(scenario: Scenario) -> list[tuple[str, str]]:
    found = [
        ("duration", scenario.duration),
        ("sample_every", scenario.sample_every),
        ("contact_light", scenario.contact_light),
        ("node.commit", scenario.node.commit),
    ]
    for index, flow in enumerate(scenario.packets):
        found.append((f"packets[{index}].lifetime", flow.lifetime))
    for index, letters in enumerate(scenario.letters):
        found.append((f"letters[{index}].lifetime", letters.lifetime))
    for index, cable in enumerate(scenario.cables):
        found.append((f"cables[{index}].light", cable.light))
    for index, window in enumerate(scenario.contacts):
        found += [
            (f"contacts[{index}].from", window.begin),
            (f"contacts[{index}].to", window.finish),
        ]
    for index, action in enumerate(scenario.timeline):
        for word in ("lasting", "lifetime", "by", "lag", "delay"):
            if text := getattr(action, word, ""):
                key = "for" if word == "lasting" else word
                found.append((f"timeline[{index}].{key}", text.removeprefix("-")))
    if scenario.liveness is not None:
        found.append(("liveness.within", scenario.liveness.within))
    return found


def _instants(scenario: Scenario) -> list[tuple[str, str]]:
    found = [(f"timeline[{i}].at", action.at) for i, action in enumerate(scenario.timeline)]
    found += [(f"jobs[{i}].at", job.at) for i, job in enumerate(scenario.jobs)]
    found += [(f"packets[{i}].at", flow.at) for i, flow in enumerate(scenario.packets)]
    found += [(f"letters[{i}].at", letters.at) for i, letters in enumerate(scenario.letters)]
    found += [("liveness.at", scenario.liveness.at)] if scenario.liveness else []
    return found


def _as_duration(text: str, where: str) -> int:
    try:
        return parse_duration(text)
    except MeshError as error:
        raise ScenarioError(error.message, where) from None


def _as_time(text: str, where: str) -> int:
    try:
        return parse_time(text)
    except MeshError as error:
        raise ScenarioError(error.message, where) from None


def _load(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"not TOML: {error}") from None


def _convert_all(data: dict[str, Any]) -> Scenario:
    """Lists item by item first: msgspec does not say which item of a list is wrong."""
    for key, kind in _LISTS.items():
        items = data.get(key, [])
        if not isinstance(items, list):
            raise ScenarioError(f"write [[{key}]]: there may be several", key)
        for index, item in enumerate(items):
            _convert(item, kind, f"{key}[{index}]")
    for key, table in _TABLES.items():
        if key in data:
            _convert(data[key], table, key)
    scenario: Scenario = _convert(data, Scenario, "")
    return scenario


def _convert(data: Any, kind: Any, where: str) -> Any:
    """msgspec's own words, with the nearest valid word for one that is unknown."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        said = str(error)
    path = _PATH.search(said)
    inner = path["path"] if path else ""
    message = _PATH.sub("", said)
    place = f"{where}{inner}".lstrip(".")
    unknown = _UNKNOWN.search(said)
    if unknown:
        known = _words(data, kind)
        place = f"{place}.{unknown['word']}".lstrip(".")
        raise ScenarioError(
            f"unknown key {unknown['word']!r}{nearest(unknown['word'], known)}", place
        )
    if inner == ".do":
        message = f"no action is called {data['do']!r}{nearest(str(data['do']), _ACTIONS)}"
    raise ScenarioError(message[0].lower() + message[1:], place)


def _words(data: Any, kind: Any) -> tuple[str, ...]:
    """The keys that a table may have."""
    struct = _ACTIONS.get(data.get("do", "")) if kind is Action else kind
    return () if struct is None else struct.__struct_encode_fields__


def _located(error: ScenarioError, text: str, path: Path | None) -> ScenarioError:
    line = line_of(lines_of(text), error.where)
    where = ":".join(str(part) for part in (path, line) if part is not None)
    if not where:
        return error
    found = ScenarioError(f"{where if path else f'line {where}'}: {error.message}")
    found.where = error.where
    return found
