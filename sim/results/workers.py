"""Workers: processes of this machine that carry out trials."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Protocol, TypeAlias

from sim.results.trial import Finished, Trial, carry_out, finished_of

Done: TypeAlias = tuple[Trial, Finished]


class Workers(Protocol):
    """Whoever carries out trials. Left early, all that runs is ended."""

    def run(self, trials: Sequence[Trial]) -> Generator[Done, None, None]:
        """Each trial with what came of it, in any order."""
        ...


class LocalWorkers:
    """So many processes beside this one, each a fresh interpreter."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs

    def run(self, trials: Sequence[Trial]) -> Generator[Done, None, None]:
        before = multiprocessing.active_children()
        pool = ProcessPoolExecutor(
            min(self._jobs, max(1, len(trials))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_leave_interrupts_to_parent,
        )
        whole = False
        try:
            waiting: dict[Future[bytes], Trial] = {
                pool.submit(carry_out, trial): trial for trial in trials
            }
            for future in as_completed(waiting):
                trial = waiting.pop(future)
                error = future.exception()
                yield trial, (finished_of(future.result()) if error is None else crashed(error))
            whole = True
        finally:
            pool.shutdown(wait=whole, cancel_futures=True)
            if not whole:
                ours = [c for c in multiprocessing.active_children() if c not in before]
                for child in ours:
                    child.terminate()
                    child.join()


def crashed(error: BaseException) -> Finished:
    """A run that ended by an error of the program, or with its process."""
    return Finished(0.0, None, None, "crashed", f"{type(error).__name__}: {error}")


def _leave_interrupts_to_parent() -> None:
    """Ctrl-C reaches every process of a terminal; the parent decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
