"""Laws: what must hold after every event, each in a book of its own, apart from the nodes.

A new feature adds its class to LAWS; what must hold when all is well again is in `rest.py`.
"""

from __future__ import annotations

from sim.laws.bounds import Bounds
from sim.laws.custody import Custody
from sim.laws.durable import Durable
from sim.laws.entitled import Entitled
from sim.laws.law import Law
from sim.laws.leases import Leases
from sim.laws.letters import Letters
from sim.laws.membership import Membership
from sim.laws.packets import Packets
from sim.laws.records import Records
from sim.laws.stages import Stages

LAWS: tuple[type[Law], ...] = (
    Packets, Custody, Letters, Records, Entitled, Membership, Leases, Stages, Durable, Bounds,
)  # fmt: skip
