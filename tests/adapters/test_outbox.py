"""What waits to leave on a link leaves by its priority, whole, in writes of bounded length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshd.adapters.links_outbox import Outbox
from protocols.frame import FrameDecoder, encode_frame
from protocols.priority import Priority

FRAMES = st.lists(st.tuples(st.binary(min_size=1, max_size=30), st.sampled_from(Priority)))


def drained(outbox: Outbox, count: int) -> list[bytes]:
    """All frames, taken in writes of so many bytes."""
    decoder, frames = FrameDecoder(), []
    while outbox.frames:
        data, ended = outbox.take(count)
        assert 0 < len(data) <= count
        found = decoder.feed(data)
        assert len(found) == ended
        frames += found
    decoder.close()
    return frames


@given(FRAMES, st.integers(1, 50))
def test_frames_leave_by_priority_and_in_order_within_one(
    frames: list[tuple[bytes, Priority]], count: int
) -> None:
    outbox = Outbox(1_000, 100_000)
    assert all(outbox.put(frame, priority) for frame, priority in frames)
    expected = [frame for frame, _ in sorted(frames, key=lambda sent: sent[1])]
    assert drained(outbox, count) == expected
    assert outbox.bytes == 0 and outbox.take(count) == (b"", 0)


def test_what_is_urgent_waits_for_the_frame_that_has_begun_and_no_other() -> None:
    outbox, bulk = Outbox(100, 1 << 20), [bytes([i]) * 49_000 for i in range(8)]
    for frame in bulk:
        outbox.put(frame, Priority.BULK)
    _, ended = outbox.take(65_507)
    assert ended == 1
    outbox.put(b"hello", Priority.INTERACTIVE)
    outbox.put(b"accepted", Priority.CONTROL)
    rest = b"".join(encode_frame(frame) for frame in bulk[:2])[65_507:]
    data, ended = outbox.take(65_507)
    urgent = encode_frame(b"accepted") + encode_frame(b"hello")
    assert data.startswith(rest + urgent) and ended == 3


@given(FRAMES, st.integers(0, 6), st.integers(0, 100))
def test_an_outbox_is_bounded_and_counts_what_it_holds(
    frames: list[tuple[bytes, Priority]], frames_max: int, bytes_max: int
) -> None:
    outbox = Outbox(frames_max, bytes_max)
    held: list[bytes] = []
    for frame, priority in frames:
        room = len(held) < frames_max
        room &= sum(len(other) + 4 for other in [*held, frame]) <= bytes_max
        assert outbox.put(frame, priority) == room
        held += [frame] * room
        assert (len(outbox), outbox.bytes) == (len(held), sum(len(other) + 4 for other in held))
    outbox.clear()
    assert (len(outbox), outbox.bytes, outbox.take(9)) == (0, 0, (b"", 0))
