"""Errors sorted by whose fault they are. A peer's fault is a ProtocolError."""

from __future__ import annotations

import msgspec

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the message: the last two for bad UTF-8 and for
values nested thousands deep."""


class MeshError(Exception):
    """A refusal a person can act on: a stable `code`, and what is wrong, where, what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ProtocolError(MeshError):
    """A peer said something it may not say. Raised by decoders, caught once, the link is closed."""


class InputError(MeshError):
    """A person gave input that cannot be used (a file, a name, an address)."""


class NotFound(MeshError):
    """A name that nothing answers to; the message offers the nearest names."""
