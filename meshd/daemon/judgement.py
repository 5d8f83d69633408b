"""Judgement: how membership stands, in words for people: alive, dark until, suspect or gone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from meshd.ephemeris.timescale import format_time
from protocols.types import Instant, NodeId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

STATES = ("alive", "dark", "suspect", "gone")


class Judgement:
    """Reads what a daemon's node thinks of others, and what the plan says of when they are seen."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def of(self, node: NodeId, now: Instant) -> dict[str, Any]:
        """The state of a node, and until when it is dark."""
        until = self._dark_until(node, now)
        dark = None if until is None else format_time(until)
        verdict = self._daemon.node.membership.verdict(node)
        return {"state": verdict or ("dark" if until else "alive"), "dark_until": dark}

    def counts(self) -> dict[str, int]:
        """How many nodes there are in each state."""
        now = self._daemon.shared.clock.now()
        found = Counter(self.of(node, now)["state"] for node in self._daemon.node.router.members)
        return {state: found[state] for state in STATES}

    def _dark_until(self, node: NodeId, now: Instant) -> Instant | None:
        """When a node that has no contact now has its next; None for who has one, or none any more,
        or is under no sky, or has a link that no plan predicts.
        """
        router = self._daemon.node.router
        site = router.site(node)
        if router.plan is None or site is None or site in router.overlay.standing:
            return None
        coming = [c.begin for c in router.plan.contacts_of(site) if now < c.finish]
        return min(coming) if coming and min(coming) > now else None
