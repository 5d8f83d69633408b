"""Which way, and when: routes over the contact plan."""

from meshd.router.arrival import ArrivalTree, Hop, earliest_arrival
from meshd.router.offline import (
    Leg,
    LinkAnswer,
    RouteAnswer,
    plan_links,
    plan_route,
    route_answer,
)
from meshd.router.overlay import Overlay
from meshd.router.snapshot import Route, snapshot_route
from meshd.router.timeline import Timeline, timeline_of, valid_until
from meshd.router.tree import SnapshotTree, snapshot_tree

__all__ = [
    "ArrivalTree",
    "Hop",
    "Leg",
    "LinkAnswer",
    "Overlay",
    "Route",
    "RouteAnswer",
    "SnapshotTree",
    "Timeline",
    "earliest_arrival",
    "plan_links",
    "plan_route",
    "route_answer",
    "snapshot_route",
    "snapshot_tree",
    "timeline_of",
    "valid_until",
]
