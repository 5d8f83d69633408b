"""Every planted bug is caught: tried first where it was caught before, then from the start."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from sim.swarm.trial import try_seed
from tests.mutants.hunt import hunt
from tests.mutants.registry import MUTANTS

CAUGHT_AT = {
    "acknowledge-before-commit": 1, "offer-before-commit": 1, "delivery-not-persisted": 1,
    "result-stored-before-persisted": 1, "no-lease-epoch-check": 24, "epochs-forgotten": 10,
    "epoch-not-raised": 6, "lease-not-renewed": 6, "ready-said-once": 24, "complete-too-early": 1,
    "blob-released-too-early": 1, "blobs-kept-for-ever": 1, "no-window": 3, "piece-asked-once": 1,
    "refusal-without-a-code": 6, "wake-lost": 24, "read-twice": 59, "no-order": 5,
    "letter-sent-once": 41, "letters-not-restored": 21, "doubts-for-ever": 22, "expiry-ignored": 7,
    "no-duplicate-suppression": 1, "no-flight-bound": 78,
    "contact-end-late": 7, "down-for-ever": 5, "no-sequence-check": 2, "records-not-verified": 64,
    "future-believed": 8, "own-voice-ignored": 4, "started-unfed": 1, "stale-output-fed": 24,
    "served-too-early": 1, "lost-output-not-made-again": 21, "expiry-not-checked": 34,
    "neighbours-not-certified": 34, "impossible-elements-taken": 6, "certificate-of-another": 6,
    "anybody-revokes": 2,
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
