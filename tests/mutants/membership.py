"""Bugs in who is held for gone, and in listening."""

from __future__ import annotations

from dataclasses import replace

from meshd.forwarding.neighbours import Neighbours
from meshd.membership.membership import Membership
from meshd.router.routes import Router
from meshd.seam import LinkReady
from tests.mutants.registry import mutant


@mutant("the end of a contact is taken for silence", Membership, "_lost")
def gaps_are_silence(original):
    return lambda self, lost, now: original(self, replace(lost, expected=False), now)


@mutant("who is doubted by one neighbour is gone, whoever else hears it", Router, "reaches")
def gone_without_looking(original):
    return lambda self, node, now, wait_ns: False


@mutant("a doubt is not taken back from who is heard again", Membership, "handle")
def doubts_for_ever(original):
    def handle(self, event, now):
        missed = dict(self._missed)
        effects = original(self, event, now)
        if isinstance(event, LinkReady):
            self._missed |= missed
        return effects

    return handle


@mutant("who is asked for a sign of life says nothing", Neighbours, "_beat")
def beats_unanswered(original):
    return lambda self, link, beat, now: [] if not beat.answers else original(self, link, beat, now)
