"""Runner: many seeds over several processes, each with a PYTHONHASHSEED of its own.

Every tenth seed is run by two of them: the traces must be one.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field

from sim.swarm.trial import Trial, try_seed

CHUNK = 10
"""Seeds that a process is given at once; the last of each is run by the next process too."""


@dataclass(slots=True)
class Tidings:
    """What a swarm came to."""

    seeds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """By kind: how often each was drawn."""
    shapes: Counter[str] = field(default_factory=Counter)
    saw: Counter[str] = field(default_factory=Counter)
    """In how many seeds each state was reached."""
    checks: int = 0
    events: int = 0
    rerun: int = 0
    """Seeds whose trace was made twice, by two processes."""
    failed: list[Trial] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        self.seeds += 1
        self.faults.update(trial.faults)
        self.shapes[trial.shape] += 1
        self.saw.update(dict.fromkeys(trial.saw, 1))
        self.checks += trial.checks
        self.events += trial.events
        if trial.broken:
            self.failed.append(trial)
            self.failed.sort(key=lambda one: one.seed)

    def compare(self, one: Trial, other: Trial) -> None:
        """Two runs of one seed."""
        self.rerun += 1
        if one.trace_hash != other.trace_hash and not one.broken:
            hashes = f"{one.trace_hash[:12]} and {other.trace_hash[:12]}"
            one.broken = "one seed gives one trace"
            one.about = f"{one.broken}, whatever PYTHONHASHSEED: {hashes}"
            self.failed.append(one)


def run_swarm(seeds: range, jobs: int, tell: Callable[[Tidings], None]) -> Tidings:
    """Try every seed. `tell` hears of the state of things from time to time."""
    tidings = Tidings()
    seen: dict[int, Trial] = {}
    for trial in _trials(seeds, jobs):
        before = seen.setdefault(trial.seed, trial)
        if before is trial:
            tidings.add(trial)
        else:
            tidings.compare(before, trial)
        tell(tidings)
    return tidings


def _trials(seeds: range, jobs: int) -> Iterator[Trial]:
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    if jobs == 1:
        for chunk in chunks:
            yield from try_seeds(chunk)
        return
    with ExitStack() as stack:
        pools = [stack.enter_context(_pool(number)) for number in range(jobs)]
        futures: list[Future[list[Trial]]] = []
        for number, chunk in enumerate(chunks):
            futures.append(pools[number % jobs].submit(try_seeds, chunk))
            futures.append(pools[(number + 1) % jobs].submit(try_seeds, chunk[-1:]))
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _pool(number: int) -> ProcessPoolExecutor:
    """One process, with a hash seed of its own: it is read when an interpreter starts."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = str(number + 1)
    try:
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pool.submit(os.getpid).result()
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
    return pool


def try_seeds(seeds: Iterable[int]) -> list[Trial]:
    return [try_seed(seed) for seed in seeds]
