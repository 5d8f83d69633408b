"""Transfers: a contact must last as long as the file takes, and sizes are what people write."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.router.transfer import parse_bytes, transfer_json
from meshd.topology import ContactPlan, plan_from_contacts
from protocols.errors import InputError
from protocols.types import MILLISECOND, SECOND

LIGHT = 5 * MILLISECOND


def chain(*contacts: tuple[int, int, int, int]) -> ContactPlan:
    """Satellites 0, 1, 2 and contacts (a, b, from s, to s) of 1 Gb/s."""
    rows = [(a, b, begin * SECOND, end * SECOND) for a, b, begin, end in contacts]
    plan = plan_from_contacts(("satellite",) * 3, rows, LIGHT, (0, 600 * SECOND))
    return replace(plan, rate_bps=np.full(plan.n_contacts, 1e9))


def test_ten_gigabytes_do_not_fit_a_contact_of_twelve_seconds() -> None:
    """10 GB are 80 s at 1 Gb/s: what is open now is too short, the next is not."""
    plan = chain((0, 1, 0, 12), (0, 1, 100, 200), (1, 2, 0, 500))
    found = transfer_json(plan, (0, 2), 0, 10 * 10**9)
    assert found["arrive"] == "1970-01-01T00:04:20.010Z"
    assert found["takes_s"] == pytest.approx(260.01)
    assert [(hop["wait_s"], hop["sending_s"], hop["light_ms"]) for hop in found["hops"]] == [
        (100.0, 80.0, 5.0), (0.0, 80.0, 5.0),
    ]  # fmt: skip
    assert transfer_json(plan, (0, 2), 0, 10**9)["takes_s"] == pytest.approx(16.01)


def test_what_no_contact_holds_is_refused_with_the_end_that_is_too_narrow() -> None:
    plan = chain((0, 1, 0, 12), (1, 2, 0, 500))
    found = transfer_json(plan, (2, 0), 2 * SECOND, 10 * 10**9)
    assert found["arrive"] is None and found["hops"] == []
    assert (
        found["why"] == "no contact of n0 until 1970-01-01T00:10:00.000Z carries more than 1.25 GB"
    )
    middle = chain((0, 1, 0, 500), (0, 1, 500, 600), (1, 2, 0, 12))
    wide = transfer_json(chain((0, 1, 0, 500), (2, 1, 510, 600)), (0, 2), 0, 12 * 10**9)
    assert (
        wide["why"] == "no contact of n2 until 1970-01-01T00:10:00.000Z carries more than 11.25 GB"
    )
    assert transfer_json(middle, (0, 2), 0, 10**10)["arrive"] is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("1500", 1_500), ("64MiB", 64 << 20), ("10 GB", 10**10), ("0.5kB", 500), (" 1TB ", 10**12)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "10 gb", "1e9", "0", "1.5.2", "9" * 30])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="is no size"):
        parse_bytes(text)


@given(st.integers(1, 10**18))
def test_whole_bytes_are_kept_as_they_are(size: int) -> None:
    assert parse_bytes(str(size)) == size
