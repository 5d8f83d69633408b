"""Contact plans as bytes, and back: exactly the contacts and light times a node decided by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from meshd.recording.entries import KeptPlan
from meshd.topology.plan import Columns, ContactPlan, Header, assemble
from meshd.topology.trajectory import FloatArray, IntArray, trajectory_of
from protocols.errors import InputError


def kept(plan: ContactPlan) -> KeptPlan:
    """A plan that was predicted from a sky: a made-up light time has no bytes."""
    trajectory = plan.trajectory
    assert trajectory is not None, "only plans of a sky can be recorded"
    ints = (plan.a, plan.b, plan.begin, plan.finish)
    a, b, begin, finish = (column.astype("<i8").tobytes() for column in ints)
    return KeptPlan(
        sky_digest=plan.sky_digest,
        policy_code=plan.policy_code,
        digest=plan.digest,
        names=plan.names,
        kinds=plan.kinds,
        start=plan.start,
        end=plan.end,
        columns=(a, b, begin, finish, _bytes(plan.rate_bps)),
        first=trajectory.first,
        step_ns=trajectory.step_ns,
        states=(_bytes(trajectory.positions), _bytes(trajectory.velocities)),
        sites_failed=plan.sites_failed,
    )


def plan_of(kept: KeptPlan) -> ContactPlan:
    """The plan as it was. Raises InputError "recording-damaged" for columns that do not fit."""
    try:
        a, b, begin, finish, rate = kept.columns
        columns = Columns(_ints(a), _ints(b), _ints(begin), _ints(finish), _floats(rate))
        knots = (-1, len(kept.names), 3)
        positions, velocities = (_floats(states).reshape(knots) for states in kept.states)
        header = Header(
            kept.sky_digest,
            kept.policy_code,
            kept.digest,
            kept.names,
            kept.kinds,
            kept.start,
            kept.end,
        )
        trajectory = trajectory_of(kept.first, kept.step_ns, (positions, velocities))
        return assemble(header, columns, trajectory, trajectory.light_time_ns, kept.sites_failed)
    except (ValueError, IndexError) as error:
        message = f"plan {kept.digest[:12]} cannot be read: {error}"
        raise InputError("recording-damaged", message) from None


def _bytes(array: FloatArray) -> bytes:
    return array.astype("<f8").tobytes()


def _ints(data: bytes) -> IntArray:
    array: npt.NDArray[np.int64] = np.frombuffer(data, "<i8").astype(np.int64)
    return array


def _floats(data: bytes) -> FloatArray:
    array: npt.NDArray[np.float64] = np.frombuffer(data, "<f8").astype(np.float64)
    return array
