"""Which connections are of use: to a link, or to a client's requests. The others are let go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from libp2p.abc import IHost, INetConn, INetStream, INetwork, INotifee
from multiaddr import Multiaddr

from meshd.adapters.links_dial import Connection, hang_up


def connections(host: IHost) -> list[Connection]:
    """Those that are up."""
    network: Any = host.get_network()
    return [connection for connection in network.get_connections() if not connection.is_closed]


class Uses:
    """Counts what stands on each connection."""

    def __init__(self) -> None:
        self._users: Counter[Connection] = Counter()
        self._used: set[Connection] = set()
        """By whatever ended since the last look: a client asks again in a while."""
        self._suspects: set[Connection] = set()

    def begin(self, connection: Connection) -> None:
        self._users[connection] += 1

    def end(self, connection: Connection) -> None:
        self._users[connection] -= 1
        self._used.add(connection)

    @contextmanager
    def during(self, connection: Connection) -> Iterator[None]:
        self.begin(connection)
        try:
            yield
        finally:
            self.end(connection)

    def any(self, connection: Connection) -> bool:
        return self._users[connection] > 0

    def idle(self, up: Sequence[Connection]) -> list[Connection]:
        """Those not used at this look, nor at the last, nor between them."""
        idle = [c for c in up if not self._users[c] and c not in self._used]
        found = [connection for connection in idle if connection in self._suspects]
        self._users = +self._users
        self._used.clear()
        self._suspects = set(idle) - set(found)
        return found


class Crowd(INotifee):
    """Hangs up on a peer that opens more connections than it may."""

    def __init__(self, per_peer_max: int) -> None:
        self._max = per_peer_max

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        swarm: Any = network
        theirs = swarm.get_connections(conn.muxed_conn.peer_id)
        if sum(not connection.is_closed for connection in theirs) > self._max:
            await hang_up(conn, within_s=1.0)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None: ...
    async def opened_stream(self, network: INetwork, stream: INetStream) -> None: ...
    async def closed_stream(self, network: INetwork, stream: INetStream) -> None: ...
    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None: ...
    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None: ...
