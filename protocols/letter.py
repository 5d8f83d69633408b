"""Letters: what applications send each other, kept until it is read (port "letter")."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from protocols.bounds import LETTER_BYTES_MAX, Code, Count, Name, Nanoseconds, Packet_

INBOX = "inbox"
"""The port of a letter that names none."""


class Letter(msgspec.Struct, frozen=True, array_like=True, tag="letter"):
    """Letters of a stream are read in the order of their numbers, which rise but not by ones.

    This one is not to be read before that of number `after`, unless `gap_until` has come: by then
    those before it are there or have expired. Outside a stream the three are 0.
    """

    id: Packet_
    port: Name
    body: Annotated[bytes, Meta(max_length=LETTER_BYTES_MAX)]
    expires_at: Nanoseconds
    stream: Name = ""
    number: Count = 0
    after: Count = 0
    gap_until: Nanoseconds = 0


class Receipt(msgspec.Struct, frozen=True, array_like=True, tag="receipt"):
    """To the sender: "ok" when the letter is on the receiver's disk, else why it is not."""

    letter: Packet_
    code: Code


LetterMessage: TypeAlias = Letter | Receipt
