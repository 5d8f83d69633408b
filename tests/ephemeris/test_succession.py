"""New elements that count from an agreed tick: which, from when, and that order does not matter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.ephemeris import Elements, Sky, sky_from_preset
from meshd.ephemeris.elements import make_catalog
from meshd.ephemeris.sky import sky_from_catalog
from meshd.ephemeris.succession import AHEAD_MAX_NS, TICK_NS, UPDATES_MAX, Succession, Update
from protocols.errors import InputError
from protocols.types import HOUR, MINUTE, SECOND, Instant

T0 = 1_767_225_600 * SECOND


def elements(number: int, epoch: Instant = T0 - HOUR, anomaly: float = 10.0) -> Elements:
    return Elements(f"sat-{number}", number, epoch, 53.0, 20.0 * number, 1e-4, 90.0, anomaly, 15.2)


SKY = sky_from_catalog(make_catalog(enumerate(map(elements, range(1, 6)))))


def tick(n: int) -> Instant:
    return T0 + n * TICK_NS


def accepted(*updates: Update, now: Instant = T0) -> Succession:
    found = Succession(SKY)
    for update in updates:
        found, _ = found.accept(update, now)
    return found


def test_new_elements_count_from_their_tick_and_not_before() -> None:
    newer = elements(2, T0, anomaly=11.0)
    found = accepted(Update(tick(1), (newer,)))
    assert found.sky_at(tick(1) - 1) is SKY
    assert found.sky_at(tick(1)).elements == (
        SKY.elements[0], newer, *SKY.elements[2:]
    )  # fmt: skip
    assert found.sky_at(tick(1)).digest == SKY.with_elements(1, newer).digest != SKY.digest
    assert (found.next_after(T0), found.next_after(tick(1))) == (tick(1), None)


def test_what_is_older_or_of_no_satellite_here_is_refused() -> None:
    stale, stranger = elements(1, T0 - 2 * HOUR), elements(77, T0)
    update = Update(tick(1), (stale, stranger, elements(3, T0)))
    found, refused = Succession(SKY).accept(update, T0)
    assert [(r.name, r.code) for r in refused] == [
        ("sat-1", "superseded"), ("sat-77", "unknown-satellite"),
    ]  # fmt: skip
    assert [e.name for e in found.updates[0].elements] == ["sat-3"]
    with pytest.raises(InputError, match="none of these"):
        Succession(SKY).accept(Update(tick(1), (stale,)), T0)


sets = st.builds(
    lambda number, age, anomaly: elements(number, T0 + age * MINUTE, anomaly),
    st.integers(1, 5), st.integers(0, 3), st.sampled_from((1.0, 2.0)),
)  # fmt: skip
updates_of = st.lists(
    st.builds(lambda n, e: Update(tick(n), (e,)), st.integers(1, 3), sets), max_size=6
)


def skies(updates: list[Update], now: Instant = T0) -> list[str]:
    found = Succession(SKY)
    for update in updates:
        try:
            found, _ = found.accept(update, now)
        except InputError as refused:
            assert refused.code == "nothing-new"
    return [found.sky_at(tick(n)).digest for n in range(5)]


@settings(max_examples=60)
@given(updates_of, st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_hear_of_updates_does_not_matter(
    updates: list[Update], chance: object
) -> None:
    other = list(updates)
    chance.shuffle(other)  # type: ignore[attr-defined]
    assert skies(updates) == skies(other)


def test_what_is_in_effect_is_kept_as_one() -> None:
    """So a daemon that is given elements each day keeps one set a satellite."""
    found = Succession(SKY)
    for day in range(20):
        now = T0 + day * 24 * HOUR
        fresh = tuple(elements(n, now - MINUTE, float(day + 1)) for n in range(1, 4))
        found, _ = found.accept(Update(now + TICK_NS, fresh), now)
    assert len(found.updates) == 2
    late = now + HOUR
    assert [e.mean_anomaly_deg for e in found.sky_at(late).elements] == [20.0] * 3 + [10.0] * 2


@pytest.mark.parametrize(
    ("at", "word"),
    [
        (tick(1) + SECOND, "whole ten minutes"),
        (tick(0), "too soon"),
        (tick(-3), "too soon"),
        (T0 + AHEAD_MAX_NS + TICK_NS, "days ahead"),
    ],
)
def test_instants_that_no_mesh_could_agree_on_are_refused(at: Instant, word: str) -> None:
    with pytest.raises(InputError, match=word) as refused:
        Succession(SKY).accept(Update(at, (elements(1, T0),)), T0)
    assert refused.value.code == "bad-time"


def test_updates_that_wait_are_so_many_at_most() -> None:
    every = [Update(tick(n), (elements(1, T0 + n * SECOND),)) for n in range(1, UPDATES_MAX + 2)]
    full = accepted(*every[:-1])
    with pytest.raises(InputError) as refused:
        full.accept(every[-1], T0)
    assert refused.value.code == "updates-full"
    assert len(full.accept(every[-1], tick(1))[0].updates) == UPDATES_MAX + 1


def test_a_sky_of_shells_has_no_elements_to_renew() -> None:
    shells: Sky = sky_from_preset("iridium")
    with pytest.raises(InputError) as refused:
        Succession(shells).accept(Update(tick(1), (elements(1, T0),)), T0)
    assert refused.value.code == "bad-elements"
