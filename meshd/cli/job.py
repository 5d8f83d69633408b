"""`meshd job`: work handed to the mesh, watched, and its results brought home."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from msgspec import structs

from meshd.cli import results
from meshd.cli.talk import Home, Json, emit, facts, length, say, table
from meshd.client.connection import Client, job_path
from meshd.jobs import building, checks, reading
from protocols.cid import cid_of
from protocols.errors import InputError, MeshError
from protocols.job import JobSpec
from protocols.types import SECOND

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer(
    help="Work for the mesh: submit, watch, fetch results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

JobName = Annotated[
    str, typer.Argument(metavar="ID", help="A job's id, or the beginning of it that is its alone.")
]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A job file: TOML or JSON.")],
    sink: Annotated[
        str | None, typer.Option("--sink", help="The node that results go to [this one].")
    ] = None,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, max=10_000, help="How many pieces.")
    ] = None,
    split: Annotated[
        int, typer.Option("--split", min=1, max=64, help="Cut the model into so many stages.")
    ] = 1,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="How long it may take, as 90s or 5m.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--id", help="The job's id: the same id twice submits once.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for it.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Hand a job to the mesh, and wait until it is done.

    Example: meshd job submit digits.job.toml --sink Sydney
    """
    written = reading.read_job(file)
    if shards is not None:
        written = replace(written, job=structs.replace(written.job, shards=shards))
    client = Client(home)
    client.get("/v1/id")  # no daemon: say so before anything is cut
    spec = building.build(written, client.put_blob, split)
    spec["sink"] = sink or spec["sink"]
    if deadline is not None:
        from meshd.ephemeris.timescale import parse_duration  # with numpy

        spec["deadline_s"] = parse_duration(deadline) / SECOND
    accepted = client.post("/v1/jobs", spec=spec, id=name)
    if accepted["existing"]:
        say(f"{accepted['job']} was accepted before")
    if detach:
        if json:
            emit(accepted)
        else:
            typer.echo(accepted["job"])
            say(f"accepted; watch it with: meshd job watch {accepted['job'][:8]}")
        return
    _finish(client, accepted["job"], json, quiet=json)


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A job file.")],
    json: Json = False,
) -> None:
    """Check a job file and all it names, without a daemon; every fault is told, with its line.

    Example: meshd job validate digits.job.toml
    """
    written = reading.read_job(file)
    spec = msgspec.convert(building.build(written, cid_of), JobSpec)
    refusal = checks.not_supported(spec)
    stages: dict[str, int] = {}
    for shard in spec.shards:
        stages[spec.stage_name(shard)] = stages.get(spec.stage_name(shard), 0) + 1
    if json:
        code, why = refusal or ("", "")
        emit({"name": spec.name, "stages": stages, "shards": len(spec.shards),
              "refused": code, "why": why})  # fmt: skip
        return
    parts = ", ".join(f"{name}: {count}" for name, count in stages.items() if name)
    typer.echo(f"{spec.name}: {len(spec.shards)} shards" + (f" ({parts})" if parts else ""))
    if refusal:
        say(f"it is well written, but a daemon refuses it: {refusal[1]} [{refusal[0]}]")


@app.command("ls")
def ls(home: Home = None, json: Json = False) -> None:
    """The jobs this daemon accepted, newest first.

    Example: meshd job ls
    """
    rows = Client(home).get("/v1/jobs")
    if json:
        emit(rows)
        return
    table(
        ("JOB", "NAME", "KIND", "STATUS", "DONE", "SUBMITTED", "RESULTS AT"),
        [
            (
                row["job"],
                row["name"],
                row["kind"],
                _status(row),
                f"{row['counts']['delivered']}/{row['shards']}",
                row["submitted_at"],
                row["sink_name"],
            )
            for row in rows
        ],
        "no jobs; submit one with: meshd job submit FILE",
    )


@app.command()
def show(job: JobName, home: Home = None, json: Json = False) -> None:
    """One job, shard by shard.

    Example: meshd job show 3f2a
    """
    answer = Client(home).get(job_path(job))
    if json:
        emit(answer)
        return
    took = answer["took_ms"]
    facts(
        [
            ("job", f"{answer['job']}  {answer['name']} ({answer['kind']})"),
            ("status", f"{_status(answer)}{': ' + answer['message'] if answer['message'] else ''}"),
            ("submitted", f"{answer['submitted_at']}, deadline {answer['deadline']}"),
            ("took", "not over yet" if took is None else length(took / 1e3)),
            ("results at", f"{answer['sink_name']} ({answer['sink']})"),
        ]
    )
    typer.echo("")
    table(
        ("SHARD", "STAGE", "PHASE", "NODE", "WALL", "PLACED ANEW", "FAILED", "WHY"),
        [
            (
                row["shard"],
                row["stage"] or None,
                row["phase"],
                row["holder_name"],
                f"{row['wall_ms'] / 1e3:.3f} s",
                row["replaced"],
                row["failures"],
                f"{row['message']} [{row['code']}]" if row["code"] else None,
            )
            for row in answer["shard_list"]
        ],
        "no shards",
    )


@app.command()
def watch(job: JobName, home: Home = None, json: Json = False) -> None:
    """Follow a job until it is over; with --json, each change as one line.

    Example: meshd job watch 3f2a
    """
    _finish(Client(home), job, json, quiet=False)


@app.command()
def logs(
    job: JobName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job is over.")] = False,
    shard: Annotated[
        int | None, typer.Option("--shard", min=0, help="What this one says alone.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """What its shards say on standard error; the last 64 KB of a job are kept.

    Example: meshd job logs -f 3f2a
    """
    asked = job_path(job, f"/logs?follow={'yes' if follow else 'no'}")
    for line in Client(home).lines(asked):
        if shard is not None and line["shard"] != shard:
            continue
        if json:
            emit(line)
            continue
        for text in line["text"].splitlines():
            typer.echo(f"{line['at']} {line['node_name']} shard {line['shard']}: {text}")


@app.command()
def cancel(job: JobName, home: Home = None, json: Json = False) -> None:
    """Stop a job.

    Example: meshd job cancel 3f2a
    """
    answer = Client(home).post(job_path(job, "/cancel"))
    if json:
        emit(answer)
    else:
        typer.echo(f"{answer['job']} is {answer['status']}")


@app.command()
def result(
    job: JobName,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="A file; or FOLDER/ for one a shard.")
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Fetch the results of a job from the daemon they were delivered to.

    Example: meshd job result 3f2a -o labels.npz
    """
    client = Client(home)
    rows = client.get(job_path(job, "/result"))
    if json and output is None:
        emit(rows)
        return
    outputs = [client.blob(row["cid"]) for row in rows]
    if output is None:
        _to_stdout(outputs)
        return
    path = Path(output).expanduser()
    if output.endswith("/") or path.is_dir():
        paths = results.write_apart(path, outputs)
    else:
        results.write(path, results.join(outputs))
        paths = [path]
    if json:
        emit({"files": [str(path) for path in paths], "shards": rows})
    else:
        say(f"{len(outputs)} shards in {output}")


def _to_stdout(outputs: list[bytes]) -> None:
    data = results.join(outputs)
    if sys.stdout.isatty() and (data.startswith(b"PK") or b"\0" in data):
        raise InputError("usage", "the result is not text: name a file for it with -o FILE")
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


# --- waiting ----------------------------------------------------------------------------------


def _finish(client: Client, job: str, json: bool, *, quiet: bool) -> None:
    """Wait until a job is over, and say how it went. `quiet`: only the last line of JSON."""
    last: dict[str, Any] = {}
    with _bar(silent=json) as show:
        for last in client.lines(job_path(job, "/events")):
            show(last)
            if json and not quiet:
                emit(last)
    if last.get("event") != "ended":
        raise MeshError("daemon-gone", "the daemon ended before the job; it goes on when it is up")
    if json and quiet:
        emit(last)
    if last["status"] != "completed":
        # With --json the job itself, which says why, is on stdout already.
        why = _why(last)
        if json:
            say(f"meshd: {why} [job-failed]")
            raise typer.Exit(6)
        raise MeshError("job-failed", why)
    if not json:
        _summary(last)


def _summary(job: dict[str, Any]) -> None:
    anew = f", {job['replaced']} placed anew" if job["replaced"] else ""
    typer.echo(
        f"{job['job']} {job['name']}: {job['shards']} shards in {length(job['took_ms'] / 1e3)} "
        f"on {job['holders']} nodes{anew}"
    )
    say(f"results at {job['sink_name']}; there: meshd job result {job['job'][:8]} -o FILE")


def _why(job: dict[str, Any]) -> str:
    done = f"{job['counts']['delivered']} of {job['shards']} shards were done"
    if job["status"] == "cancelled":
        return f"{job['job']} was cancelled; {done}"
    reason = f": {job['message']}" if job["message"] else ""
    hint = "; shard by shard: meshd job show " + job["job"][:8]
    return f"{job['job']} failed ({job['code']}){reason}; {done}{hint}"


def _status(job: dict[str, Any]) -> str:
    return f"{job['status']} ({job['code']})" if job["code"] else str(job["status"])


@contextmanager
def _bar(*, silent: bool) -> Iterator[Any]:
    """A progress bar on stderr, when that is a terminal."""
    if silent or not sys.stderr.isatty():
        yield lambda _change: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Shown(progress)


class _Shown:
    """The bar of one job."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("submitting", total=None, now="")

    def __call__(self, change: dict[str, Any]) -> None:
        counts = change["counts"]
        self._progress.update(
            self._task,
            description=change["name"],
            total=change["shards"],
            completed=counts["delivered"],
            now=_now(change),
        )


def _now(change: dict[str, Any]) -> str:
    """What is worth knowing beside the count."""
    counts = change["counts"]
    match change["event"]:
        case "starved":
            return "waiting: no node takes a shard now"
        case "replaced":
            return f"shard {change['shard']} placed anew: {change['event_code']}"
    return f"{counts['held']} at work, {counts['waiting'] + counts['offered']} waiting"
