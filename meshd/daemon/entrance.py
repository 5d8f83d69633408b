"""Entrance: what a person brings into the mesh by one daemon: an operator's word, and ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from meshd.adapters.address import validate_address
from meshd.daemon.names import Names
from meshd.daemon.probes import until
from meshd.router.roster import Entry, entry_of
from meshd.seam import BootstrapWanted, RecordsLoaded
from protocols.bounds import RECORDS_MAX
from protocols.certificate import Revocations
from protocols.errors import InputError, MeshError
from protocols.record import Orbit, Record, verify

if TYPE_CHECKING:
    from meshd.daemon.daemon import Daemon

Json: TypeAlias = dict[str, Any]

ANSWER_S = 10.0

_record = msgspec.msgpack.Decoder(Record)


class Entrance:
    """Gives signed records to gossip, and bootstrap addresses to the node."""

    def __init__(self, daemon: Daemon, names: Names) -> None:
        self._daemon = daemon
        self._names = names

    # --- records --------------------------------------------------------------------------------

    async def records(self, data: list[bytes]) -> Json:
        """Take what an operator has signed, as if a neighbour had brought it; when all is held.

        Raises InputError "bad-record" or "records-full", MeshError with the code by which any node
        of the mesh would refuse one of them, or "time-out".
        """
        if len(data) > RECORDS_MAX:
            raise InputError("records-full", f"{len(data)} records; at most {RECORDS_MAX} at once")
        entries = [self._checked(item) for item in data]
        self._daemon.driver.post(RecordsLoaded(tuple(entry.record for entry in entries)))
        gossip = self._daemon.node.gossip

        def held() -> bool:
            return all(gossip.sequence(e.tag) >= e.statement.sequence for e in entries)

        if not await until(held, ANSWER_S):
            raise MeshError("time-out", f"the records were not taken within {ANSWER_S:g} s")
        return {"taken": len(entries)}

    def _checked(self, data: bytes) -> Entry:
        try:
            entry = entry_of(_record.decode(data))
        except msgspec.DecodeError as error:
            raise InputError("bad-record", f"a record cannot be read: {error}") from None
        statement, daemon = entry.statement, self._daemon
        if not isinstance(statement.body, Revocations | Orbit):
            raise InputError("bad-record", "only revocations and elements come by this way")
        verify(entry.record, statement, daemon.shared.verifier.verify)
        code = daemon.node.trust.refusal(statement, daemon.shared.clock.now())
        if code:
            author, kind = entry.key
            raise MeshError(code, f"the {kind} of {author} would be believed by nobody")
        return entry

    # --- ways in --------------------------------------------------------------------------------

    def bootstrap(self) -> list[Json]:
        """The nodes that were named to join the mesh by."""
        neighbours = self._daemon.node.neighbours
        return [
            {
                "node": node,
                "name": self._names.name_of(node),
                "address": address,
                "linked": neighbours.link_to(node) is not None,
            }
            for node, address in self._daemon.node.bootstrap.view()
        ]

    async def name(self, address: str, wanted: bool) -> Json:
        """Name a node to join the mesh by, or take that back (its id or name will do).

        Raises the codes of an address, or "bootstrap-full".
        """
        known = dict(self._daemon.node.bootstrap.view())
        if wanted:
            node, whole = validate_address(address)
        else:
            node = self._names.find(address) if "/" not in address else validate_address(address)[0]
            whole = known.get(node, "")
        self._daemon.driver.post(BootstrapWanted(node, whole, wanted))

        def done() -> bool:
            return (node in dict(self._daemon.node.bootstrap.view())) == wanted

        if not await until(done, ANSWER_S):
            raise MeshError("bootstrap-full", "as many addresses are named as may be")
        return {"node": node, "address": whole, "wanted": wanted}
