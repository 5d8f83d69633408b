"""Entitled: where there are operators, nothing is held that they did not allow, and nobody linked.

Judged anew, by a plain reading of SPEC.md (section 4), apart from `meshd.trust`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from meshd.router.roster import entry_of
from meshd.seam import Effect, ElementsHeard, Event
from protocols import LinkMessage
from protocols import gossip as wire
from protocols.certificate import DOMAIN, ELEMENTS, Certificate, Revocations, Sealed
from protocols.link import Hello
from protocols.record import Orbit, Presence, Statement, Verifier
from protocols.types import Instant, NodeId
from sim.host import Host
from sim.laws.law import Law, require


class Entitled(Law):
    """Looks at what a frame of records, or a hello, has changed in its receiver."""

    def __init__(self, saw: Counter[str], genuine: Verifier) -> None:
        super().__init__(saw, genuine)

    def after(
        self,
        host: Host,
        event: Event,
        heard: LinkMessage | None,
        effects: Sequence[Effect],
        told: Instant,
    ) -> None:
        if not host.config.trust.operators or host.node is None:
            return
        match heard:
            case wire.Records(records=records):
                for said in map(entry_of, records):
                    self._judge(host, said.tag, said.statement, told)
            case Hello(node=node, certificate=sealed):
                if host.node.neighbours.link_to(node) is not None:
                    certificate = self._certificate(host, node, sealed)
                    holds = certificate is not None and _holds(certificate, told)
                    require(holds, "a neighbour's certificate holds", host.name, node)
        for effect in effects:
            if isinstance(effect, ElementsHeard):
                orbit = effect.orbit
                require(_possible(orbit), "no elements are taken that no orbit has", orbit.name)

    def _judge(self, host: Host, tag: int, statement: Statement, told: Instant) -> None:
        assert host.node is not None
        held = host.node.gossip._table.get(tag)
        refused = held is None or held.statement.sequence < statement.sequence
        self.saw["a statement was not believed of who may not say it"] += refused and (
            not self._allowed(host, statement, told)
        )
        if not refused and held is not None and held.statement == statement:
            allowed = self._allowed(host, statement, told)
            author = statement.author
            require(allowed, "nothing is held of who may not say it", host.name, author, tag)

    def _allowed(self, host: Host, statement: Statement, told: Instant) -> bool:
        author, body = NodeId(statement.author), statement.body
        operators = [operator.id for operator in host.config.trust.operators]
        if isinstance(body, Revocations):
            return author in operators
        if isinstance(body, Presence):
            certificate = self._certificate(host, author, body.certificate)
            same = certificate is not None and certificate.site == body.site
            return same and certificate is not None and _holds(certificate, told)
        if not isinstance(body, Orbit):
            return True  # of whom a presence was believed: looked at when that came
        certificate = self._certificate(host, author, body.certificate)
        fleet = body.name.rsplit("-", 1)[0]
        if certificate is None or not _possible(body) or not _holds(certificate, told):
            return False
        number = operators.index(NodeId(certificate.operator))
        return ELEMENTS in certificate.roles and fleet == f"sat-{number}"

    def _certificate(self, host: Host, node: NodeId, sealed: Sealed | None) -> Certificate | None:
        """A genuine one of this node, by an operator that is trusted; however old."""
        if sealed is None:
            return None
        found = msgspec.msgpack.decode(sealed.certificate, type=Certificate)
        operators = [operator.id for operator in host.config.trust.operators]
        if found.node != node or found.operator not in operators:
            return None
        genuine = self.genuine(
            NodeId(found.operator), DOMAIN + sealed.certificate, sealed.signature
        )
        return found if genuine else None


def _holds(certificate: Certificate, at: Instant) -> bool:
    return certificate.not_before <= at < certificate.not_after


def _possible(orbit: Orbit) -> bool:
    numbers = (orbit.eccentricity, orbit.mean_motion_rev_day, orbit.inclination_deg, orbit.bstar)
    finite = all(map(math.isfinite, numbers))
    axis_km = (398_600.8 / (orbit.mean_motion_rev_day * 2 * math.pi / 86_400) ** 2) ** (1 / 3)
    return finite and orbit.eccentricity < 1 and axis_km * (1 - orbit.eccentricity) > 6_378.135
