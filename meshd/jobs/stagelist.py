"""Stages of a written job in an order in which each comes behind those it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshd.jobs.shape import Fault, near
from meshd.jobs.specification import Stage
from protocols.bounds import INPUTS_MAX, SHARDS_MAX, STAGES_MAX


def ordered(stages: Mapping[str, Stage]) -> tuple[list[str], list[str]]:
    """Their names, as written but each behind what it waits for; and a cycle, if there is one."""
    done: list[str] = []
    way: list[str] = []

    def visit(name: str) -> list[str]:
        if name in done or name not in stages:
            return []
        if name in way:
            return [*way[way.index(name) :], name]
        way.append(name)
        for before in stages[name].after:
            if cycle := visit(before):
                return cycle
        way.pop()
        done.append(name)
        return []

    for name in stages:
        if cycle := visit(name):
            return done, cycle
    return done, []


def widths(stages: Mapping[str, Stage], order: list[str]) -> dict[str, int]:
    """How many shards each stage has; one that says nothing has as many as those it follows."""
    found: dict[str, int] = {}
    for name in order:
        stage = stages[name]
        known = [found[before] for before in stage.after if before in found]
        follows = known[0] if known and stage.takes == "each" else 1
        found[name] = stage.shards or len(stage.inputs) or follows
    return found


def stage_faults(stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """What is wrong between the stages."""
    for name, stage in stages.items():
        at = ("stages", name, "after")
        for before in stage.after:
            if before not in stages:
                hint = near(before, [other for other in stages if other != name])
                yield Fault(at, f"stage {name!r} waits for {before!r}, which there is not{hint}")
        if len(set(stage.after)) < len(stage.after):
            yield Fault(at, f"stage {name!r} waits for one stage twice")
    if len(stages) > STAGES_MAX:
        yield Fault(("stages",), f"there are {len(stages)} stages; at most {STAGES_MAX}")
        return
    order, cycle = ordered(stages)
    if cycle:
        way = " -> ".join(reversed(cycle))
        yield Fault(("stages", cycle[0], "after"), f"stages wait for each other: {way}")
        return
    counts = widths(stages, order)
    for name in order:
        yield from _width_faults(name, stages[name], counts)
    if sum(counts.values()) > SHARDS_MAX:
        message = f"the stages have {sum(counts.values())} shards; a job has at most {SHARDS_MAX}"
        yield Fault(("stages",), message)


def _width_faults(name: str, stage: Stage, counts: dict[str, int]) -> Iterator[Fault]:
    before = {other: counts[other] for other in stage.after if other in counts}
    place = ("stages", name, "takes")
    if stage.takes == "each":
        for other, count in before.items():
            if count != counts[name]:
                message = (
                    f"stage {name!r} has {counts[name]} shards and {other!r} {count}: "
                    f'they cannot be taken one by one; say takes = "all", or shards = {count}'
                )
                yield Fault(place, message)
    elif sum(before.values()) > INPUTS_MAX:
        message = (
            f"a shard of {name!r} would take {sum(before.values())} outputs; at most {INPUTS_MAX}"
        )
        yield Fault(place, message)
