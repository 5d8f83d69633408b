"""`meshd export`: a contact plan and its routes in the formats of other projects."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshd.cli.sky import Catalog, Constellation, PlanFile, warn
from meshd.cli.talk import Json, emit, facts, say, size
from protocols.errors import InputError

if TYPE_CHECKING:
    from meshd.cli.setting import Setting
    from meshd.topology import ContactPlan

FORMATS = {
    "ion": "contact and range lines of NASA's ION",
    "hypatia": "Hypatia's folder with forwarding states, for its ns-3 module",
    "czml": "moving satellites and links, for Cesium",
    "graphml": "the links of the first instant, as a weighted graph",
    "gexf": "the links with their spells over time, for Gephi",
}

Format = Annotated[
    str,
    typer.Argument(metavar="FORMAT", help="; ".join(f"{k}: {v}" for k, v in FORMATS.items())),
]


def export(
    format_: Format,
    start: Annotated[str | None, typer.Option("--from", help="TIME or +20m [now].")] = None,
    duration: Annotated[str, typer.Option("--for", help="How long, as 200s, 1h.")] = "10m",
    step: Annotated[str, typer.Option("--step", help="hypatia: a state each 100ms, 1s.")] = "100ms",
    stations: Annotated[str | None, typer.Option("--stations", help="Cities, A,B,C.")] = None,
    output: Annotated[str, typer.Option("-o", "--output", help="A file; hypatia: a folder.")] = "-",
    constellation: Constellation = None,
    catalog: Catalog = None,
    plan: PlanFile = None,
    json: Json = False,
) -> None:
    """Write a contact plan, or its routes, for another program; a file alone goes to stdout too.

    Example: meshd export ion --constellation iridium --stations London,Sydney -o plan.ionrc

    Example: meshd export hypatia --constellation hypatia:kuiper_630 --for 200s -o kuiper_630
    """
    if format_ not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError("bad-format", f"no format is called {format_!r}; write one of {known}")
    from meshd.cli.setting import Source, open_setting
    from meshd.router.offline import links_span

    cities = tuple(part.strip() for part in (stations or "").split(",") if part.strip())
    setting = open_setting(cities, Source(constellation, catalog, plan))
    begin, length = setting.at(start), links_span(duration)
    told = setting.told(begin, warn)
    contacts = setting.plan(begin, setting.end_of(begin, length))
    if format_ == "hypatia":
        written = _write_folder(contacts, setting, step, output)
    else:
        written = _write_file(_lines(format_, contacts, setting), output)
    if output == "-":
        return
    if json:
        head = {"format": format_, "output": output, "contacts": contacts.n_contacts}
        emit({**head, **written, **told})
    else:
        rows = {key: size(value) if key == "bytes" else value for key, value in written.items()}
        facts([("written", output), *rows.items()])


def _lines(format_: str, plan: ContactPlan, setting: Setting) -> Iterable[str]:
    from meshd.exchange.czml import write_czml
    from meshd.exchange.graphs import write_gexf, write_graphml
    from meshd.exchange.ion import write_ion

    if format_ == "czml":
        if setting.loaded is None:
            raise InputError("usage", "CZML needs orbits: give --constellation or --catalog")
        return write_czml(plan, setting.loaded.sky)
    if format_ == "graphml":
        return write_graphml(plan, plan.start)
    return write_ion(plan) if format_ == "ion" else write_gexf(plan)


def _write_file(lines: Iterable[str], output: str) -> dict[str, Any]:
    """Whole or not at all: under another name until it is complete."""
    if output == "-":
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return {}
    path = Path(output).expanduser()
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        part.replace(path)
    except OSError as error:
        raise InputError("bad-output", f"cannot write {output}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return {"bytes": path.stat().st_size}


def _write_folder(plan: ContactPlan, setting: Setting, step: str, output: str) -> dict[str, Any]:
    from meshd.ephemeris import parse_duration
    from meshd.exchange.hypatia import write_folder

    if output == "-" or setting.loaded is None:
        raise InputError("usage", "name a folder with -o, and a constellation of Hypatia's")
    folder = Path(output).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("bad-output", f"{output} is there already: name a new folder")
    files = bytes_ = 0
    live = sys.stderr.isatty()
    try:
        for name, text in write_folder(plan, setting.loaded.sky, parse_duration(step)):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            files, bytes_ = files + 1, bytes_ + len(text)
            if live and files % 50 == 0:
                sys.stderr.write(f"\r{files} files")
                sys.stderr.flush()
    except OSError as error:
        raise InputError("bad-output", f"cannot write {output}: {error.strerror}") from None
    if live:
        say("\r")
    return {"files": files, "bytes": bytes_}
