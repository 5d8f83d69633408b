"""Every planted bug is caught: tried first where it was caught before, then from the start."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from sim.swarm.trial import try_seed
from tests.mutants.hunt import hunt
from tests.mutants.registry import MUTANTS

CAUGHT_AT = {
    "epochs-forgotten": 20, "epoch-not-raised": 20, "ready-said-once": 29, "complete-too-early": 3,
    "blob-released-too-early": 3, "no-window": 4, "piece-asked-once": 45,
    "refusal-without-a-code": 20, "expiry-ignored": 13, "no-flight-bound": 17,
    "contact-end-late": 7, "down-for-ever": 21, "deadline-in-the-past": 5, "dial-once": 2,
    "records-not-verified": 21, "future-believed": 8, "own-voice-ignored": 4,
    "no-lease-epoch-check": 24, "wake-lost": 20, "read-twice": 59, "no-order": 5,
    "letter-sent-once": 21, "letters-not-restored": 21, "custody-not-restored": 21,
    "started-unfed": 1, "stale-output-fed": 38, "served-too-early": 1,
    "lost-output-not-made-again": 21, "expiry-not-checked": 25, "neighbours-not-certified": 25,
    "impossible-elements-taken": 6, "certificate-of-another": 6, "anybody-revokes": 2,
}  # fmt: skip
"""Hints: where the swarm first noticed, if not at seed 0."""


def test_every_mutant_is_caught():
    assert len(MUTANTS) >= 20
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        hunts = [pool.submit(hunt, name, [CAUGHT_AT.get(name, 0), *range(200)]) for name in MUTANTS]
        survivors = [one.mutant for one in (h.result() for h in hunts) if one.seed is None]
    assert survivors == []


def test_without_a_bug_nothing_is_caught():
    """What catches a mutant is the mutant: the same seeds hold without it."""
    broken = {seed: try_seed(seed).broken for seed in sorted({0, *CAUGHT_AT.values()})}
    assert not any(broken.values()), broken
