"""Every planted bug is caught: tried first where it was caught before, then from the start."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from sim.swarm.trial import try_seed
from tests.mutants.hunt import hunt
from tests.mutants.registry import MUTANTS

CAUGHT_AT = {
    "acknowledge-before-commit": 1, "offer-before-commit": 1, "delivery-not-persisted": 1,
    "result-stored-before-persisted": 1, "no-lease-epoch-check": 21, "epochs-forgotten": 10,
    "epoch-not-raised": 7, "lease-not-renewed": 6, "ready-said-once": 118,
    "complete-too-early": 1, "blob-released-too-early": 1, "blobs-kept-for-ever": 1,
    "no-window": 3, "piece-asked-once": 112, "refusal-without-a-code": 7, "wake-lost": 7,
    "read-twice": 59, "no-order": 5, "letter-sent-once": 21, "letters-not-restored": 21,
    "expiry-ignored": 7, "no-duplicate-suppression": 1, "custody-not-restored": 21,
    "no-flight-bound": 7, "contact-end-late": 7, "down-for-ever": 7, "deadline-in-the-past": 5,
    "dial-once": 2, "no-sequence-check": 2, "records-not-verified": 10, "future-believed": 8,
    "own-voice-ignored": 4, "marks-without-sequence": 2, "started-unfed": 1,
    "stale-output-fed": 38, "served-too-early": 1, "lost-output-not-made-again": 21,
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
