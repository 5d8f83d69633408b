"""Frames: a payload behind its length, 4 bytes, big-endian. The only framing meshd speaks."""

from __future__ import annotations

from protocols.errors import ProtocolError

LENGTH_BYTES = 4

FRAME_BYTES_MAX = 262_144
"""The longest payload: about one yamux window (256 KiB), so no frame keeps others waiting long."""


def encode_frame(payload: bytes) -> bytes:
    """The bytes of one frame. ValueError when the payload is empty or too long: our own fault."""
    if not 0 < len(payload) <= FRAME_BYTES_MAX:
        raise ValueError(f"a frame carries 1 to {FRAME_BYTES_MAX} bytes, not {len(payload)}")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


class FrameDecoder:
    """Turns chunks of a byte stream, cut anywhere, back into payloads.

    Holds at most one unfinished frame. What it returns does not depend on how the bytes were cut:
    frames before a fault are returned first, and the fault is raised by the next call.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fault: ProtocolError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads that these bytes complete. ProtocolError "frame-too-long" or "frame-empty"."""
        self.check()
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            body = start + LENGTH_BYTES
            length = int.from_bytes(buffer[start:body], "big")
            self._fault = _fault_of(length)
            if self._fault is not None or len(buffer) - body < length:
                break
            start = body + length
            frames.append(bytes(buffer[body:start]))
        del buffer[:start]
        if not frames:
            self.check()
        return frames

    def check(self) -> None:
        """Raise the fault that stands behind the frames already returned, if there is one."""
        if self._fault is not None:
            self._buffer.clear()
            raise self._fault

    def close(self) -> None:
        """The stream has ended. ProtocolError "frame-truncated" when it ended inside a frame."""
        self.check()
        if self._buffer:
            raise ProtocolError(
                "frame-truncated", f"the stream ended with {len(self._buffer)} bytes of a frame"
            )


def _fault_of(length: int) -> ProtocolError | None:
    if length == 0:
        return ProtocolError("frame-empty", "a frame of 0 bytes")
    if length > FRAME_BYTES_MAX:
        return ProtocolError(
            "frame-too-long", f"a frame of {length} bytes; at most {FRAME_BYTES_MAX} are taken"
        )
    return None
