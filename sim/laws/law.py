"""Law: one promise, checked against what reaches a node, what it asks for, and what it then is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from meshd.seam import Effect, Event
from protocols import LinkMessage
from protocols.record import Verifier
from protocols.types import Instant
from sim.host import Host


class Violation(AssertionError):
    """An invariant does not hold: a bug, in a node or in the simulator."""

    @property
    def law(self) -> str:
        """The law that is broken, without what it was broken by."""
        return str(self).partition(":")[0]


def require(holds: bool, law: str, *about: object) -> None:
    if not holds:
        raise Violation(f"{law}: {', '.join(map(str, about))}" if about else law)


class Law:
    """Only the node that is touched is looked at. `saw` counts interesting states.

    `genuine` knows a true signature; `told` is the node's own time, `heard` the message of a frame.
    """

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        self.saw = saw
        self.genuine = genuine

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        """A node has handled an event; `effects` is what it wants done."""

    def effect(self, host: Host, effect: Effect) -> None:
        """An effect is carried out: what stands before it is on disk."""

    def killed(self, host: Host) -> None:
        """A node is gone, with all that was in memory."""
