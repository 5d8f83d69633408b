"""Who can see whom, and when: link policies, contacts and the contact plan."""

from meshd.topology.build import build_plan
from meshd.topology.light import FixedLight
from meshd.topology.plan import Contact, ContactPlan, plan_from_contacts
from meshd.topology.policy import LinkPolicy, policy_for, policy_with
from meshd.topology.trajectory import Trajectory, make_trajectory

__all__ = [
    "Contact",
    "ContactPlan",
    "FixedLight",
    "LinkPolicy",
    "Trajectory",
    "build_plan",
    "make_trajectory",
    "plan_from_contacts",
    "policy_for",
    "policy_with",
]
