"""Serving: pieces that others asked for, read and sent a few at a time, every asker in turn."""

from __future__ import annotations

from collections import Counter, deque

from meshd.seam import Effect, ReadBlob
from protocols.blob import Want
from protocols.bounds import CHUNK_BYTES_MAX
from protocols.forward import PacketIds
from protocols.types import SECOND, Cid, Duration, Instant, NodeId, PacketId

PIECE_LIFETIME_NS: Duration = 120 * SECOND

AWAY_MAX = 64
"""Pieces on their way to a first hop that has not accepted them: 3 MiB."""

AWAY_TO_ONE_MAX = 32
"""Of those to one asker: one who is behind a slow link takes no other's turn."""

QUEUED_MAX = 128
"""Pieces that one asker may wait for; what is asked beyond is asked again in time."""

ASKERS_MAX = 256

Asked = tuple[Cid, int, int]
"""Blob, offset and length."""


class Serving:
    """The sender's end of back-pressure: nothing is read before the mesh has taken what was."""

    def __init__(self, me: NodeId) -> None:
        self._ids = PacketIds(me, "d")
        self._queues: dict[NodeId, deque[Asked]] = {}
        """In the order of turns: whoever was served goes to the end."""
        self._away: dict[PacketId, NodeId] = {}
        self._away_to: Counter[NodeId] = Counter()

    def ask(self, asker: NodeId, want: Want, now: Instant) -> list[Effect]:
        if asker not in self._queues and len(self._queues) >= ASKERS_MAX:
            return []
        queue = self._queues.setdefault(asker, deque())
        for offset in range(want.offset, want.offset + want.length, CHUNK_BYTES_MAX):
            length = min(CHUNK_BYTES_MAX, want.offset + want.length - offset)
            asked = (want.cid, offset, length)
            if len(queue) < QUEUED_MAX and asked not in queue:
                queue.append(asked)
        return self._serve(now)

    def left(self, packet: PacketId, now: Instant) -> list[Effect]:
        """A piece has been taken by the next hop, or was given up: there is room for another."""
        asker = self._away.pop(packet, None)
        if asker is None:
            return []
        self._away_to[asker] -= 1
        if not self._away_to[asker]:
            del self._away_to[asker]
        return self._serve(now)

    def _serve(self, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        while len(self._away) < AWAY_MAX:
            free = (a for a in self._queues if self._away_to[a] < AWAY_TO_ONE_MAX)
            asker = next(free, None)
            if asker is None:
                break
            queue = self._queues.pop(asker)
            cid, offset, length = queue.popleft()
            if queue:
                self._queues[asker] = queue
            packet = self._ids.next(now)
            self._away[packet] = asker
            self._away_to[asker] += 1
            effects.append(ReadBlob(packet, cid, offset, length, asker, PIECE_LIFETIME_NS))
        return effects
