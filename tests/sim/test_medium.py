from __future__ import annotations

from itertools import pairwise

from meshes import LIGHT, START

from meshd.topology import plan_from_contacts
from protocols.types import SECOND, LinkId
from sim.medium import CABLE_RATE_BPS, OUTBOX_BYTES_MAX, Link, Medium, Ride


def cable(loss: float = 0.0, seed: int = 1) -> tuple[Medium, Link]:
    medium = Medium(seed, None, loss)
    medium.lay(0, 1, LIGHT)
    path = medium.path(1, 0, START)
    assert path is not None
    return medium, Link(LinkId(1), (0, 1), path)


def test_a_frame_takes_its_transmission_and_the_light_time():
    medium, link = cable()
    ride = medium.carry(link, 0, 996, START)
    transmission = 1_000 * 8 * SECOND // int(CABLE_RATE_BPS)
    assert ride == Ride(START, START + transmission + LIGHT)


def test_frames_of_one_way_queue_and_the_other_way_is_free():
    medium, link = cable()
    rides = [medium.carry(link, 0, 1_000_000, START) for _ in range(3)]
    back = medium.carry(link, 1, 1_000_000, START)
    assert all(isinstance(ride, Ride) for ride in rides)
    assert all(b.depart == a.arrive - LIGHT for a, b in pairwise(rides))
    assert back == rides[0]


def test_a_full_outbox_refuses():
    medium, link = cable()
    half = OUTBOX_BYTES_MAX // 2 - 8
    said = [medium.carry(link, 0, half, START) for _ in range(3)]
    assert [type(one) for one in said] == [Ride, Ride, str]
    assert said[2] == "outbox-full"
    assert isinstance(medium.carry(link, 0, half, START + SECOND), Ride)


def test_a_frame_never_passes_another_while_light_time_falls():
    def light(a: int, b: int, at: int) -> int:
        return LIGHT - (at - START) // 2  # absurdly fast, to make it happen

    plan = plan_from_contacts(["satellite"] * 2, [(0, 1, START, START + SECOND)], light)
    medium = Medium(1, plan, 0.0)
    medium.place(0, 0)
    medium.place(1, 1)
    path = medium.path(0, 1, START)
    assert path is not None
    link = Link(LinkId(1), (0, 1), path)
    rides = [medium.carry(link, 0, 10, START + k) for k in (0, 1_000, 2_000)]
    arrivals = [ride.arrive for ride in rides if isinstance(ride, Ride)]
    assert arrivals == sorted(arrivals)
    assert len(arrivals) == 3


def test_nothing_departs_at_or_after_the_contacts_end():
    plan = plan_from_contacts(["satellite"] * 2, [(0, 1, START, START + SECOND)], LIGHT)
    medium = Medium(1, plan, 0.0)
    medium.place(0, 0)
    medium.place(1, 1)
    path = medium.path(0, 1, START)
    assert path is not None
    link = Link(LinkId(1), (0, 1), path)
    last = medium.carry(link, 0, 10, START + SECOND - 1)
    assert isinstance(last, Ride)
    assert last.arrive > START + SECOND
    assert medium.carry(link, 1, 10, START + SECOND) == "contact-ended"
    assert medium.path(0, 1, START + SECOND) is None


def test_loss_is_drawn_by_seed_link_and_number():
    def lost(seed: int) -> list[int]:
        medium, link = cable(0.1, seed)
        return [k for k in range(2_000) if medium.carry(link, 0, 10, START) == "lost"]

    assert lost(1) == lost(1) != lost(2)
    assert 150 <= len(lost(1)) <= 250


def test_a_partition_parts_only_what_it_names():
    medium, link = cable()
    medium.lay(1, 2, LIGHT)
    medium.barriers.part(frozenset((1, 2)))
    assert medium.carry(link, 0, 10, START) == "cut"
    assert medium.path(0, 1, START) is None
    assert medium.path(1, 2, START) is not None
    medium.barriers.part(frozenset())
    assert isinstance(medium.carry(link, 0, 10, START), Ride)
