"""Bugs in letters."""

from __future__ import annotations

from meshd.letters import outgoing
from meshd.letters.letters import Letters
from meshd.letters.mailbox import Mailbox
from meshd.letters.outgoing import Outgoing
from meshd.seam import Persist
from protocols.types import HOUR
from tests.mutants.registry import mutant


@mutant("a letter is promised before it is on disk", Letters, "handle")
def promised_before_kept(original):
    def handle(self, event, now):
        effects = original(self, event, now)
        return sorted(effects, key=lambda effect: isinstance(effect, Persist))

    return handle


@mutant("a letter that comes again is read again", Mailbox, "_row_of")
def read_twice(original):
    return lambda self, kept: None


@mutant("what was read is forgotten at once", Mailbox, "_remember")
def taken_forgotten(original):
    return lambda self, name, until: None


@mutant("a letter does not say which is before it", Outgoing, "_in_order")
def no_order(original):
    return lambda self, posted: posted.letter


@mutant("a letter without a receipt is not sent again", outgoing, "RECEIPT_MARGIN_NS")
def letter_sent_once(original):
    return HOUR


@mutant("letters of a life before are forgotten", Outgoing, "restore")
def letters_not_restored(original):
    return lambda self, rows, now: None
