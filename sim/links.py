"""Links: connections between hosts, from the first bit of a handshake to the last of a goodbye."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import protocols
from meshd.seam import CloseLink, FrameReceived, LinkDown, LinkFailed, LinkUp, OpenLink, SendFrame
from protocols.errors import ProtocolError
from protocols.types import SECOND, Instant, LinkId
from sim.faults import foe
from sim.faults.stall import Stall
from sim.host import Host
from sim.medium import Link, Medium, Path, Ride, Waiting, Way
from sim.silence import lost_after, noticed_at

if TYPE_CHECKING:
    from sim.world import World

DIAL_TIMEOUT_NS = 10 * SECOND
"""As in meshd/adapters: within the 15 s that a node waits for an answer."""

ACCEPTED_LIGHTS = 15
"""Light times until the dialled end has a link; the dialler has it one later. Of the 16, two are
TCP, ten Noise and yamux with what agrees on them, four the stream and its protocol: what libp2p
takes under the full driver (tests/parity)."""

SILENCE_NS = 5 * SECOND
"""How long a connection takes to break where nothing passes; who listens notices before."""


@dataclass(frozen=True, slots=True)
class Dial:
    """One attempt at a link, by this life of a host."""

    host: Host
    life: int
    other: Host
    path: Path
    effect: OpenLink
    timeout: Instant


class Links:
    """Carries out OpenLink, CloseLink and SendFrame; tells both ends what becomes of a link."""

    def __init__(self, world: World, medium: Medium) -> None:
        self._world = world
        self._medium = medium
        self._hosts: list[Host] = []
        self.ever: list[Link] = []
        """All that were ever up, in the order they came."""

    # --- opening --------------------------------------------------------------------------------

    def open(self, host: Host, effect: OpenLink) -> None:
        """Both ends are up after ACCEPTED_LIGHTS, the dialler's one later; or none is."""
        world = self._world
        other, now = world.host_of(effect.node), world.now
        path = None if other is None else self._medium.path(host.index, other.index, now)
        timeout = now + DIAL_TIMEOUT_NS
        if other is None or path is None:
            self._fail(host, effect, timeout)
            return
        accepted = now + ACCEPTED_LIGHTS * path.light(now)
        dial = Dial(host, host.life, other, path, effect, timeout)
        world.schedule(accepted, self._accepted, (dial,))

    def _accepted(self, dial: Dial) -> None:
        """The other end takes the link; its last word is under way to the dialler."""
        world, host, other, path = self._world, dial.host, dial.other, dial.path
        if host.life != dial.life:
            return
        if other.node is None or not self._passes(dial):
            self._fail(host, dial.effect, max(dial.timeout, world.now))
            return
        link = Link(LinkId(len(self.ever) + 1), (host.index, other.index), path)
        self.ever.append(link)
        other.links[link.id] = link
        if path.finish is not None:
            self._down_at(other, link, "contact-ended", path.finish + SILENCE_NS)
        if world.physics.loss and not world.physics.beat_ns:
            self._foresee_loss(other, link)
        world.schedule(world.now + path.light(world.now), self._answered, (dial, link))
        world.deliver(other, LinkUp(link.id, host.id, False, host.address))

    def _answered(self, dial: Dial, link: Link) -> None:
        world, host, other = self._world, dial.host, dial.other
        if host.life != dial.life:
            self._down_at(other, link, "peer-closed", world.now + link.path.light(world.now))
            return
        if not self._passes(dial):
            self._fail(host, dial.effect, max(dial.timeout, world.now))
            return
        host.links[link.id] = link
        if link.path.finish is not None:
            self._down_at(host, link, "contact-ended", link.path.finish + SILENCE_NS)
        world.deliver(host, LinkUp(link.id, other.id, True, other.address))

    def _passes(self, dial: Dial) -> bool:
        joined = self._medium.joined(dial.host.index, dial.other.index)
        return joined and dial.path.open_at(self._world.now)

    def _fail(self, host: Host, effect: OpenLink, at: Instant) -> None:
        self._world.post(host, LinkFailed(effect.node, "dial-timeout", "no answer"), at)

    # --- frames ---------------------------------------------------------------------------------

    def send(self, host: Host, effect: SendFrame) -> None:
        link = host.links.get(effect.link)
        if link is None:
            return  # closed meanwhile
        way = link.ways[link.side(host.index)]
        if effect.priority and (way.waiting or way.free_at > self._world.now):
            self._wait(host, link, way, effect)
        else:
            self._depart(host, link, effect.frame)

    def _depart(self, host: Host, link: Link, frame: bytes) -> None:
        side = link.side(host.index)
        ride = self._medium.carry(link, side, len(frame), self._world.now)
        if isinstance(ride, Ride):
            self._carry(link, side, frame, ride)
        elif ride == "outbox-full":
            self.close(host, CloseLink(link.id, ride))

    def _wait(self, host: Host, link: Link, way: Way, effect: SendFrame) -> None:
        """Let a frame wait until the way is free: what is more urgent may come meanwhile."""
        if way.waiting is None:
            way.waiting = []
        if not way.waiting:
            self._world.schedule(way.free_at, self._next, (host, host.life, link))
        heapq.heappush(way.waiting, Waiting(effect.priority, way.frames, effect.frame))
        way.frames += 1
        way.waiting_bytes += len(effect.frame)

    def _next(self, host: Host, life: int, link: Link) -> None:
        """The way was to be free now: what waits first leaves, if it is."""
        way = link.ways[link.side(host.index)]
        if host.life != life or link.id not in host.links or not way.waiting:
            return
        if way.free_at <= self._world.now:
            self._leave(host, link, way.waiting, way)
        if way.waiting:
            self._world.schedule(way.free_at, self._next, (host, life, link))

    def _leave(self, host: Host, link: Link, waiting: list[Waiting], way: Way) -> None:
        _, number, frame = heapq.heappop(waiting)
        way.waiting_bytes -= len(frame)
        overtook = any(other < number for _, other, _ in waiting)
        self._world.saw("a frame was overtaken by a more urgent one", overtook)
        self._depart(host, link, frame)

    def _carry(self, link: Link, side: int, frame: bytes, ride: Ride) -> None:
        world, other = self._world, self._end(link, 1 - side)
        if world.checkers:
            world.checkers.sent(link, side, len(frame), ride)
        noise = self._medium.noise_on(link, side)
        if noise is None:
            world.schedule(ride.arrive, self._frame, (other, link, frame, ride))
            return
        key = (world.seed, link.id, side, link.ways[side].frames)
        for copy in noise.copies(key, ride.arrive, frame):
            come = self._spoilt if copy.spoilt else self._frame
            late = Ride(ride.depart, copy.arrive)
            world.schedule(copy.arrive, come, (other, link, copy.frame, late))

    def _frame(self, host: Host, link: Link, frame: bytes, ride: Ride) -> None:
        if link.id not in host.links:
            return  # closed at this end, or the node has died
        world = self._world
        if world.checkers:
            world.checkers.ride(link.path, ride)
        if host.swallows:
            packet = foe.swallowed(host, frame)
            if packet is not None:
                world.swallow(packet.id)
                self.send(host, SendFrame(link.id, foe.accepted(packet)))
                return
        world.deliver(host, FrameReceived(link.id, frame))

    def _spoilt(self, host: Host, link: Link, frame: bytes, ride: Ride) -> None:
        """Noise would notice by the frame's tag and end the link; a node must not even stumble
        over what is no message.
        """
        if link.id not in host.links:
            return
        self._world.saw("a frame was mangled and its link ended")
        try:
            protocols.LINK.decode(frame)
        except ProtocolError:
            self._world.deliver(host, FrameReceived(link.id, frame))
        self.close(host, CloseLink(link.id, "corrupt-frame"))

    # --- closing --------------------------------------------------------------------------------

    def close(self, host: Host, effect: CloseLink) -> None:
        """Ours is down at once; the other end hears behind the last frame, or notices silence."""
        if host.stall is not None:
            host.stall.forget(effect.link)
        link = host.links.pop(effect.link, None)
        if link is None:
            return
        way = link.ways[link.side(host.index)]
        while way.waiting:  # what was sent before may still leave
            self._leave(host, link, way.waiting, way)
        self._world.post(host, LinkDown(link.id, effect.code))
        self._part(host, link)

    def die(self, host: Host) -> None:
        """A node is gone without a word: the kernel, or the sky, says so at the other ends."""
        for link in host.links.values():
            self._part(host, link)

    def notice_silence(self) -> None:
        """The medium was cut somewhere: links across the cut end when their silence is noticed."""
        world = self._world
        for host in world.hosts.values():
            for link in host.links.values():
                if not self._medium.joined(*link.ends):
                    at = self._noticed_at(host, link)
                    world.schedule(at, self._silent, (host, host.life, link))

    def _noticed_at(self, host: Host, link: Link) -> Instant:
        """When an end gives up a link over which nothing passes from now on. Its node may be before
        that, where it asks.
        """
        now = self._world.now
        if self._world.physics.beat_ns:
            return now + SILENCE_NS
        return max(now, noticed_at(link, link.side(host.index), now))

    def stand_still(self, host: Host) -> None:
        """A node stands still: who listens to it notices, unless it goes on before."""
        if self._world.physics.beat_ns:
            return
        for link in host.links.values():
            other = self._end(link, 1 - link.side(host.index))
            at = self._noticed_at(other, link)
            self._world.schedule(at, self._unanswered, (other, other.life, link, host.stall))

    def _unanswered(self, host: Host, life: int, link: Link, stall: Stall | None) -> None:
        still = self._end(link, 1 - link.side(host.index)).stall is stall
        if still and host.life == life and link.id in host.links:
            self._part(host, link)
            self._down(host, life, link, "silent")

    def _foresee_loss(self, host: Host, link: Link) -> None:
        """Where frames are lost, a silence may be nothing else, however rarely."""
        loss = self._world.physics.loss
        after = lost_after(self._world.seed, link, loss)
        if after is not None:
            self._world.schedule(self._world.now + after, self._unheard, (host, host.life, link))

    def _unheard(self, host: Host, life: int, link: Link) -> None:
        if host.life == life and link.id in host.links:
            self._part(host, link)
            self._down(host, life, link, "silent")

    def _silent(self, host: Host, life: int, link: Link) -> None:
        if host.life == life and not self._medium.joined(*link.ends):
            self._down(host, life, link, "silent")

    def _part(self, host: Host, link: Link) -> None:
        now, side = self._world.now, link.side(host.index)
        other, way = self._end(link, 1 - side), link.ways[side]
        if link.path.open_at(now) and self._medium.joined(*link.ends):
            heard = max(now + link.path.light(now), way.last_arrival)
            self._down_at(other, link, "peer-closed", heard)
        else:
            self._down_at(other, link, "silent", now + SILENCE_NS)

    def _down_at(self, host: Host, link: Link, code: str, at: Instant) -> None:
        self._world.schedule(at, self._down, (host, host.life, link, code))

    def _down(self, host: Host, life: int, link: Link, code: str) -> None:
        if host.life == life and host.links.pop(link.id, None) is not None:
            self._world.deliver(host, LinkDown(link.id, code))

    def _end(self, link: Link, side: int) -> Host:
        hosts = self._hosts
        if len(hosts) != len(self._world.hosts):
            hosts = self._hosts = list(self._world.hosts.values())
        return hosts[link.ends[side]]
