"""Capabilities: what an operator lets a client do, as a biscuit that anyone may narrow further.

A biscuit is signed by the operator's key and can only lose rights on its way
(https://www.biscuitsec.org). Whoever has it may use it, unless it names a client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import biscuit_auth

from meshd.adapters.address import public_key_of
from protocols.errors import InputError, MeshError
from protocols.types import MILLISECOND, SECOND, Instant, NodeId

Operation: TypeAlias = Literal["submit", "put"]

TIME_MAX_NS = 200 * MILLISECOND
"""What judging one may take: it takes 1 ms, but a busy computer may stop for longer than the
library's own 1 ms, and who is then refused would be at random."""

FACTS_MAX = 256
ITERATIONS_MAX = 32

biscuits: Any = biscuit_auth
"""Its stubs are of another version."""

_ALGORITHM = biscuits.Algorithm.Ed25519
_FAULTS: tuple[type[Exception], ...] = (
    biscuits.AuthorizationError,
    biscuits.BiscuitValidationError,
    biscuits.BiscuitSerializationError,
    biscuits.BiscuitBlockError,
    biscuits.BiscuitBuildError,
    biscuits.DataLogError,
    ValueError,
    OverflowError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a capability is narrowed to; None and () for no bound."""

    until: Instant | None = None
    kinds: tuple[str, ...] = ()
    slots: int | None = None
    """Shards that may be under way at once."""
    client: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks to do; of a blob that it puts, `kind` and `shards` mean nothing."""

    operation: Operation
    client: NodeId
    kind: str = ""


def grant(seed: bytes, bounds: Bounds) -> str:
    """A capability of the operator with this key, to submit jobs and put what they need."""
    code, parameters = _checks(bounds)
    builder = biscuits.BiscuitBuilder('right("submit"); right("put");' + code, parameters)
    key = biscuits.PrivateKey.from_bytes(seed, _ALGORITHM)
    return str(builder.build(key).to_base64())


def narrow(token: str, operator: NodeId, bounds: Bounds) -> str:
    """The same with more bounds; the operator's key is not needed. InputError "bad-capability"."""
    try:
        known = biscuits.Biscuit.from_base64(token, _public(operator))
        return str(known.append(biscuits.BlockBuilder(*_checks(bounds))).to_base64())
    except _FAULTS as error:
        raise InputError("bad-capability", f"this is no capability: {error}") from None


@dataclass(frozen=True, slots=True)
class Capability:
    """One that is genuine: `name` is the same for all that were narrowed from it."""

    name: str
    operator: NodeId
    _token: Any

    @classmethod
    def read(cls, token: str, operators: tuple[NodeId, ...]) -> Capability:
        """Raises MeshError "no-capability" or "bad-capability" (none of these signed it)."""
        if not token:
            message = "this daemon takes work by a capability of an operator; show one first"
            raise MeshError("no-capability", message)
        for operator in operators:
            try:
                found = biscuits.Biscuit.from_base64(token, _public(operator))
            except _FAULTS:
                continue
            return cls(str(found.revocation_ids[0]), operator, found)
        message = "no operator that is trusted here has signed this capability"
        raise MeshError("bad-capability", message)

    def check(self, request: Request, shards: int, now: Instant) -> None:
        """Raises MeshError "capability-refused" when a bound does not hold, or judging takes long.

        `shards` are those that would be under way by this capability.
        """
        code = (
            "operation({operation}); client({client}); kind({kind}); shards({shards}); time({now});"
            "allow if operation($o), right($o);"
        )
        parameters = {
            "operation": request.operation,
            "client": request.client,
            "kind": request.kind,
            "shards": shards,
            "now": _date(now),
        }
        try:
            builder = biscuits.AuthorizerBuilder(code, parameters)
            limits = builder.limits()
            limits.max_time = timedelta(seconds=TIME_MAX_NS / SECOND)
            limits.max_facts, limits.max_iterations = FACTS_MAX, ITERATIONS_MAX
            builder.set_limits(limits)
            builder.build(self._token).authorize()
        except _FAULTS as error:
            message = f"the capability does not allow this: {error}"
            raise MeshError("capability-refused", message) from None


def _public(operator: NodeId) -> Any:
    return biscuits.PublicKey.from_bytes(public_key_of(operator), _ALGORITHM)


def _checks(bounds: Bounds) -> tuple[str, dict[str, Any]]:
    """The bounds as checks; what is about jobs alone lets a put pass."""
    code, parameters = "", dict[str, Any]()
    if bounds.until is not None:
        code += "check if time($t), $t < {until};"
        parameters["until"] = _date(bounds.until)
    if bounds.kinds:
        code += 'check if operation("put") or kind($k), {kinds}.contains($k);'
        parameters["kinds"] = set(bounds.kinds)
    if bounds.slots is not None:
        code += 'check if operation("put") or shards($n), $n <= {slots};'
        parameters["slots"] = bounds.slots
    if bounds.client is not None:
        code += "check if client({client});"
        parameters["client"] = str(bounds.client)
    return code, parameters


def _date(at: Instant) -> datetime:
    """To the second, as biscuits have it."""
    return datetime.fromtimestamp(at // SECOND, UTC)
