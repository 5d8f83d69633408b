"""What is wrong with a scenario, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from protocols.errors import InputError


class ScenarioError(InputError):
    """`where` is a path into the scenario, such as `timeline[2].nodes`; "" for the whole of it."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__("bad-scenario", f"{message}, at {where}" if where else message)
        self.where = where


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for an unknown word: the nearest valid one, or all there are."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(words)}" if words else ""
