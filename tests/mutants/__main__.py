"""python -m tests.mutants [NAME...] [--seeds N] [--jobs N]: which planted bug is caught, where."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.table import Table

from tests.mutants.hunt import hunt
from tests.mutants.registry import MUTANTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *sorted(MUTANTS)], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    names = given.names or list(MUTANTS)
    table = Table(box=None, pad_edge=False)
    for column in ("mutant", "caught at seed", "seeds tried", "by", "what it does", "where"):
        table.add_column(column)
    survivors = 0
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        hunts = {name: pool.submit(hunt, name, range(given.seeds)) for name in names}
        for name, future in hunts.items():
            catch, mutant = future.result(), MUTANTS[name]
            survivors += catch.seed is None
            seed = "[red]survived[/red]" if catch.seed is None else str(catch.seed)
            table.add_row(name, seed, str(catch.tried), catch.law, mutant.does, mutant.where)
            sys.stderr.write(f"{name}: {catch.seed} {catch.law}\n")
    Console(width=220 if not sys.stdout.isatty() else None).print(table)
    Console().print(f"{len(names) - survivors} of {len(names)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
