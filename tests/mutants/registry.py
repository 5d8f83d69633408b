"""Planted bugs: each is a small change to a node that the swarm must notice.

A feature that brings a promise brings the bug that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

Make: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug, what it does, and where it sits."""

    name: str
    does: str
    where: str
    plant: Callable[[], AbstractContextManager[None]]
    order: bool = False
    """It shows only when two processes with other hash seeds compare their traces."""


MUTANTS: dict[str, Mutant] = {}


def mutant(does: str, owner: Any, name: str, *, order: bool = False) -> Any:
    """Registers the decorated function: it is given the original and gives what replaces it."""

    def register(make: Make) -> Make:
        word = make.__name__.replace("_", "-")
        home = getattr(owner, "__module__", None) or owner.__name__
        where = f"{home}:{getattr(owner, '__qualname__', '')}.{name}".replace(":.", ":")
        MUTANTS[word] = Mutant(word, does, where, lambda: planted(owner, name, make), order)
        return make

    return register


@contextmanager
def planted(owner: Any, name: str, make: Make) -> Iterator[None]:
    """Put the bug in, and take it out again."""
    missing = object()
    kept = vars(owner).get(name, missing)
    replacement = make(getattr(owner, name, sorted))
    static = isinstance(kept, staticmethod)
    setattr(owner, name, staticmethod(replacement) if static else replacement)
    try:
        yield
    finally:
        if kept is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, kept)
