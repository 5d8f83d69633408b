"""Bugs in links, custody and routes."""

from __future__ import annotations

from msgspec.structs import replace

from meshd.forwarding import forwarder as forwarding
from meshd.forwarding.custody import Hold
from meshd.forwarding.forwarder import Forwarder
from meshd.forwarding.neighbours import Neighbours
from meshd.router.routes import Router
from meshd.seam import LinkReady, SendFrame
from protocols.priority import Priority
from protocols.types import HOUR, SECOND
from tests.mutants.registry import mutant


@mutant("custody ends when a packet is sent, not when it is accepted", Forwarder, "_route")
def custody_released_before_accepted(original):
    def route(self, custody, now):
        effects = original(self, custody, now)
        found = self._hold.packets.get(custody.key)
        if found is not None and found.sent_to is not None:
            self._hold.drop(found.key)
        return effects

    return route


@mutant("a hop leaves no stamp on the packet", Forwarder, "_stamp")
def hop_not_counted(original):
    return lambda self, packet, now: packet


@mutant("a packet that has expired is sent on", Forwarder, "_route")
def expiry_ignored(original):
    def route(self, custody, now):
        return original(self, custody, min(now, custody.packet.expires_at - 1))

    return route


@mutant("what was not accepted is never sent again", forwarding, "ACK_MARGIN_NS")
def retry_never(original):
    return HOUR


@mutant("the destination forgets what has arrived", Forwarder, "_deliver")
def no_duplicate_suppression(original):
    def deliver(self, packet):
        self._delivered.clear()
        return original(self, packet)

    return deliver


@mutant("a packet that is accepted and has no way on is forgotten", Forwarder, "_receive")
def accepted_and_dropped(original):
    def receive(self, node, packet, now):
        effects = original(self, node, packet, now)
        found = self._hold.packets.get((packet.id, len(packet.hops) + 1))
        if found is not None and found.sent_to is None:
            self._hold.drop(found.key)
        return effects

    return receive


@mutant("a durable packet is accepted before it is on disk", Forwarder, "_on_disk")
def accepted_before_kept(original):
    return lambda self, packet, hops: []


@mutant("what was accepted in a life before is not gone on with", Forwarder, "_restore")
def custody_not_restored(original):
    return lambda self, rows, now: []


@mutant("bytes in flight are never counted down", Hold, "_unsend")
def flight_never_lands(original):
    def unsend(self, key):
        custody = self.packets[key]
        original(self, key)
        if custody.sent_to is not None:
            lane = custody.sent_to, custody.packet.priority
            self.flight[lane] += len(custody.packet.payload)

    return unsend


@mutant("a relay makes what it carries urgent", Forwarder, "_stamp")
def bulk_before_control(original):
    def stamp(self, packet, now):
        return replace(original(self, packet, now), priority=Priority.CONTROL)

    return stamp


@mutant("every frame is as urgent as the next", Neighbours, "frame")
def no_priorities(original):
    def frame(self, node, message):
        return [SendFrame(effect.link, effect.frame) for effect in original(self, node, message)]

    return frame


@mutant("any amount is sent to one neighbour at once", Hold, "crowded")
def no_flight_bound(original):
    return lambda self, node, packet: False


@mutant("a link is used until two seconds after its contact", Router, "contact_end")
def contact_end_late(original):
    def contact_end(self, node, now):
        return original(self, node, now) or original(self, node, now - 2 * SECOND)

    return contact_end


@mutant("a link that came back is still called down", Router, "_link_changed")
def down_for_ever(original):
    def changed(self, event, now):
        end = self._down.get(event.node) if isinstance(event, LinkReady) else None
        effects = original(self, event, now)
        if end is not None:
            self._down[event.node] = end
        return effects

    return changed


@mutant("a contact that ended leaves the wish to be woken", Router, "_forget_ended")
def deadline_in_the_past(original):
    return lambda self, now: []


@mutant("a dial that failed is not tried again", Neighbours, "_back_off")
def dial_once(original):
    def back_off(self, node, now):
        original(self, node, now)
        self._retry[node] = type(self._retry[node])(now + HOUR, HOUR)

    return back_off
