"""Drivers: what each can do to a mesh, and why it cannot do the rest."""

from __future__ import annotations

from sim.scenario.actions import (
    Action,
    Backup,
    Behave,
    ClearDisk,
    Cut,
    Disturb,
    FailCommit,
    FillDisk,
    Kill,
    Partition,
    Rollback,
    Settled,
    Slow,
    Swallow,
    Tell,
)
from sim.scenario.errors import ScenarioError
from sim.scenario.schema import Scenario

_HEAP = "; the heap driver can"
_DISK = f"daemons have disks of their own, which it does not fail{_HEAP}"
_LIE = f"its daemons are honest: lies are told by hosts that are modelled{_HEAP}"

_NEVER: dict[type[Action], str] = {
    Slow: f"its daemons are as fast as this computer{_HEAP}",
    FailCommit: _DISK,
    FillDisk: _DISK,
    ClearDisk: _DISK,
    Backup: _DISK,
    Rollback: _DISK,
    Swallow: _LIE,
    Behave: _LIE,
    Tell: _LIE,
    Settled: f"the laws look into nodes that are modelled{_HEAP}",
}
"""What is done to modelled nodes alone."""

STREAM_WORDS = ("loss", "burst", "rate")
"""What of a bad link a TCP stream feels: it comes late."""


def refusal(action: Action, driver: str) -> str:
    """Why a driver cannot do this; "" if it can."""
    if driver == "heap":
        return ""
    match action:
        case Kill(torn=True):
            return f"`torn` commits need a modelled disk{_HEAP}"
        case Partition(one_way=True) | Cut(one_way=True):
            return f"a TCP stream without acknowledgements carries nothing either way{_HEAP}"
        case Disturb() if driver == "real":
            return "loopback TCP loses and delays nothing; the full driver can have links lose"
        case Disturb():
            return _of_streams(action)
        case _:
            return _NEVER.get(type(action), "")


def _of_streams(disturb: Disturb) -> str:
    calm = Disturb(nodes=())
    bad = ("duplicate", "reorder", "corrupt", "replay", "delay", "outbox_bytes")
    asked = [word for word in bad if getattr(disturb, word) != getattr(calm, word)]
    felt = ", ".join(STREAM_WORDS)
    return f"{asked[0]}: a TCP stream shows {felt} alone{_HEAP}" if asked else ""


def check_driver(scenario: Scenario, driver: str) -> None:
    """Raises ScenarioError for the first thing that a driver cannot do, before anything is run."""
    for index, action in enumerate(scenario.timeline):
        if why := refusal(action, driver):
            word = action.__struct_config__.tag
            where = f"timeline[{index}]"
            raise ScenarioError(f"the {driver} driver cannot {word!r}: {why}", where)
    if scenario.liveness is not None and (why := refusal(Settled(), driver)):
        message = f"the {driver} driver cannot tell that all is well: {why}"
        raise ScenarioError(message, "liveness")
