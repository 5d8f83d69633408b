"""Trust: who may be a neighbour, and whose word counts for what."""

from __future__ import annotations

from meshd.ephemeris.elements import check_elements
from meshd.ephemeris.published import elements_of
from meshd.ephemeris.succession import AHEAD_MAX_NS, TICK_NS
from meshd.seam import (
    Barred,
    Effect,
    Event,
    Learnt,
    Note,
    RosterLoaded,
    Started,
    Woke,
)
from meshd.trust.certificates import certified, lapse
from meshd.trust.policy import TrustPolicy
from protocols.certificate import ELEMENTS, Certificate, Revocations, Sealed, unseal
from protocols.errors import MeshError, ProtocolError
from protocols.record import Orbit, Presence, Statement, Verifier
from protocols.types import Instant, NodeId

UNKNOWN = "unknown-author"
"""The code of a statement whose author has not shown its certificate yet: it may come."""


class Trust:
    """Judges certificates and statements; says who is **barred** as soon as one holds no more.

    In an open mesh everyone is believed about itself.
    """

    def __init__(self, me: NodeId, policy: TrustPolicy, verifier: Verifier) -> None:
        self._me = me
        self.policy = policy
        self._verifier = verifier
        self._revoked: dict[NodeId, frozenset[int]] = {}
        self._members: dict[NodeId, Certificate] = {}
        """Whose certificate was found good, when it was shown."""
        self._barred: dict[NodeId, str] = {}
        """Of these, whose holds no more, with the code."""
        self._next_end: Instant | None = None

    # --- what others ask ------------------------------------------------------------------------

    def check_neighbour(self, node: NodeId, sealed: Sealed | None, now: Instant) -> None:
        """Raises ProtocolError with the reason why a node may not be a neighbour."""
        if self.policy.allow and node not in self.policy.allow:
            raise ProtocolError("not-allowed", f"{node} is not in the allow-list of this daemon")
        if not self.policy.open:
            self._know(node, self._holding(sealed, node, now))

    def refusal(self, statement: Statement, now: Instant) -> str:
        """Why a statement, signed by its author, is not to be believed; "" when it is.

        Of a presence that is, the certificate counts from now on.
        """
        try:
            self._check(statement, now)
        except MeshError as error:
            return error.code
        return ""

    def operator_of(self, node: NodeId) -> NodeId | None:
        """The operator of a node that has shown its certificate."""
        if node == self._me and self.policy.certificate is not None:
            return NodeId(unseal(self.policy.certificate).operator)
        known = self._members.get(node)
        return NodeId(known.operator) if known is not None and not self.bars(node) else None

    def bars(self, node: NodeId) -> str:
        """Why nothing is to be had with a node that was certified once; "" for any other."""
        return self._barred.get(node, "")

    @property
    def revoked(self) -> dict[NodeId, tuple[int, ...]]:
        """By operator, the serial numbers it has taken back, as far as is known here."""
        return {operator: tuple(sorted(found)) for operator, found in sorted(self._revoked.items())}

    # --- what happens ---------------------------------------------------------------------------

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        if self.policy.open:
            return []
        match event:
            case Learnt(author=author, body=Revocations(serials=serials)):
                self._revoked[author] = frozenset(serials)
                return self._review(now)
            case Learnt(author=author, body=Presence(certificate=sealed)):
                if sealed is not None:
                    self._know(author, unseal(sealed))
            case RosterLoaded(roster=roster):
                for node, member in roster.members.items():
                    if member.presence.certificate is not None:
                        self._know(node, unseal(member.presence.certificate))
            case Started():
                if self.policy.certificate is not None:
                    self._know(self._me, unseal(self.policy.certificate))
                return self._review(now)
            case Woke():
                return self._review(now)
            case _:
                pass
        return []

    def next_deadline(self) -> Instant | None:
        return self._next_end

    def _know(self, node: NodeId, certificate: Certificate) -> None:
        self._members[node] = certificate
        self._barred.pop(node, None)
        if self._next_end is None or certificate.not_after < self._next_end:
            self._next_end = certificate.not_after

    def _review(self, now: Instant) -> list[Effect]:
        """Bar those whose certificates hold no more."""
        effects: list[Effect] = []
        for node, certificate in sorted(self._members.items()):
            code = lapse(certificate, now, self._revoked)
            if code in ("", "certificate-not-yet") or node in self._barred:
                continue
            self._barred[node] = code
            effects.append(Note(code, {"node": node, "serial": certificate.serial}))
            if node != self._me:
                effects.append(Barred(node, code))
        held = (c.not_after for node, c in self._members.items() if node not in self._barred)
        self._next_end = min(held, default=None)
        return effects

    # --- judgements -----------------------------------------------------------------------------

    def _holding(self, sealed: Sealed | None, node: NodeId, now: Instant) -> Certificate:
        """The certificate shown, if it holds now. Raises ProtocolError."""
        certificate = certified(sealed, node, self.policy, self._verifier)
        code = lapse(certificate, now, self._revoked)
        if code:
            message = f"certificate {certificate.serial} of {node} does not hold: {code}"
            raise ProtocolError(code, message)
        return certificate

    def _check(self, statement: Statement, now: Instant) -> None:
        author, body = NodeId(statement.author), statement.body
        if isinstance(body, Orbit):
            self._check_orbit(author, body, now)
        elif isinstance(body, Revocations):
            if not self.policy.trusts(author):
                raise ProtocolError("not-trusted", f"{author} is no operator trusted here")
        elif self.policy.open:
            return
        elif isinstance(body, Presence):
            certificate = self._holding(body.certificate, author, now)
            if certificate.site != body.site:
                message = f"{author} says it is {body.site!r}, and is certified as "
                raise ProtocolError("site-mismatch", message + repr(certificate.site))
            self._know(author, certificate)
        elif author not in self._members:
            raise ProtocolError(UNKNOWN, f"{author} has not shown its certificate")
        elif code := lapse(self._members[author], now, self._revoked):
            raise ProtocolError(code, f"the certificate of {author} does not hold")

    def _check_orbit(self, author: NodeId, orbit: Orbit, now: Instant) -> None:
        """Elements that an orbit can have, of a satellite that the author may speak for.

        ProtocolError, or the codes of `check_elements`.
        """
        check_elements(elements_of(orbit))
        if orbit.at % TICK_NS or orbit.at > now + AHEAD_MAX_NS:
            raise ProtocolError("bad-time", "elements count from a whole ten minutes, a week ahead")
        if self.policy.open:
            return
        speaks_for: NodeId | None = author
        if not self.policy.trusts(author):
            certificate = self._holding(orbit.certificate, author, now)
            own = certificate.site == orbit.name or ELEMENTS in certificate.roles
            speaks_for = NodeId(certificate.operator) if own else None
        if speaks_for is None or speaks_for != self.policy.owner_of(orbit.name):
            raise ProtocolError("not-entitled", f"{author} may not give elements of {orbit.name}")
