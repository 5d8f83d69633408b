"""Bugs in gossip."""

from __future__ import annotations

from meshd.gossip import gossip as gossiping
from meshd.gossip.gossip import Gossip
from meshd.gossip.table import Table
from protocols.record import KINDS, read
from tests.mutants.registry import mutant


@mutant("an older record replaces a newer one", Gossip, "_accept")
def no_sequence_check(original):
    def accept(self, node, record, now):
        said = read(record)
        if said.author != self._me:
            self._table._heard.pop((said.author, KINDS[type(said.body)]), None)
            self._table._sorted = None
        return original(self, node, record, now)

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
    def accept(self, node, record, now):
        return [] if read(record).author == self._me else original(self, node, record, now)

    return accept


@mutant("digests leave out the last key", Table, "held")
def digest_skips_the_last_key(original):
    def held(self, low, high, now, *, whole):
        found = original(self, low, high, now, whole=whole)
        return found if now is None else found[:-1]

    return held


@mutant("a neighbour counts as told when news waits for it", Gossip, "_queue")
def told_too_early(original):
    def queue(self, peer, key, now):
        peer.told(key, self._table.get(key).statement.sequence)
        original(self, peer, key, now)

    return queue


@mutant("neighbours are gone through in the order of a set", gossiping, "sorted", order=True)
def set_order(original):
    return lambda items: list(set(items))
