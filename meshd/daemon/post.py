"""Post: letters that applications send and read through one daemon."""

from __future__ import annotations

from base64 import b64encode
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

from meshd.daemon.names import Names
from meshd.driver import Happening
from meshd.ephemeris.timescale import format_time
from meshd.letters.outgoing import POSTED_MAX
from meshd.seam import LetterArrived, LetterKept, LetterPosted, LetterSettled, LetterTaken
from protocols.bounds import LETTER_BYTES_MAX
from protocols.errors import InputError, MeshError, NotFound
from protocols.forward import PacketIds
from protocols.types import SECOND, PacketId

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon
    from meshd.driver import Watcher
    from meshd.letters.mailbox import Kept

Json: TypeAlias = dict[str, Any]

LIFETIME_MAX_S = 7 * 86_400.0
WAIT_MAX_S = 170.0
"""A client waits so long for one answer, and asks again."""

READ_MAX = 64
"""Letters in one answer: at most 17 MB."""

NAME_MAX = 128

_REFUSALS = {
    "letters-full": f"{POSTED_MAX} letters (or 64 MB) wait here for delivery; try again later",
    "letter-too-large": f"a letter has at most {LETTER_BYTES_MAX} bytes; put more into a blob",
    "duplicate-id": "a letter of this id is being sent already",
}


class Post:
    """Waits for what comes of letters. What it answers is on disk here, or at the receiver."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names
        self._ids = PacketIds(daemon.identity.node_id, "p")

    # --- sending --------------------------------------------------------------------------------

    async def send(
        self, to: str, port: str, stream: str, lifetime_s: float, wait_s: float, body: bytes
    ) -> Json:
        """Post a letter; answers once it is on disk here, or its receipt came, or `wait_s` is over.

        Raises InputError "bad-request", NotFound, or MeshError with why it was not kept.
        """
        _check_names(port, stream)
        _check_wait(wait_s)
        if not 0 < lifetime_s <= LIFETIME_MAX_S:
            message = f"a letter lives for more than 0 s and at most {LIFETIME_MAX_S:g} s"
            raise InputError("bad-request", message)
        node = self._names.find(to)
        letter = self._ids.next(self._daemon.shared.clock.now())
        with self._watching(letter) as watcher:
            lifetime = round(lifetime_s * SECOND)
            posted = LetterPosted(letter, node, port, body, lifetime, stream)
            self._daemon.driver.post(posted)
            first = await watcher.next()
            if isinstance(first, LetterSettled):
                raise _refusal(first)
            with trio.move_on_after(wait_s):
                await watcher.next()
        return self._state(letter)

    async def letter(self, name: str, wait_s: float) -> Json:
        """How a letter that was posted here stands; waits for its end. Raises NotFound."""
        _check_wait(wait_s)
        letter = PacketId(name)
        with self._watching(letter) as watcher:
            if self._state(letter)["state"] == "sending":
                with trio.move_on_after(wait_s):
                    await watcher.next()
        return self._state(letter)

    def _watching(self, letter: PacketId) -> AbstractContextManager[Watcher]:
        def about(happening: Happening) -> bool:
            return isinstance(happening, LetterKept | LetterSettled) and happening.letter == letter

        return self._daemon.driver.watch(about)

    def _state(self, letter: PacketId) -> Json:
        state = self._daemon.node.letters.outgoing.state(letter)
        if state is None:
            message = f"no letter {letter!r} was posted here since this daemon started, or long ago"
            raise NotFound("unknown-letter", message)
        return {"letter": letter, "state": "delivered" if state == "ok" else state}

    def letters(self) -> list[Json]:
        """Those posted here that are not delivered yet, oldest first."""
        return [
            {
                "letter": sending.posted.letter.id,
                "node": sending.posted.destination,
                "name": self._names.name_of(sending.posted.destination),
                "port": sending.posted.letter.port,
                "stream": sending.posted.letter.stream,
                "bytes": len(sending.posted.letter.body),
                "tries": sending.tries,
                "expires_at": format_time(sending.posted.letter.expires_at),
            }
            for sending in self._daemon.node.letters.outgoing.view()
        ]

    # --- reading --------------------------------------------------------------------------------

    async def mail(self, port: str, count: int, wait_s: float) -> list[Json]:
        """The oldest letters to a port that nobody has taken; waits for a first one.

        Who reads a letter and ends before it is taken will read it again.
        """
        _check_names(port)
        _check_wait(wait_s)
        if not 1 <= count <= READ_MAX:
            raise InputError("bad-request", f"1 to {READ_MAX} letters are read at once")

        def wanted(happening: Happening) -> bool:
            return isinstance(happening, LetterArrived) and happening.port == port

        mailbox = self._daemon.node.letters.mailbox
        with self._daemon.driver.watch(wanted) as watcher, trio.move_on_after(wait_s):
            while not mailbox.unread(port):
                await watcher.next()
        return [self._shown(n, kept) for n, kept in mailbox.unread(port)[:count]]

    def _shown(self, number: int, kept: Kept) -> Json:
        letter = kept.letter
        return {
            "number": number,
            "letter": letter.id,
            "node": kept.source,
            "name": self._names.name_of(kept.source),
            "port": letter.port,
            "stream": letter.stream,
            "arrived_at": format_time(kept.arrived_at),
            "body": b64encode(letter.body).decode(),
        }

    async def take(self, number: int) -> Json:
        """A letter was read: forget it. Raises NotFound when there is none of this number."""
        if self._daemon.node.letters.mailbox.find(number) is None:
            message = f"no letter {number} waits here: it was taken, or never came"
            raise NotFound("unknown-letter", message)
        self._daemon.driver.post(LetterTaken(number))
        return {"taken": number}


def _check_names(port: str, stream: str = "") -> None:
    if not 0 < len(port) <= NAME_MAX or len(stream) > NAME_MAX:
        message = f"a port has 1 to {NAME_MAX} characters, a stream at most as many"
        raise InputError("bad-request", message)


def _check_wait(wait_s: float) -> None:
    if not 0 <= wait_s <= WAIT_MAX_S:
        raise InputError("bad-request", f"wait_s is 0 to {WAIT_MAX_S:g}")


def _refusal(settled: LetterSettled) -> MeshError:
    kind = InputError if settled.code == "letter-too-large" else MeshError
    return kind(settled.code, _REFUSALS[settled.code])
