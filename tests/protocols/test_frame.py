from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.frame import FRAME_BYTES_MAX, FrameDecoder, encode_frame

payloads = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The same bytes in pieces, cut at the given places."""
    ends = sorted({i % (len(data) + 1) for i in at} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


def decode(chunks: list[bytes]) -> tuple[list[bytes], str]:
    decoder, frames = FrameDecoder(), []
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        decoder.close()
    except ProtocolError as error:
        return frames, error.code
    return frames, "ok"


@given(payloads, st.lists(st.integers(min_value=0), max_size=30))
def test_any_cut_gives_the_same_frames(frames: list[bytes], at: list[int]) -> None:
    data = b"".join(encode_frame(frame) for frame in frames)
    assert decode(cut(data, at)) == (frames, "ok")


@given(payloads, st.binary(max_size=400), st.lists(st.integers(min_value=0), max_size=30))
def test_any_cut_of_garbage_ends_alike(frames: list[bytes], tail: bytes, at: list[int]) -> None:
    data = b"".join(encode_frame(frame) for frame in frames) + tail
    assert decode(cut(data, at)) == decode([data])


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"\x00\x00\x00\x00", "frame-empty"),
        ((FRAME_BYTES_MAX + 1).to_bytes(4, "big"), "frame-too-long"),
        (b"\xff\xff\xff\xff", "frame-too-long"),
        (b"\x00\x00\x00\x02a", "frame-truncated"),
        (b"\x00\x00", "frame-truncated"),
    ],
)
def test_faults_come_after_the_good_frames(tail: bytes, code: str) -> None:
    assert decode([encode_frame(b"good") + tail]) == ([b"good"], code)
    assert decode([tail]) == ([], code)


def test_a_fault_stays() -> None:
    decoder = FrameDecoder()
    for _ in range(3):
        with pytest.raises(ProtocolError, match="a frame of 0 bytes"):
            decoder.feed(b"\x00\x00\x00\x00")


def test_the_longest_frame_passes_and_one_more_byte_does_not() -> None:
    longest = bytes(FRAME_BYTES_MAX)
    assert FrameDecoder().feed(encode_frame(longest)) == [longest]
    with pytest.raises(ValueError, match="262145"):
        encode_frame(bytes(FRAME_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="not 0"):
        encode_frame(b"")
