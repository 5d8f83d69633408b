"""The source keeps our rules; what ruff, mypy and import-linter cannot see is looked at here."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import source_rules as rules

ROOT = Path(__file__).parents[2]
PACKAGES = ("meshd", "protocols", "sim")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
PURE = tuple(
    module.replace(".", "/")
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    if contract["name"] == "decisions are pure"
    for module in contract["source_modules"]
)
TOP_LEVEL = {
    *(".ci", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "Makefile", "README.md"),
    *("STYLE.md", "meshd", "protocols", "pyproject.toml", "requirements.lock", "sim", "tests"),
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_source_keeps_the_rules(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    pure = any(name == f"{home}.py" or name.startswith(f"{home}/") for home in PURE)
    assert rules.offences(path.read_text(encoding="utf-8"), pure=pure) == []


@pytest.mark.parametrize("name", ["requirements.lock", "tests/interop/package-lock.json"])
def test_lock_names_no_place(name: str) -> None:
    assert list(rules.urls((ROOT / name).read_text())) == []


def test_top_level_is_known() -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    here = {path.name for path in ROOT.iterdir()}
    assert sorted(here - ignored - TOP_LEVEL - {".git"}) == []


def test_documents_name_no_machine() -> None:
    documents = [*ROOT.glob("*.md"), *(p for x in PACKAGES for p in (ROOT / x).rglob("*.md"))]
    private = re.compile(r"(?<![\w.])/(work|root|home|Users)/\w")
    assert [str(p) for p in documents if private.search(p.read_text(encoding="utf-8"))] == []


# --- the rules themselves -----------------------------------------------------------------------

LONG = "def f() -> None:\n" + "    x = 1\n" * 50

SAMPLES = {
    LONG: "1: f has 51 lines, at most 50",
    '"""M."""\n' + "x = 1\n" * 400: "1: 401 lines, at most 400",
    "print('x')": "1: print() is for nobody",
    "for x in {1, 2}: pass": "1: a set is iterated; sort it first",
    "for x in set(y): pass": "1: a set is iterated; sort it first",
    "[x for x in frozenset(y)]": "1: a set is iterated; sort it first",
    "[x for x in {z for z in y}]": "1: a set is iterated; sort it first",
    "tuple({1} | y)": "1: a set is iterated; sort it first",
    "import time\ntime.time()": "2: time.time in a pure module",
    "import time as t\nt.monotonic()": "2: time.monotonic in a pure module",
    "from time import monotonic_ns as m\nm()": "2: time.monotonic_ns in a pure module",
    "import datetime\ndatetime.datetime.now()": "2: datetime.datetime.now in a pure module",
    "from datetime import datetime as D\nD.utcnow()": (
        "2: datetime.datetime.utcnow in a pure module"
    ),
    "import random\nrandom.choice([1])": "2: random.choice in a pure module",
    "from uuid import uuid4\nx = uuid4": "2: uuid.uuid4 in a pure module",
    "import os\nos.urandom(4)": "2: os.urandom in a pure module",
    "x = 1": "1: the module does not open with a sentence",
    '"""No stop"""': "1: the module does not open with a sentence",
    '"""M."""\nclass C:\n    def f(self): ...': "2: C does not open with a sentence",
    "x = f()  # type: ignore": "1: type: ignore without a code",
    "# TODO: later": "1: unfinished: # TODO: later",
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_offence_is_found(sample: str) -> None:
    assert SAMPLES[sample] in rules.offences(sample, pure=True)


CLEAN = '''"""A module."""
from random import Random
import datetime
import time_of_day

class Record:
    x: int

def f(rng: Random, at: datetime.datetime, time: float) -> list[int]:
    same = [x for x in sorted({1, 2})] + sorted(x for x in {1, 2}) + [time.hour]
    return [max({1, 2}), *same]  # type: ignore[misc]
'''


def test_clean_source_has_no_offence() -> None:
    assert rules.offences(CLEAN, pure=True) == []
    assert list(rules.impure_names(ast.parse("import os\nos.path"))) == []


def test_place_in_a_lock_is_found() -> None:
    lock = "a==1 \\\n    --hash=sha256:00\nb @ https://example.org/b.whl\n--index-url x\n"
    assert [found[:2] for found in rules.urls(lock)] == ["3:", "4:"]
