"""Tagged: who is meant by the tags in link states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshd.router.roster import NOBODY, Roster, members_by_tag
from protocols.record import Standing
from protocols.tag import tag_of
from protocols.types import Duration, NodeId


class Tagged:
    """Everyone heard of, by tag. Of two with one tag, which nobody can bring about, the first."""

    def __init__(self, me: NodeId) -> None:
        self.roster: Roster = NOBODY
        """Its members are known besides."""
        self._nodes = {tag_of(me): me}

    def meet(self, node: NodeId) -> None:
        self._nodes.setdefault(tag_of(node), node)

    def known(self, tags: Iterable[int]) -> list[NodeId]:
        """Those meant, but for who has not been heard of yet."""
        found = (self._nodes.get(tag) or members_by_tag(self.roster).get(tag) for tag in tags)
        return [node for node in found if node is not None]

    def ends(self, standing: Iterable[Standing]) -> Iterator[tuple[NodeId, Duration]]:
        """The peers of links, with the links' delays."""
        for link in standing:
            for peer in self.known((link.peer,)):
                yield peer, link.delay_ns
