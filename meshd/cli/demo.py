"""`meshd demo`: the first thing to run, and the main job of `make run`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from protocols.errors import MeshError

if TYPE_CHECKING:
    from meshd.daemon.demo import DemoFacts

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the facts as one JSON object.")]
KeepFlag = Annotated[bool, typer.Option("--keep", help="Leave the mesh running until Ctrl-C.")]
HomesFlag = Annotated[
    Path | None, typer.Option("--homes", help="Folder for the 72 homes (default: a new one).")
]
RecordFlag = Annotated[
    Path | None,
    typer.Option("--record", help="Folder for recordings, one a daemon, for meshsim replay."),
]


def demo(
    json: JsonFlag = False,
    keep: KeepFlag = False,
    homes: HomesFlag = None,
    record: RecordFlag = None,
) -> None:
    """Run 72 daemons (66 Iridium-like satellites, six cities) and a job that loses a satellite.

    Takes about 15 s. Example: meshd demo --json | jq .route
    """
    import trio  # here, as the other commands must start without it

    from meshd.daemon.demo import Demo, run_demo

    begun = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{time.monotonic() - begun:6.1f} s  {line}", err=True)

    show = Demo(tell, keep, record=record)
    if homes is not None:
        show.folder = homes.absolute()
    failed: list[str] = []

    def done(facts: DemoFacts) -> None:
        failed.extend(broken_promises(facts))
        if json:
            sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
        else:
            typer.echo(summary(facts))
        sys.stdout.flush()
        if keep:
            typer.echo(farewell(show.folder), err=True)

    try:
        trio.run(run_demo, show, done)
    except KeyboardInterrupt:
        raise typer.Exit(0 if keep else 130) from None
    except MeshError as error:
        typer.echo(f"meshd: {error.message} [{error.code}]", err=True)
        raise typer.Exit(1) from None
    for promise in failed:
        typer.echo(f"meshd: {promise}", err=True)
    raise typer.Exit(1 if failed else 0)


def broken_promises(facts: DemoFacts) -> list[str]:
    """What the demo claims and this run did not show; empty when all is well."""
    promises = {
        "a round trip was faster than light allows": facts.route.never_less_than_predicted,
        "not every shard was delivered": facts.job.completed == facts.job.shards,
        "the predictions differ from a local run": facts.job.matches_local,
        "no satellite that held a shard could be killed": bool(facts.job.killed),
    }
    return [broken for broken, kept in promises.items() if not kept]


def summary(facts: DemoFacts) -> str:
    """The facts as people read them."""
    route, job = facts.route, facts.job
    return "\n".join(
        (
            "",
            f"  daemons      {facts.daemons} started, {facts.daemons_alive} alive at the end",
            f"  links        {facts.links.up} of {facts.links.planned} planned, "
            f"up in {facts.links.seconds:.1f} s",
            f"  route        London > Sydney, {route.hops} hops, until {route.valid_until}",
            f"  round trip   {route.predicted_rtt_ms:.3f} ms predicted, "
            f"{route.measured_rtt_ms:.3f} ms measured (light time emulated)",
            f"  job          {job.completed} of {job.shards} shards in {job.seconds:.1f} s; "
            f"{job.killed} killed, {job.replaced} placed anew",
            f"  result       {job.accuracy:.2%} of {job.held_out} held-out digits read right; "
            f"{'same as' if job.matches_local else 'NOT as'} a local run",
            f"  time         {facts.seconds:.1f} s",
        )
    )


def farewell(folder: Path) -> str:
    """How to talk to a mesh that was left running."""
    home = folder / "London"
    return (
        f"\nThe mesh is running; Ctrl-C ends it. In another terminal:\n"
        f"  export MESHD_HOME={home}\n"
        f"  meshd status\n  meshd ping Tokyo\n  meshd route London Tokyo\n  meshd nodes"
    )
