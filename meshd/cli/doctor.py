"""`meshd doctor`: looks at a home, its daemon and this machine, and says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import typer

from meshd.cli.talk import FAILED, Home, Json, emit
from meshd.client.connection import Client
from meshd.config import load_config
from protocols.errors import MeshError

FREE_BYTES_MIN = 256 << 20
FILES_MIN = 1_024
"""Descriptors: a daemon with many links needs one each, and some for its disk."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do, unless it is well."""

    what: str
    state: Literal["ok", "warning", "failed"]
    found: str
    advice: str = ""


def doctor(home: Home = None, json: Json = False) -> None:
    """Check the home, its keys and store, the machine, and the daemon if it runs.

    Exits with 1 when something is broken.

    Example: meshd doctor
    """
    client = Client(home)
    findings = [finding for check in _CHECKS for finding in check(client)]
    if json:
        emit([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}[finding.state]
            advice = f"; {finding.advice}" if finding.advice else ""
            typer.echo(f"{mark}  {finding.what}: {finding.found}{advice}")
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(FAILED)


def _home(client: Client) -> Iterator[Finding]:
    home = client.home
    if not home.is_dir():
        yield Finding("home", "warning", f"{home} is not there yet", "meshd up makes it")
        return
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        yield Finding("home", "failed", f"{home} is open to others ({mode:o})", f"chmod 700 {home}")
    else:
        yield Finding("home", "ok", f"{home}, yours alone")
    key = home / "identity.key"
    if key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        found = f"{key} is readable by others"
        yield Finding("key", "failed", found, f"chmod 600 {key}; others may have its copy")
    elif key.exists():
        yield Finding("key", "ok", str(key))


def _config(client: Client) -> Iterator[Finding]:
    try:
        load_config(client.home, {})
    except MeshError as error:
        yield Finding("configuration", "failed", error.message)
    else:
        yield Finding("configuration", "ok", str(client.home / "config.toml"))


def _store(client: Client) -> Iterator[Finding]:
    path = client.home / "store.db"
    if not path.exists():
        return
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0) as connection:
            said = str(connection.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.Error as error:
        said = str(error)
    if said == "ok":
        yield Finding("store", "ok", str(path))
    else:
        advice = "restore the home from a copy, or start with another"
        yield Finding("store", "failed", f"{path}: {said}", advice)


def _machine(client: Client) -> Iterator[Finding]:
    folder = next(p for p in (client.home, *client.home.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    state = _at_least(free, FREE_BYTES_MIN)
    advice = "" if state == "ok" else "blobs and letters will be refused when it is full"
    yield Finding("disk", state, f"{free / 1e9:.1f} GB free at {folder}", advice)
    files = os.sysconf("SC_OPEN_MAX")
    state = _at_least(files, FILES_MIN)
    advice = "" if state == "ok" else f"ulimit -n {FILES_MIN} before many links"
    yield Finding("open files", state, f"at most {files}", advice)


def _at_least(value: int, least: int) -> Literal["ok", "warning"]:
    return "ok" if value >= least else "warning"


def _daemon(client: Client) -> Iterator[Finding]:
    try:
        status = client.get("/v1/status")
    except MeshError as error:
        yield Finding("daemon", "warning", error.message)
        return
    yield Finding("daemon", "ok", f"{status['name']} is up, process {status['pid']}")
    yield _trust(status["trust"])
    yield from _links(status)
    held = status["held_packets"]
    if held:
        yield Finding("custody", "ok", f"{held} packets wait for a contact or an answer")
    used, most = status["blob_bytes"], status["blob_bytes_max"]
    if used > 0.9 * most:
        found = f"{used / 1e6:.0f} of {most / 1e6:.0f} MB of blobs"
        yield Finding("blobs", "warning", found, "raise --blobs-max-mb, or finish jobs")


def _trust(found: dict[str, Any]) -> Finding:
    if found["open"]:
        advice = "for experiments only; meshd up --trust operator.toml closes it"
        return Finding("trust", "warning", "OPEN MODE: anyone is believed", advice)
    shown = found["certificate"]
    if shown["serial"] in found["revoked"].get(shown["operator"], ()):
        return Finding("trust", "failed", "this node's certificate is revoked", "ask for another")
    return Finding("trust", "ok", f"certified until {shown['not_after']}")


def _links(status: dict[str, Any]) -> Iterator[Finding]:
    missing = status["links_missing"]
    if missing:
        advice = "meshd links shows the plan, meshd events -f why dials fail"
        yield Finding("links", "warning", f"planned and not there: {', '.join(missing)}", advice)
    elif status["peers"]:
        yield Finding("links", "ok", f"{status['peers']} up, {status['members']} nodes known")
    elif status["plan"] is None:
        yield Finding("links", "warning", "none", "meshd connect MADDR joins a mesh")
    else:
        yield Finding("links", "ok", "none by plan now")


_CHECKS: tuple[Callable[[Client], Iterator[Finding]], ...] = (
    _home,
    _config,
    _store,
    _machine,
    _daemon,
)
