"""What things cost here, beside other libraries, in one run: `make bench`.

`make bench ARGS='routes wire'` measures those subjects alone, ARGS=large 10,000 whole nodes. Each
figure is the median of several runs on this machine, now; trust ratios more than times.
"""

from __future__ import annotations

import argparse

from rich.console import Console

from tests.bench import full, kernel, routes, scale, sky, sockets, topology, whole, wire
from tests.bench.measure import hardware, show_rows

ABOUT_ROUTES = """\
Ratio: baseline over ours, above 1 we are quicker. Ours takes light times at each
departure, waits for contacts to come and keeps the ways; the baselines get a finished
graph of one instant and answer with lengths alone.

Others' own programs, one step of Starlink's first shell (1,584 satellites, 100 cities): links, and
all forwarding state, as they were measured on 2 cores of this kind, each as it is published:
  satgenpy (Hypatia) 11.5 to 11.9 s   leopath 18 to 26 s   cosmica with networkx about 1.6 s
  dsns 27 ms, and 0.54 ms for each next hop that is asked for
"""

SUBJECTS = ("sky", "topology", "routes", "wire", "kernel", "whole", "large", "full", "sockets")
SLOW = ("large", "full")
"""Measured only when asked for: minutes, and gigabytes."""


def main() -> None:
    """Print the tables asked for, or all."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure what things cost.")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"{', '.join(SUBJECTS)}")
    wanted = parser.parse_args().subjects or [s for s in SUBJECTS if s not in SLOW]
    unknown = [word for word in wanted if word not in SUBJECTS]
    if unknown:
        parser.error(f"no subject is called {unknown[0]}; there are {', '.join(SUBJECTS)}")
    console = Console(width=165)
    console.print(f"On {hardware()}\n", highlight=False)
    if "sky" in wanted:
        show_rows(console, sky.rows())
    if "topology" in wanted:
        topology.show(console)
    if "routes" in wanted:
        show_rows(console, routes.rows())
        console.print(ABOUT_ROUTES)
        scale.show_scale(console)
    if "wire" in wanted:
        show_rows(console, wire.rows())
    if "kernel" in wanted:
        kernel.show(console)
    if "whole" in wanted:
        whole.show(console, whole.THOUSAND)
    if "large" in wanted:
        whole.show(console, whole.TEN_THOUSAND)
    if "full" in wanted:
        full.show(console)
    if "sockets" in wanted:
        sockets.show(console)


if __name__ == "__main__":
    main()
