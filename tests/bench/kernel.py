"""The simulator's kernel under a trivial node, in events a second, beside two other ways.

Each node of a grid sends one message a second to its four neighbours in turn, light time away, and
hears theirs: two events a node and second. `python -m tests.bench.kernel FORM NODES` measures one
form in this process and prints JSON.
"""

from __future__ import annotations

import gc
import json
import math
import sys
import time
from heapq import heappop, heappush

import trio
import trio.testing
from rich.console import Console
from rich.table import Table

from protocols.types import SECOND, Duration, Instant
from sim.queue import CalendarQueue, HeapQueue
from sim.world import World
from tests.bench.measure import in_a_process, memory_peak_mb

FORMS = {
    "calendar": "World on its calendar, traced",
    "heap": "World on a plain heap, traced",
    "bare": "bare heapq loop, no trace",
    "trio": "a trio task for each node and message, no trace",
}
RUNS = 3
"""Of each form, in fresh processes; the median and the best are shown."""

EVENTS = 400_000
TRIO_EVENTS = 40_000
"""For one run, so that each takes a few seconds at most."""

TRIO_NODES_MAX = 10_000


class Grid:
    """Where each node's messages go: to which neighbour, and how long it takes."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        width = next(w for w in range(math.isqrt(nodes), 0, -1) if nodes % w == 0)
        length = nodes // width
        self.neighbours: list[tuple[tuple[int, Duration], ...]] = []
        for node in range(nodes):
            row, column = node // length * length, node % length
            east, west = row + (column + 1) % length, row + (column - 1) % length
            north, south = (node + length) % nodes, (node - length) % nodes
            ends = (east, west, north, south)
            self.neighbours.append(tuple((end, _light_ns(node, end)) for end in ends))

    def first_ns(self, node: int) -> Instant:
        """When a node sends its first message: all are spread over the first second."""
        return node * 7_919 % self.nodes * SECOND // self.nodes


def _light_ns(a: int, b: int) -> Duration:
    """1,000 to 5,000 km, the same both ways."""
    return 3_335_641 + (min(a, b) * 2_654_435_761 ^ max(a, b) * 40_503) % 13_342_564


class Chatter:
    """The trivial node, on the queue and the trace that real nodes run on."""

    __slots__ = ("count", "heard", "index", "targets", "world")

    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        self.count = 0
        self.heard = 0
        self.targets: list[tuple[Duration, Chatter]] = []

    def wake(self) -> None:
        world, index = self.world, self.index
        now, push = world.now, world.queue.push
        self.count = count = self.count + 1
        world.trace.mark(now, index, 1, count)
        delay, to = self.targets[count & 3]
        push(now + delay, to.hear, (index, count))
        push(now + SECOND, self.wake, ())

    def hear(self, source: int, count: int) -> None:
        world = self.world
        self.heard += 1
        world.trace.mark(world.now, self.index, 2, source)


def on_world(grid: Grid, seconds: float, queue: CalendarQueue | HeapQueue) -> str:
    """Build the world, then run it; the trace's hash is the answer, so that it was kept."""
    world = World(1, start=0, queue=queue)
    nodes = [Chatter(world, index) for index in range(grid.nodes)]
    for node in nodes:
        node.targets = [(delay, nodes[end]) for end, delay in grid.neighbours[node.index]]
        world.schedule(grid.first_ns(node.index), node.wake, ())
    _begin()
    world.run_for(round(seconds * SECOND))
    return world.trace.hash


def on_heapq(grid: Grid, seconds: float) -> str:
    """The least that a heap can do: tuples of numbers, lists for nodes, one loop."""
    counts, heard = [0] * grid.nodes, [0] * grid.nodes
    heap = [(grid.first_ns(node), node, node, -1) for node in range(grid.nodes)]
    heap.sort()
    sequence, end = grid.nodes, round(seconds * SECOND)
    _begin()
    while heap[0][0] <= end:
        now, _, node, source = heappop(heap)
        if source >= 0:
            heard[node] += 1
            continue
        counts[node] += 1
        to, delay = grid.neighbours[node][counts[node] & 3]
        heappush(heap, (now + delay, sequence, to, node))
        heappush(heap, (now + SECOND, sequence + 1, node, -1))
        sequence += 2
    return str(sum(heard))


def on_trio(grid: Grid, seconds: float) -> str:
    """The same as tasks on a clock that jumps."""
    heard = [0] * grid.nodes

    async def message(to: int, delay: Duration) -> None:
        await trio.sleep(delay / SECOND)
        heard[to] += 1

    async def node(nursery: trio.Nursery, index: int) -> None:
        await trio.sleep(grid.first_ns(index) / SECOND)
        count = 0
        while True:
            count += 1
            nursery.start_soon(message, *grid.neighbours[index][count & 3])
            await trio.sleep(1)

    async def all_nodes() -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for index in range(grid.nodes):
                    nursery.start_soon(node, nursery, index)

    _begin()
    trio.run(all_nodes, clock=trio.testing.MockClock(autojump_threshold=0))
    return str(sum(heard))


_began_s = 0.0


def _begin() -> None:
    """All is built: from here on time counts. What stands is not the collector's concern."""
    global _began_s
    gc.collect()
    gc.freeze()
    _began_s = time.process_time()


def measure(form: str, nodes: int) -> dict[str, object]:
    """One run of one form, in processor time."""
    seconds = (TRIO_EVENTS if form == "trio" else EVENTS) / 2 / nodes
    grid = Grid(nodes)
    match form:
        case "bare":
            said = on_heapq(grid, seconds)
        case "trio":
            said = on_trio(grid, seconds)
        case _:
            said = on_world(grid, seconds, HeapQueue() if form == "heap" else CalendarQueue())
    took = time.process_time() - _began_s
    return {"rate": 2 * nodes * seconds / took, "memory_mb": memory_peak_mb(), "said": said}


def show(console: Console) -> None:
    """Measure all forms at two sizes, and print them side by side."""
    table = Table(box=None)
    for title in (
        "simulator's kernel, a trivial node",
        "nodes",
        "events/s",
        "best",
        "peak",
        "of bare",
    ):
        table.add_column(title, justify="left" if "," in title else "right", no_wrap=True)
    for nodes in (10_000, 100_000):
        forms = [form for form in FORMS if form != "trio" or nodes <= TRIO_NODES_MAX]
        found = {f: [in_a_process("kernel", f, nodes) for _ in range(RUNS)] for f in forms}
        hashes = {run["said"] for form in ("calendar", "heap") for run in found[form]}
        assert len(hashes) == 1, "two queues, two traces"
        rates = {form: sorted(run["rate"] for run in runs) for form, runs in found.items()}
        for form, runs in found.items():
            median, peak = rates[form][RUNS // 2], max(run["memory_mb"] for run in runs)
            table.add_row(
                FORMS[form], f"{nodes:,}", f"{median:,.0f}", f"{rates[form][-1]:,.0f}",
                f"{peak:,.0f} MB", f"{median / rates['bare'][RUNS // 2]:.2f}",
            )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
