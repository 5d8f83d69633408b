"""Sometimes: interesting states that a swarm must have reached; else it proves nothing of them."""

from __future__ import annotations

SOMETIMES = (
    # packets and custody
    "a packet was held for more than 5 s",
    "a packet was sent again",
    "a packet came again and was accepted again",
    "a dead link was written on a packet",
    "a packet went down with the node that held it",
    "a durable packet outlived a crash of the node that held it",
    "a black hole swallowed a packet",
    "a letter waited for those before it in its stream",
    # gossip
    "gossip was levelled by a listing",
    "a node heard its own voice from a life before",
    "a lie was refused: bad-signature",
    "a lie was refused: record-from-future",
    "a statement was not believed of who may not say it",
    # links
    "a frame was mangled and its link ended",
    "a link ended: outbox-full",
    "a link ended: silent",
    "a link ended: contact-ended",
    "a dial failed",
    # membership
    "a node was held for gone",
    "a node was doubted and cleared",
    # jobs
    "a lease was replaced",
    "a holder was silent and its lease ended",
    "a job was taken up again after a restart",
    "word of a lease that was over was refused",
    "a shard failed and was placed again",
    "a job found no candidates",
    "a shard was fed by others",
    "what other shards take was made again",
    # disks and time
    "a node started from the rows of a life before",
    "a crash lost rows that were not yet on disk",
    "rows on their way to disk survived a crash",
    "a commit failed and the daemon stopped",
    "rows of a commit that failed were on disk all the same",
    "a node came back on an old copy of its database",
    "a blob was refused: store-full",
    "events waited for a node that stood still",
    "a node's clock stood until the true time was there",
)
"""As the laws and the faults count them (`Checkers.saw`)."""

BEFORE_ALL = 500
"""From so many seeds on, a state never reached is a failure."""


def never(reached: dict[str, int]) -> tuple[str, ...]:
    """Those that no seed has reached."""
    return tuple(name for name in SOMETIMES if not reached.get(name))
