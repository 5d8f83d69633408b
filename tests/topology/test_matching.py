"""Matching terminals, runs and candidates, each against a slow plain statement of the same."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.kernels.matching import match, match_sides, parts
from meshd.kernels.pairing import Weighed, replaced
from meshd.kernels.runs import Runs, unlike

N = 9


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Some pairs (i < j) with i's side, best first."""
    every = [(i, j) for i in range(N) for j in range(i + 1, N)]
    some = draw(st.lists(st.sampled_from(every), unique=True))
    return [(i, j, draw(st.integers(0, 3))) for i, j in some]


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    i, j, side = np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()
    return i, j, side.astype(np.int8)


def slowly(rows: list[tuple[int, int, int]], free: list[int]) -> list[int]:
    """Three whole passes, each over every pair."""
    graph, used, left = networkx.Graph(), set[tuple[int, int]](), list(free)
    graph.add_nodes_from(range(N))
    taken = [0] * len(rows)
    for what in ("span", "sides", "any"):
        for row, (i, j, side) in enumerate(rows):
            ends = {(i, side), (j, side ^ 1)}
            if taken[row] or not (left[i] and left[j]) or (what != "any" and ends & used):
                continue
            if what == "span" and networkx.has_path(graph, i, j):
                continue
            taken[row] = 1
            left[i], left[j] = left[i] - 1, left[j] - 1
            graph.add_edge(i, j)
            used |= ends if what != "any" else set()
    return taken


free_of = st.lists(st.integers(0, 4), min_size=N, max_size=N)


@given(pairs(), free_of)
def test_sides_are_matched_as_three_plain_passes_would(
    rows: list[tuple[int, int, int]], free: list[int]
) -> None:
    found = match_sides(*columns(rows), np.array(free, dtype=np.int8))
    assert found.tolist() == slowly(rows, free)


def test_many_pairs_are_matched_alike() -> None:
    """More than are sifted at once."""
    rng = np.random.default_rng(1)
    n, count = 400, 9_000
    i = rng.integers(0, n, count)
    j = (i + rng.integers(1, n, count)) % n
    side = rng.integers(0, 4, count).astype(np.int8)
    free = rng.integers(0, 5, n).astype(np.int8)
    found = match_sides(i, j, side, free.copy())
    part, used, left, taken = list(range(n)), set[tuple[int, int]](), free.tolist(), [0] * count
    for what in ("span", "sides", "any"):
        for row, (a, b, own) in enumerate(zip(i.tolist(), j.tolist(), side.tolist(), strict=True)):
            ends = {(a, own), (b, own ^ 1)}
            if taken[row] or not (left[a] and left[b]) or (what != "any" and ends & used):
                continue
            if what == "span" and part[a] == part[b]:
                continue
            if what == "span":
                part = [part[a] if p == part[b] else p for p in part]
            taken[row], used = 1, used | ends
            left[a], left[b] = left[a] - 1, left[b] - 1
    assert found.tolist() == taken


@given(pairs(), free_of)
def test_any_terminals_are_matched_in_order(
    rows: list[tuple[int, int, int]], free: list[int]
) -> None:
    i, j, _ = columns(rows)
    left, taken = list(free), []
    for a, b, _ in rows:
        taken.append(int(left[a] > 0 and left[b] > 0))
        left[a], left[b] = left[a] - taken[-1], left[b] - taken[-1]
    assert match(i, j, np.array(free, dtype=np.int8)).tolist() == taken


@given(pairs())
def test_parts_are_those_of_networkx(rows: list[tuple[int, int, int]]) -> None:
    graph = networkx.Graph([(i, j) for i, j, _ in rows])
    graph.add_nodes_from(range(N))
    first = {node: min(part) for part in networkx.connected_components(graph) for node in part}
    i, j, _ = columns(rows)
    assert parts(i, j, N).tolist() == [first[node] for node in range(N)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 3))),
       st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 3))))  # fmt: skip
def test_unlike_runs_are_those_of_one_list_alone(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    lists = [sorted({(p, b, b + length) for p, b, length in rows}) for rows in (one, other)]
    runs = [Runs(*np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()) for rows in lists]
    assert unlike(*runs).tolist() == [p for p, _, _ in sorted(set(lists[0]) ^ set(lists[1]))]


@pytest.mark.parametrize("satellite", range(4))
def test_candidates_of_one_satellite_are_replaced_in_order(satellite: int) -> None:
    """Equal keys go by the pair, as in a list made anew."""
    rng = np.random.default_rng(satellite)
    every = [(int(rng.integers(3)), i, j) for i in range(6) for j in range(i + 1, 6)]
    others = sorted(row for row in every if satellite not in row[1:])
    mine = sorted((int(rng.integers(3)), i, j) for _, i, j in every if satellite in (i, j))
    stale = sorted((9, i, j) for _, i, j in every if satellite in (i, j))
    found = replaced(weighed(sorted(others + stale)), satellite, weighed(mine))
    assert list(zip(found.key.tolist(), found.i.tolist(), found.j.tolist(), strict=True)) == sorted(
        others + mine
    )
    assert (found.side == found.key).all()


def weighed(rows: list[tuple[int, int, int]]) -> Weighed:
    key, i, j = np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()
    return Weighed(i, j, key.astype(np.uint64), key.astype(np.int8))
