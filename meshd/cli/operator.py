"""`meshd operator`: an operator's own folder: certificates signed and revoked, capabilities made.

No daemon is needed but to tell a mesh; the key stays in the folder.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import typer

from meshd.cli.talk import Home, Json, emit, facts, say, table
from meshd.client.connection import Client
from protocols.errors import InputError, MeshError
from protocols.types import HOUR, MINUTE, NodeId

FOLDER_VARIABLE = "MESHD_OPERATOR"

app = typer.Typer(
    help="Certify nodes, take it back, and grant work.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

EARLY_NS = 5 * MINUTE
"""A certificate holds from so long ago: clocks differ."""

Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--operator", help=f"The operator's folder [env {FOLDER_VARIABLE}]."),
]
At: TypeAlias = Annotated[
    str | None, typer.Option("--at", help="UTC TIME of the mission, if it is not now.")
]


def folder_of(given: Path | None) -> Path:
    """Raises InputError "no-operator"."""
    named = given or (Path(os.environ[FOLDER_VARIABLE]) if FOLDER_VARIABLE in os.environ else None)
    if named is None:
        message = f"say which operator: --operator FOLDER, or {FOLDER_VARIABLE}"
        raise InputError("no-operator", message)
    return named.expanduser().absolute()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder for it: keep it safe.")],
    name: Annotated[str, typer.Option("--name", help="What people call it [the folder's].")] = "",
    satellites: Annotated[
        str, typer.Option("--satellites", help="Names or patterns of those it flies, A,B,C.")
    ] = "*",
    json: Json = False,
) -> None:
    """Make an operator: a key, and the file that daemons are given to trust it.

    Example: meshd operator init acme --name acme --satellites 'ONE-*'
    """
    from meshd.adapters.authority import CARD, Authority

    place = folder.expanduser().absolute()
    flown = tuple(word.strip() for word in satellites.split(",") if word.strip())
    authority = Authority.init(place, name or place.name, flown)
    card = str(place / CARD)
    if json:
        emit({"operator": authority.id, "name": authority.book.name, "trust": card})
        return
    facts([("operator", authority.id), ("name", authority.book.name), ("key", f"in {place}")])
    say(f"daemons trust it with: meshd up --trust {card}")


@app.command()
def sign(
    node: Annotated[str, typer.Argument(help="The node's id, as `meshd id` says.")],
    operator: Folder = None,
    site: Annotated[str, typer.Option("--site", help="The satellite or city it is.")] = "",
    role: Annotated[
        list[str] | None, typer.Option("--role", help="elements: may publish for all of yours.")
    ] = None,
    days: Annotated[float, typer.Option("--days", min=0.001, max=3_650)] = 365.0,
    at: At = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write it [NODE.cert here].")
    ] = None,
    json: Json = False,
) -> None:
    """Certify that a node is one of yours, and where it lives.

    Example: meshd operator sign 12D3KooW... --site iridium-1-1 --days 90
    """
    from meshd.adapters.address import public_key_of
    from meshd.adapters.authority import Authority
    from meshd.adapters.trustfile import certificate_text
    from meshd.ephemeris.timescale import format_time

    public_key_of(node)
    authority = Authority.open(folder_of(operator))
    lasts = round(days * 24 * HOUR)
    begin, roles = _instant(at) - EARLY_NS, tuple(role or ())
    sealed, given = authority.certify(NodeId(node), site, roles, begin, lasts)
    path = out or Path(f"{node}.cert")
    try:
        path.write_text(certificate_text(sealed), encoding="utf-8")
    except OSError as error:
        raise MeshError("unwritable-file", f"cannot write {path}: {error.strerror}") from None
    until = format_time(given.not_after)
    if json:
        emit(
            {"node": node, "serial": given.serial, "site": site, "until": until, "file": str(path)}
        )
        return
    facts([("node", node), ("serial", given.serial), ("site", site or "none"), ("until", until)])
    say(f"the node shows it with: meshd up --certificate {path}, or as node.cert in its home")


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="A serial number, or a node's id: all it has.")],
    operator: Folder = None,
    at: At = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Take a certificate back, and tell the mesh by the daemon at home here.

    Without a daemon it is kept, and told with the next one.

    Example: meshd operator revoke 12D3KooW... --home /tmp/alice
    """
    from meshd.adapters.authority import Authority

    authority = Authority.open(folder_of(operator))
    record, taken = authority.revoke(which, _instant(at))
    told = _tell(home, (record,))
    if json:
        rows = [{"serial": given.serial, "node": given.node} for given in taken]
        emit({"revoked": rows, "told": told})
        return
    for given in taken:
        say(f"revoked: serial {given.serial} of {given.node}")
    say("the mesh hears of it by gossip" if told else "no daemon runs here: NOBODY knows yet; run "
        "this again with --home of a daemon of the mesh")  # fmt: skip


@app.command()
def grant(
    operator: Folder = None,
    hours: Annotated[float, typer.Option("--hours", min=0.01, max=8_760)] = 24.0,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Of jobs; repeatable [all].")
    ] = None,
    slots: Annotated[
        int | None, typer.Option("--slots", min=1, help="Shards under way at once [any].")
    ] = None,
    client: Annotated[
        str | None, typer.Option("--client", help="Its peer id [whoever has the capability].")
    ] = None,
    narrow: Annotated[
        str | None, typer.Option("--narrow", help="A capability to put these bounds on.")
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option("--signer", help="The operator's id, to narrow without its folder."),
    ] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Let a client put blobs and submit jobs, over libp2p, within bounds; or narrow what it has.

    What is printed is a secret: whoever has it may use it, unless it names a client.

    Example: meshd operator grant --operator acme --kind onnx --slots 8 --hours 2
    """
    from meshd.adapters import capability
    from meshd.adapters.address import public_key_of
    from meshd.adapters.authority import Authority
    from meshd.ephemeris.timescale import format_time

    until = _instant(at) + round(hours * HOUR)
    who = NodeId(client) if client else None
    if who is not None:
        public_key_of(who)
    bounds = capability.Bounds(until, tuple(kind or ()), slots, who)
    if narrow is not None:
        by = NodeId(signer) if signer else Authority.open(folder_of(operator)).id
        token = capability.narrow(narrow, by, bounds)
    else:
        token = capability.grant(Authority.open(folder_of(operator)).seed(), bounds)
    if json:
        emit({"capability": token, "until": format_time(until)})
    else:
        typer.echo(token)


@app.command()
def show(operator: Folder = None, json: Json = False) -> None:
    """Who the operator is, and what it has signed.

    Example: meshd operator show --operator acme
    """
    from meshd.adapters.authority import CARD, Authority
    from meshd.ephemeris.timescale import format_time

    folder = folder_of(operator)
    authority = Authority.open(folder)
    rows: list[dict[str, Any]] = [
        {
            "serial": given.serial,
            "node": given.node,
            "site": given.site,
            "roles": list(given.roles),
            "from": format_time(given.not_before),
            "until": format_time(given.not_after),
            "revoked": given.revoked,
        }
        for given in authority.book.certificates
    ]
    if json:
        card = str(folder / CARD)
        name = authority.book.name
        emit({"operator": authority.id, "name": name, "trust": card, "certificates": rows})
        return
    facts([("operator", authority.id), ("name", authority.book.name), ("trust", folder / CARD)])
    table(
        ("SERIAL", "SITE", "ROLES", "UNTIL", "STATE", "NODE"),
        [
            (
                row["serial"],
                row["site"] or "-",
                ",".join(row["roles"]) or "-",
                row["until"],
                "revoked" if row["revoked"] else "signed",
                row["node"],
            )
            for row in rows
        ],
        "no node is certified yet: meshd operator sign ID",
    )


def _instant(text: str | None) -> int:
    from meshd.adapters.clock import MissionClock
    from meshd.ephemeris.timescale import parse_time

    now = MissionClock().now()
    return parse_time(text, now) if text else now


def _tell(home: Path | None, records: tuple[Any, ...]) -> bool:
    """Give signed records to the daemon at home there; False when none runs."""
    data = [base64.b64encode(msgspec.msgpack.encode(record)).decode() for record in records]
    try:
        Client(home).post("/v1/records", records=data)
    except MeshError as error:
        if error.code != "no-daemon":
            raise
        return False
    return True
