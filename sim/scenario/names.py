"""Names: which nodes a word or pattern of a scenario means."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from meshd.ephemeris.names import fold, not_found
from sim.scenario.actions import Names
from sim.scenario.errors import ScenarioError


def listed(names: Names) -> tuple[str, ...]:
    """One or several, as several."""
    return (names,) if isinstance(names, str) else names


def select(known: Sequence[str], wanted: Names, where: str) -> tuple[str, ...]:
    """The known names that were asked for, in their own order; `*` and `?` stand for anything.

    Case and accents do not matter. Raises ScenarioError for a word that means nobody.
    """
    words = listed(wanted)
    by_fold = {fold(name): name for name in known}
    chosen: set[str] = set()
    for word in words:
        if "*" in word or "?" in word:
            found = {name for name in known if fnmatchcase(name.casefold(), word.casefold())}
        else:
            found = {by_fold[fold(word)]} if fold(word) in by_fold else set()
        if not found:
            raise ScenarioError(not_found("unknown-site", "node", word, known).message, where)
        chosen |= found
    return tuple(name for name in known if name in chosen)
