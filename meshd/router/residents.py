"""Residents: who lives at which site, kept up to date as each presence is heard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from meshd.router.roster import NOBODY, Member, Roster
from protocols.types import NodeId


class Residents:
    """Of all who claim a site, the one that said so last has it; of two at once the higher NodeId.

    `members` is everyone's word, kept by the caller; what the roster says is worked out once for
    all nodes that have it.
    """

    def __init__(self, members: Mapping[NodeId, Member], roster: Roster = NOBODY) -> None:
        self._members = members
        self._listed = _residents_of(roster)
        self._moved: dict[str, NodeId | None] = {}
        """Where another lives than the roster says, or nobody."""

    def at(self, site: str) -> NodeId | None:
        return self._moved[site] if site in self._moved else self._listed.get(site)

    def has(self, node: NodeId, site: str) -> bool:
        return self.at(site) == node

    def heard(self, member: Member, before: Member | None) -> None:
        """A member is among the members, in place of what it was before."""
        node, site = member.node, member.presence.site
        if before is not None and self.has(node, left := before.presence.site):
            if left == site and before.issued_at <= member.issued_at:
                return
            self._moved[left] = self._newest(left)
        holder = self.at(site)
        if holder is not None and self._members[holder].presence.site != site:
            self._moved[site] = self._newest(site)  # listed there, and moved since
        elif holder is None or _rank(self._members[holder]) < _rank(member):
            self._moved[site] = node

    def left(self, member: Member) -> None:
        """A member is among the members no more."""
        if self.has(member.node, site := member.presence.site):
            self._moved[site] = self._newest(site)

    def _newest(self, site: str) -> NodeId | None:
        """Looks at everyone: it is rare that somebody moves away."""
        claims = (member for member in self._members.values() if member.presence.site == site)
        newest = max(claims, key=_rank, default=None)
        return newest.node if newest else None


@lru_cache(16)
def _residents_of(roster: Roster) -> Mapping[str, NodeId]:
    return {m.presence.site: m.node for m in sorted(roster.members.values(), key=_rank)}


def _rank(member: Member) -> tuple[int, NodeId]:
    return member.issued_at, member.node
