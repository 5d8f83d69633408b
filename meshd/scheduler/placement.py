"""Placement: the node where a shard's result arrives first, from beacons and routes."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.types import Duration, NodeId


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that could run a shard, as far as its last beacon and the routes tell."""

    node: NodeId
    slots: int
    wait_ns: Duration
    """Until a slot is free there: as published, plus what was sent there since."""
    speed: float
    to_ns: Duration
    """From the scheduler to the node."""
    back_ns: Duration
    """From the node to the sink."""
    room: int = 1 << 20
    """Shards it still takes before it declines."""


def finish_ns(candidate: Candidate, start_ns: Duration, estimate_ns: Duration) -> Duration:
    """When the result of a shard that starts at `start_ns` reaches the sink."""
    return start_ns + round(estimate_ns / candidate.speed) + candidate.back_ns


def place(
    shards: Sequence[int],
    estimate_ns: Duration,
    candidates: Sequence[Candidate],
    declined: dict[int, tuple[NodeId, ...]] | None = None,
) -> list[tuple[int, NodeId]]:
    """Give each shard to the earliest finish, counting what was given before it; ties by NodeId.

    The offer travels out, the inputs are asked for and travel out behind it: three one-way trips
    before work can start. A shard whose every candidate has declined it is left out.
    """
    slots: dict[NodeId, list[Duration]] = {}
    useful = [candidate for candidate in candidates if candidate.slots > 0 and candidate.room > 0]
    ways = {candidate.node: candidate for candidate in useful if shards}
    given: Counter[NodeId] = Counter()
    queue: list[tuple[Duration, NodeId]] = []
    for node, candidate in sorted(ways.items()):
        first = max(3 * candidate.to_ns, candidate.wait_ns)
        slots[node] = [first] * min(candidate.slots, len(shards))
        heapq.heappush(queue, (finish_ns(candidate, first, estimate_ns), node))
    placed: list[tuple[int, NodeId]] = []
    for shard in shards:
        refused = (declined or {}).get(shard, ())
        skipped: list[tuple[Duration, NodeId]] = []
        while queue and queue[0][1] in refused:
            skipped.append(heapq.heappop(queue))
        if queue:
            _, node = heapq.heappop(queue)
            candidate = ways[node]
            begun = heapq.heappop(slots[node])
            heapq.heappush(slots[node], begun + round(estimate_ns / candidate.speed))
            given[node] += 1
            if given[node] < candidate.room:
                heapq.heappush(queue, (finish_ns(candidate, slots[node][0], estimate_ns), node))
            placed.append((shard, node))
        for entry in skipped:
            heapq.heappush(queue, entry)
    return placed
