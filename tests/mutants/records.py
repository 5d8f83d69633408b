"""Bugs in gossip."""

from __future__ import annotations

from meshd.gossip import gossip as gossiping
from meshd.gossip import index as indexing
from meshd.gossip.gossip import Gossip
from meshd.gossip.index import Index
from meshd.gossip.peer import Peer
from tests.mutants.registry import mutant


@mutant("an older record replaces a newer one", Gossip, "_accept")
def no_sequence_check(original):
    def accept(self, node, entry, now, hops):
        if entry.statement.author != self._me:
            self._table._heard.pop(entry.tag, None)
        return original(self, node, entry, now, hops)

    return accept


@mutant("no signature is looked at", gossiping, "verify")
def records_not_verified(original):
    return lambda record, statement, verifier: None


@mutant("what comes from the future is believed", gossiping, "FUTURE_MAX_NS")
def future_believed(original):
    return 1 << 62


@mutant("numbers are used that were never reserved", Gossip, "_reserve")
def no_reservation(original):
    return lambda self: []


@mutant("a node does not know its own voice", Gossip, "_accept")
def own_voice_ignored(original):
    def accept(self, node, entry, now, hops):
        own = entry.statement.author == self._me
        return [] if own else original(self, node, entry, now, hops)

    return accept


@mutant("listings leave out the last key", Index, "between")
def listing_skips_the_last_key(original):
    return lambda self, low, high: original(self, low, high)[:-1]


@mutant("digests do not see which of two statements is newer", indexing, "mark_of")
def marks_without_sequence(original):
    return lambda tag, sequence: original(tag, 0)


@mutant("a neighbour is told nothing that waits a while", Peer, "queue")
def told_too_early(original):
    def queue(self, tag, now, **how):
        original(self, tag, now, **how)
        self.has(tag)

    return queue


@mutant("neighbours are gone through in the order of a set", gossiping, "sorted", order=True)
def set_order(original):
    return lambda items: list(set(items))
