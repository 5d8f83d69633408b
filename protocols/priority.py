"""Priority: what leaves first where several wait for one link."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Lower goes first. What two neighbours say to each other besides packets is all CONTROL."""

    CONTROL = 0
    """What keeps the mesh and its jobs going: small, and never behind anything else."""
    INTERACTIVE = 1
    """What somebody waits for: letters, pings, questions."""
    BULK = 2
    """What fills whatever is left: pieces of blobs."""
