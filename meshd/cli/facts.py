"""`meshd status`, `id`, `peers`, `nodes` and `version`: what a daemon knows."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

import typer

from meshd.cli.talk import Home, Json, emit, facts, length, ms, size, table
from meshd.client.connection import Client


def status(home: Home = None, json: Json = False) -> None:
    """How the daemon is.

    Example: meshd status
    """
    answer = Client(home).get("/v1/status")
    if json:
        emit(answer)
        return
    plan, jobs = answer["plan"], answer["jobs"]
    told = ", ".join(f"{count} {name}" for name, count in jobs.items() if count) or "none"
    missing = f", {len(answer['links_missing'])} missing" if answer["links_missing"] else ""
    rows: list[tuple[str, object]] = [
        ("node", f"{answer['name']}  {answer['id']}"),
        ("site", answer["site"] or "none (standing links only)"),
        ("address", answer["addresses"][0] if answer["addresses"] else "none"),
        *(("", address) for address in answer["addresses"][1:]),
        ("version", f"{answer['version']}, process {answer['pid']}, at {answer['home']}"),
        ("time", f"{answer['mission_time']} (speed {answer['speed']:g}), "
                 f"up {length(answer['uptime_s'])}"),
        ("plan", _plan(plan) if plan else "none: no constellation or catalog was named"),
        ("trust", _trust(answer["trust"])),
        ("links", f"{answer['peers']} up{missing}; {_members(answer)}"),
        ("work", _work(answer)),
        ("jobs", told),
        ("store", f"{answer['store']}; blobs {size(answer['blob_bytes'])} of "
                  f"{size(answer['blob_bytes_max'])}; {answer['held_packets']} packets held"),
        *([("recording", _recording(answer["recording"]))] if answer["recording"] else []),
    ]  # fmt: skip
    facts(rows)


def _members(answer: dict[str, Any]) -> str:
    """How many nodes are known, and what is thought of those that are not just there."""
    odd = [f"{n} {state}" for state, n in answer["membership"].items() if n and state != "alive"]
    return f"{answer['members']} nodes known" + (f" ({', '.join(odd)})" if odd else "")


def _plan(plan: dict[str, Any]) -> str:
    return (
        f"{plan['contacts']} contacts of {plan['sites']} sites until {plan['end']} "
        f"(sky {plan['sky'][:12]})"
    )


def _trust(found: dict[str, Any]) -> str:
    if found["open"]:
        return "OPEN: anyone is believed; for experiments only (--trust closes it)"
    names = ", ".join(o["name"] or o["id"] for o in found["operators"])
    shown = found["certificate"]
    revoked = sum(map(len, found["revoked"].values()))
    taken = f"; {revoked} certificates revoked" if revoked else ""
    return f"{names}; certified (serial {shown['serial']}) until {shown['not_after']}{taken}"


def _recording(found: dict[str, Any]) -> str:
    state = "" if found["state"] == "recording" else f"; ended: {found['state']}"
    limits = f"{size(found['bytes'])} of {size(found['bytes_max'])}"
    return f"{found['file']}: {found['events']} events, {limits}{state}"


def _work(answer: dict[str, Any]) -> str:
    if not answer["slots"]:
        return "runs none: it has no slots"
    whose = "takes work from others" if answer["accepts_remote_jobs"] else "takes its own work only"
    return (
        f"{answer['running']} of {answer['slots']} slots busy, {answer['queued']} queued; "
        f"runs {', '.join(answer['kinds'])}; {whose}"
    )


def id_(home: Home = None, json: Json = False) -> None:
    """The daemon's id and addresses.

    Example: meshd id
    """
    answer = Client(home).get("/v1/id")
    if json:
        emit(answer)
        return
    typer.echo(answer["id"])
    for address in answer["addresses"]:
        typer.echo(address)


def peers(home: Home = None, json: Json = False) -> None:
    """Nodes one link away.

    Example: meshd peers --json | jq '.[].name'
    """
    rows = Client(home).get("/v1/peers")
    if json:
        emit(rows)
        return
    table(
        ("NAME", "STATE", "LINK", "WAY", "DELAY", "MEASURED", "SENT", "RECEIVED", "ADDRESS", "ID"),
        [
            (
                row["name"] if row["name"] != row["node"] else "?",
                row["state"],
                row["kind"] if row["ready"] else "greeting",
                row["direction"],
                ms(row["delay_ms"]),
                ms(row["measured_delay_ms"]),
                size(row["sent_bytes"]),
                size(row["received_bytes"]),
                row["address"],
                row["node"],
            )
            for row in rows
        ],
        "no links are up; join another node with: meshd connect ADDRESS",
    )


def nodes(home: Home = None, json: Json = False) -> None:
    """Every node of the mesh, with its load.

    Example: meshd nodes
    """
    rows = Client(home).get("/v1/nodes")
    if json:
        emit(rows)
        return
    table(
        ("NAME", "STATE", "SITE", "DELAY", "BUSY", "QUEUED", "WAIT", "RUNS", "ID"),
        [
            (
                row["name"] + (" (this)" if row["me"] else ""),
                row["state"] + (f" until {row['dark_until']}" if row["dark_until"] else ""),
                row["site"] or "-",
                ms(row["delay_ms"]) if row["reachable"] else "no way",
                "silent" if row["slots"] is None else f"{row['running']}/{row['slots']}",
                row["queued"],
                None if row["wait_ms"] is None else f"{row['wait_ms'] / 1e3:.1f} s",
                ",".join(row["kinds"]) if row["kinds"] else None,
                row["node"],
            )
            for row in rows
        ],
        "no node is known, not even this one: it has just started",
    )


def version(json: Json = False) -> None:
    """The version of meshd.

    Example: meshd version
    """
    number = version_of("meshd")
    if json:
        emit({"version": number})
    else:
        typer.echo(f"meshd {number}")
