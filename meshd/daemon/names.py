"""Names: what people call nodes, and the nodes they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshd.ephemeris.names import fold, not_found
from meshd.router.routes import Router
from protocols.errors import InputError, NotFound
from protocols.types import NodeId

if TYPE_CHECKING:
    from collections.abc import Iterable

ID_TAIL_MIN = 6
"""So many last characters of an id may stand for it: ids begin alike and end differently."""


class Names:
    """Finds nodes by id, name or site, whatever the case."""

    def __init__(self, me: NodeId, router: Router) -> None:
        self._me = me
        self._router = router

    def name_of(self, node: NodeId) -> str:
        """What people call a node; its id when nothing is known of it."""
        return self._router.name_of(node)

    def site_of(self, node: NodeId) -> str:
        member = self._router.members.get(node)
        return member.presence.site if member else ""

    def find(self, text: str, more: Iterable[NodeId] = ()) -> NodeId:
        """The node a person means. `more` are nodes not yet members, known by id alone.

        Raises NotFound "unknown-node" with the nearest names, InputError "ambiguous-node".
        """
        members = self._router.members
        known = sorted({*members, *more, self._me})
        if text in known:
            return NodeId(text)
        wanted = fold(text)
        found = [n for n in known if n in members and wanted in self._folded(n)]
        if not found and len(text) >= ID_TAIL_MIN:
            found = [node for node in known if node.endswith(text)]
        if len(found) > 1:
            raise InputError(
                "ambiguous-node", f"{text!r} is {len(found)} nodes; give an id: {' '.join(found)}"
            )
        if not found:
            raise self._unknown(text)
        return found[0]

    def _folded(self, node: NodeId) -> set[str]:
        presence = self._router.members[node].presence
        return {fold(name) for name in (presence.name, presence.site) if name}

    def _unknown(self, text: str) -> NotFound:
        plan = self._router.plan
        if plan is not None and any(fold(name) == fold(text) for name in plan.names):
            return NotFound(
                "unknown-node", f"{text!r} is in the sky, but no node there has been heard of yet"
            )
        members = self._router.members.values()
        names = [n for m in members for n in (m.presence.name, m.presence.site) if n]
        return not_found("unknown-node", "node", text, sorted(set(names)))
