"""Traffic: how much of what links could carry they did carry, from one sample to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from protocols.types import SECOND, Instant, LinkId
from sim.medium import Link
from sim.outcome import Sample

LINKS_MAX = 50
"""So many links, the busiest, are told by name."""


class Traffic:
    """Remembers what had left on every way of every link when it last looked."""

    def __init__(self, start: Instant) -> None:
        self._at = start
        self._left: dict[LinkId, tuple[float, float]] = {}

    def sample(self, links: Iterable[Link], now: Instant) -> Iterator[Sample]:
        """`traffic_bytes_s` of the whole mesh since the last sample, and `link_utilisation_mean`
        and `_worst`: sent over what could have been, from 0 to 1, of the fuller way of each link.

        A link counts while its path is open. What waits in an outbox has not been sent.
        """
        span_s = (now - self._at) / SECOND
        self._at = now
        if span_s <= 0:
            return
        bytes_sent, shares = 0.0, []
        for link in links:
            left = (link.left_bytes(0, now), link.left_bytes(1, now))
            before = self._left.get(link.id, (0.0, 0.0))
            sent = (left[0] - before[0], left[1] - before[1])
            self._left[link.id] = left
            bytes_sent += sum(sent)
            if link.path.open_at(now):
                shares.append(max(sent) * 8 / (link.path.rate_bps * span_s))
        yield Sample(now, "traffic_bytes_s", "", bytes_sent / span_s)
        if shares:
            yield Sample(now, "link_utilisation_mean", "", sum(shares) / len(shares))
            yield Sample(now, "link_utilisation_worst", "", max(shares))


def busiest_links(
    links: Iterable[Link], name: Callable[[int], str], now: Instant
) -> Iterator[Sample]:
    """`link_bytes`: what both ways of a pair's links have carried, for the LINKS_MAX busiest."""
    total: dict[tuple[str, str], float] = {}
    for link in links:
        a, b = sorted(map(name, link.ends))
        total[a, b] = total.get((a, b), 0.0) + link.left_bytes(0, now) + link.left_bytes(1, now)
    busiest = sorted(total, key=lambda pair: (-total[pair], pair))[:LINKS_MAX]
    for a, b in busiest:
        yield Sample(now, "link_bytes", f"{a}|{b}", round(total[a, b]))
