"""Hunt: run the swarm over a mutant until a law breaks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import tests.mutants.jobs
import tests.mutants.letters
import tests.mutants.membership
import tests.mutants.packets
import tests.mutants.records
import tests.mutants.stages
import tests.mutants.trust  # noqa: F401 - importing registers
from sim.swarm.trial import Trial, try_seed
from tests.mutants.registry import MUTANTS

ITSELF = ("TypeError", "AttributeError", "NameError")
"""What a mutant raises that was left behind by the code it changes: no law has caught it."""


@dataclass(frozen=True, slots=True)
class Catch:
    """`seed` is None for a survivor."""

    mutant: str
    seed: int | None
    law: str
    tried: int


def hunt(name: str, seeds: Iterable[int]) -> Catch:
    """The first seed that notices."""
    mutant = MUTANTS[name]
    tried = 0
    for seed in seeds:
        tried += 1
        law = _orders_differ(name, seed) if mutant.order else _trial(name, seed).broken
        crash = law.partition(" in ")[0]
        assert crash not in ITSELF, f"{name} does not fit the code any more: {law}"
        if law:
            return Catch(name, seed, law, tried)
    return Catch(name, None, "", tried)


def _trial(name: str, seed: int) -> Trial:
    with MUTANTS[name].plant():
        return try_seed(seed)


def trace_of(name: str, seed: int) -> str:
    return _trial(name, seed).trace_hash


def _orders_differ(name: str, seed: int) -> str:
    """Two processes that hash strings differently make two traces of one seed."""
    before, hashes = os.environ.get("PYTHONHASHSEED"), set()
    for number in (1, 2):
        os.environ["PYTHONHASHSEED"] = str(number)
        try:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                hashes.add(pool.submit(trace_of, name, seed).result())
        finally:
            if before is None:
                del os.environ["PYTHONHASHSEED"]
            else:
                os.environ["PYTHONHASHSEED"] = before
    return "one seed gives one trace" if len(hashes) > 1 else ""
