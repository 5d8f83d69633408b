"""Fetch: one blob on its way here: what is asked for, what has come, and how patient to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshd.blobs.gaps import Gaps, Interval
from protocols.bounds import CHUNK_BYTES_MAX, WANT_BYTES_MAX
from protocols.types import SECOND, Cid, Duration, Instant, NodeId

WINDOW_FIRST = 4
WINDOW_MAX = 48
"""Pieces of one blob asked for, or come and not yet on disk: 2.25 MiB."""

ASKED_MAX = 128
"""Of all blobs together, but each may have WINDOW_FIRST."""

PIECE_MARGIN_NS = 4 * SECOND
TRIES_COUNTED = 5
"""Patience grows with every try up to this one."""

TOOK_SHARE = 8
"""How slowly the time that pieces take is averaged."""


@dataclass(slots=True)
class Piece:
    length: int
    asked_at: Instant
    again_at: Instant
    tries: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is. `size` is None until its source has said a word."""

    cid: Cid
    source: NodeId
    size: int | None
    come: int
    """Bytes on disk."""
    resumed: int
    """Of those, what was here when the fetch began."""


@dataclass(slots=True)
class Fetch:
    """The first piece tells the size, and so the other pieces. Each waits to be asked for (`gaps`),
    is asked for, is being written, and then is on disk.
    """

    cid: Cid
    source: NodeId
    patience_ns: Duration
    until: Instant
    """Given up then, unless something comes before."""
    wants: int = 1
    size: int | None = None
    opened: bool = False
    come: int = 0
    resumed: int = 0
    gaps: Gaps = field(default_factory=lambda: Gaps(0))
    asked: dict[int, Piece] = field(default_factory=dict)
    writing: dict[int, int] = field(default_factory=dict)
    """Offset to length."""
    window: int = WINDOW_FIRST
    took_ns: Duration = 0
    """What a piece takes from the question to here, of late."""

    @property
    def progress(self) -> Progress:
        return Progress(self.cid, self.source, self.size, self.come, self.resumed)

    @property
    def busy(self) -> int:
        return len(self.asked) + len(self.writing)

    def open(self, size: int | None, held: tuple[Interval, ...]) -> None:
        """What is on disk is not asked for again."""
        self.opened, self.size = True, size
        self.come = self.resumed = sum(high - low for low, high in held)
        self.gaps = Gaps(CHUNK_BYTES_MAX if size is None else size, held)

    def learn(self, size: int) -> None:
        """The first piece has told the size."""
        self.size = size
        self.gaps = Gaps(size, ((0, min(size, CHUNK_BYTES_MAX)),))

    def next(self, share: int) -> Interval | None:
        """What to ask for next in one question: a quarter of the window at least, where there is
        as much to ask for, since a question costs as much as a piece does.
        """
        room = min(self.window, share) - self.busy
        if not self.gaps or room < max(1, min(self.window // 4, len(self.asked))):
            return None
        return self.gaps.take(min(room * CHUNK_BYTES_MAX, WANT_BYTES_MAX))

    def ask(self, asked: Interval, trip_ns: Duration, now: Instant, tries: int = 1) -> None:
        """Note what is asked for, and when it is asked for again."""
        margin = PIECE_MARGIN_NS * min(tries, TRIES_COUNTED)
        again_at = now + 2 * trip_ns + margin + 4 * self.took_ns
        for low in range(asked[0], asked[1], CHUNK_BYTES_MAX):
            length = min(CHUNK_BYTES_MAX, asked[1] - low)
            self.asked[low] = Piece(length, now, again_at, tries)

    def came(self, offset: int, length: int, now: Instant) -> None:
        """A piece is here: the window opens, and patience follows what it took."""
        piece = self.asked.pop(offset)
        self.writing[offset] = length
        self.until = now + self.patience_ns
        self.took_ns += (now - piece.asked_at - self.took_ns) // TOOK_SHARE
        self.window = min(WINDOW_MAX, self.window + 1)

    def wrote(self, offset: int, length: int) -> None:
        for low in [low for low in self.writing if offset <= low < offset + length]:
            self.come += self.writing.pop(low)

    def late(self, now: Instant) -> list[tuple[int, Piece]]:
        """Pieces that should be here by now; whoever finds some asks for fewer at once."""
        found = [(offset, piece) for offset, piece in self.asked.items() if piece.again_at <= now]
        if found:
            self.window = max(WINDOW_FIRST, self.window // 2)
        return found
