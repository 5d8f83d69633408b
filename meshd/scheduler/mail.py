"""Mail: job messages as payloads, each in a packet of its own name."""

from __future__ import annotations

import protocols
from meshd.seam import PayloadOffered
from protocols.forward import PacketIds
from protocols.job import JobMessage
from protocols.priority import Priority
from protocols.types import SECOND, Instant, NodeId

JOB_PORT = "job"
MESSAGE_LIFETIME_NS = 30 * SECOND


class Mail:
    """Names and addresses what one part of the scheduler says."""

    def __init__(self, me: NodeId, use: str) -> None:
        self._ids = PacketIds(me, use)

    def send(self, node: NodeId, message: JobMessage, now: Instant) -> PayloadOffered:
        data = protocols.JOB.encode(message)
        packet = self._ids.next(now)
        lifetime_ns, urgent = MESSAGE_LIFETIME_NS, Priority.CONTROL
        return PayloadOffered(packet, node, JOB_PORT, data, lifetime_ns, priority=urgent)
