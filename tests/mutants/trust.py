"""Bugs in whom a node believes."""

from __future__ import annotations

from meshd.trust import certificates, trust
from meshd.trust.trust import Trust
from protocols.certificate import Revocations
from protocols.errors import ProtocolError
from protocols.record import Orbit, Presence
from tests.mutants.registry import mutant


@mutant("a certificate that has expired holds on", trust, "lapse")
def expiry_not_checked(original):
    return lambda certificate, now, revoked: original(certificate, 0, revoked)


@mutant("a neighbour's certificate is not looked at", Trust, "check_neighbour")
def neighbours_not_certified(original):
    return lambda self, node, sealed, now: None


@mutant("anybody's elements move a satellite", Trust, "_check_orbit")
def foreign_elements_taken(original):
    def check(self, author, orbit, now):
        try:
            original(self, author, orbit, now)
        except ProtocolError as refused:
            if refused.code != "not-entitled":
                raise

    return check


@mutant("elements are taken that no orbit has", trust, "check_elements")
def impossible_elements_taken(original):
    return lambda elements: elements


@mutant("a certificate may be another node's", certificates, "unseal")
def certificate_of_another(original):
    def unseal(sealed):
        found = original(sealed)
        return type(found)(
            _Any(found.node), found.operator, found.roles, found.site, found.not_before,
            found.not_after, found.serial,
        )  # fmt: skip

    return unseal


class _Any(str):
    """A name that is every name."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = str.__hash__


@mutant("a presence needs no certificate", Trust, "_check")
def presences_not_certified(original):
    def check(self, statement, now):
        if not isinstance(statement.body, Presence):
            original(self, statement, now)

    return check


@mutant("anybody takes certificates back", Trust, "_check")
def anybody_revokes(original):
    def check(self, statement, now):
        if not isinstance(statement.body, Revocations):
            original(self, statement, now)

    return check


@mutant("nobody's elements are looked at", Trust, "_check")
def elements_not_judged(original):
    def check(self, statement, now):
        if not isinstance(statement.body, Orbit):
            original(self, statement, now)

    return check
