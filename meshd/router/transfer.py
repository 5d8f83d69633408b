"""A transfer: when so many bytes are there at the earliest, and over which contacts."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from meshd.ephemeris.timescale import format_time
from meshd.router.arrival import earliest_arrival
from meshd.topology.plan import ContactPlan
from protocols.errors import InputError
from protocols.types import MILLISECOND, SECOND, Instant

BYTES_MAX = 10**18

_UNITS = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")


def parse_bytes(text: str) -> int:
    """`10GB`, `64 MiB` or `1500` as bytes. Raises InputError "bad-size"."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2]) if found else None
    size = round(Decimal(found[1]) * unit) if found and unit else 0
    if not 0 < size <= BYTES_MAX:
        message = f"{text!r} is no size: 1500, 64MiB, 10GB... (units: {', '.join(_UNITS)[2:]})"
        raise InputError("bad-size", message)
    return size


def transfer_json(
    plan: ContactPlan, ends: tuple[int, int], at: Instant, size_bytes: int
) -> dict[str, Any]:
    """The earliest arrival of a whole file, handed on from site to site, or why there is none.

    At each site it is whole before it goes on, over one contact that lasts long enough for it.
    """
    source, target = ends
    tree = earliest_arrival(plan, source, at, target=target, size_bytes=size_bytes)
    arrive = tree.arrival(target)
    answer: dict[str, Any] = {"size_bytes": size_bytes, "hops": []}
    if arrive is None:
        return {**answer, "arrive": None, "why": _why_none(plan, ends, at, size_bytes)}
    here, ready = source, at
    for hop in tree.path(target):
        answer["hops"].append(_hop(plan, (here, hop.node), (ready, hop.depart, hop.arrive)))
        here, ready = hop.node, hop.arrive
    takes_s = (arrive - at) / SECOND
    return {**answer, "arrive": format_time(arrive), "takes_s": round(takes_s, 6)}


def _hop(
    plan: ContactPlan, pair: tuple[int, int], times: tuple[Instant, Instant, Instant]
) -> dict[str, Any]:
    ready, depart, arrive = times
    contact = plan.open_contact(*pair, depart)
    assert contact is not None
    light = plan.light_time_ns(*pair, depart)
    return {
        "from": plan.names[pair[0]],
        "to": plan.names[pair[1]],
        "wait_s": round((depart - ready) / SECOND, 6),
        "sending_s": round((arrive - depart - light) / SECOND, 6),
        "light_ms": round(light / MILLISECOND, 6),
        "rate_bps": contact.rate_bps,
    }


def _why_none(plan: ContactPlan, ends: tuple[int, int], at: Instant, size_bytes: int) -> str:
    """The end that is too narrow for it, if one is."""
    for site in ends:
        most = max(
            (
                (contact.finish - max(at, contact.begin)) / SECOND * contact.rate_bps / 8
                for contact in plan.contacts_of(site)
                if contact.finish > at
            ),
            default=0.0,
        )
        if most < size_bytes:
            until = format_time(plan.end)
            name, amount = plan.names[site], f"{most / 10**9:.4g} GB"
            return f"no contact of {name} until {until} carries more than {amount}"
    return f"no way holds so much at once until {format_time(plan.end)}, as far as is predicted"
