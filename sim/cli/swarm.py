"""`meshsim swarm` and `meshsim shrink`: find what breaks, and make it small."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from protocols.errors import MeshError
from sim.cli.talk import EXIT_INTERRUPTED, EXIT_UNMET, EXIT_USAGE, fail
from sim.scenario.reading import read
from sim.scenario.schema import Scenario
from sim.scenario.writing import to_toml
from sim.swarm.draw import WITHIN_S, draw
from sim.swarm.runner import Tidings, run_swarm
from sim.swarm.shrink import Shrinker
from sim.swarm.sometimes import BEFORE_ALL, SOMETIMES, never
from sim.swarm.trial import try_scenario


def swarm(
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    first: Annotated[int, typer.Option("--from", min=0, help="The first seed.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Try drawn meshes under drawn faults. Exit 0: every promise held; 1: not so.

    One seed alone says what it drew. Example: meshsim swarm --from 17 --seeds 1
    """
    if seeds == 1 and not json:
        _show_drawn(first)
    say = _Progress(seeds)
    began = time.perf_counter()
    try:
        tidings = run_swarm(range(first, first + seeds), min(jobs, seeds), say)
    except KeyboardInterrupt:
        say.clear()
        fail("interrupted", EXIT_INTERRUPTED)
    say.clear()
    wall_s = time.perf_counter() - began
    missing = never(tidings.saw) if seeds >= BEFORE_ALL else ()
    if json:
        typer.echo(msgspec.json.encode(_as_json(tidings, wall_s, missing)).decode())
    else:
        _show(tidings, wall_s, missing)
    if tidings.failed or missing:
        raise typer.Exit(EXIT_UNMET)


def shrink(
    scenario: Annotated[
        Path | None, typer.Argument(help="A scenario that fails; without one, what --seed draws.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed it fails under.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where the smallest goes.")] = None,
) -> None:
    """Make a failing scenario small: fewer faults, jobs, packets and nodes, and shorter.

    Exit 0: the smallest is written; 1: it does not fail. Example: meshsim shrink --seed 17
    """
    try:
        whole, folder = _given(scenario, seed)
        trial = try_scenario(whole, seed, folder)
    except MeshError as error:
        fail(f"{error.code}: {error.message}", EXIT_USAGE)
    if not trial.broken:
        fail(f"nothing is broken under seed {seed}", EXIT_UNMET)
    typer.echo(f"broken: {trial.about}")
    shrinker = Shrinker(whole, seed, trial.broken, folder, lambda step: typer.echo(f"  {step}"))
    try:
        smallest = shrinker.run()
    except KeyboardInterrupt:
        smallest = shrinker.scenario
    path = out or Path(f"shrunk-{seed}.toml")
    path.write_text(to_toml(smallest), encoding="utf-8")
    again = try_scenario(smallest, seed, folder)
    typer.echo(f"after {shrinker.tries} tries: {again.about}")
    typer.echo(f"meshsim run {path} --seed {seed}")


def _given(path: Path | None, seed: int) -> tuple[Scenario, Path]:
    if path is None:
        return draw(seed).scenario, Path()
    document = read(path)
    return document.scenario, document.folder


class _Progress:
    """One line on stderr, rewritten on a terminal, every 5 s elsewhere."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._tty = sys.stderr.isatty()
        self._next_s = time.perf_counter() + 1.0

    def __call__(self, tidings: Tidings) -> None:
        now = time.perf_counter()
        if now < self._next_s:
            return
        self._next_s = now + (0.2 if self._tty else 5.0)
        failed = len(tidings.failed)
        line = f"{tidings.seeds} of {self._seeds} seeds, {failed} failed, {tidings.checks:,} checks"
        sys.stderr.write(f"\r\x1b[K{line}" if self._tty else f"{line}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._tty:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _show_drawn(seed: int) -> None:
    drawn = draw(seed)
    typer.echo(to_toml(drawn.scenario))


def _show(tidings: Tidings, wall_s: float, missing: tuple[str, ...]) -> None:
    console = Console()
    rows = {
        "seeds": f"{tidings.seeds} in {wall_s:.0f} s; {tidings.rerun} of them run twice",
        "meshes": _counted(tidings.shapes),
        "events": f"{tidings.events:,}",
        "invariant checks": f"{tidings.checks:,}",
        "faults": f"{sum(tidings.faults.values()):,} of {len(tidings.faults)} kinds",
        "liveness": f"all well {WITHIN_S} s after the last fault",
    }
    _print(console, rows)
    _print(console, {name: str(n) for name, n in sorted(tidings.faults.items())})
    console.print("[bold]sometimes[/bold] (seeds that reached it)")
    _print(console, {name: str(tidings.saw.get(name, 0)) for name in SOMETIMES})
    for name in missing:
        console.print(f"[red]never[/red]  {name}")
    for trial in tidings.failed:
        console.print(f"[red]broken[/red]  seed {trial.seed}: {trial.about[:400]}", markup=True)
        console.print(
            f"  meshsim swarm --from {trial.seed} --seeds 1; meshsim shrink --seed {trial.seed}"
        )
    if not tidings.failed and not missing:
        console.print("[green]every promise held[/green]")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _print(console: Console, rows: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, text in rows.items():
        table.add_row(f"[dim]{name}[/dim]", text)
    console.print(table)


def _as_json(tidings: Tidings, wall_s: float, missing: tuple[str, ...]) -> dict[str, object]:
    return {
        "seeds": tidings.seeds,
        "rerun": tidings.rerun,
        "wall_seconds": round(wall_s, 3),
        "events": tidings.events,
        "checks": tidings.checks,
        "faults": dict(sorted(tidings.faults.items())),
        "sometimes": {name: tidings.saw.get(name, 0) for name in SOMETIMES},
        "never": missing,
        "failed": [{"seed": t.seed, "broken": t.broken, "about": t.about} for t in tidings.failed],
    }
