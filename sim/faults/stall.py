"""Stall: a node that stands still, or takes everything late; nothing of it is lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from meshd.seam import Event, FrameReceived, Woke
from protocols.types import Duration, LinkId


@dataclass(slots=True)
class Stall:
    """Events that wait for a node. `lag_ns` is how late it takes each; None while it stands."""

    lag_ns: Duration | None = None
    waiting: deque[Event] = field(default_factory=deque)
    most: int = 0

    def add(self, event: Event) -> None:
        self.waiting.append(event)
        self.most = max(self.most, len(self.waiting))

    def timers_first(self) -> None:
        """As in the daemon's loop, where a full inbox must not starve them."""
        woken = [event for event in self.waiting if isinstance(event, Woke)]
        others = [event for event in self.waiting if not isinstance(event, Woke)]
        self.waiting = deque([*woken, *others])

    def forget(self, link: LinkId) -> None:
        """The node has closed a link: frames of it that wait are nobody's."""
        kept = [e for e in self.waiting if not (isinstance(e, FrameReceived) and e.link == link)]
        self.waiting = deque(kept)
