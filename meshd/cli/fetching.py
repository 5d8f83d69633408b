"""Fetching: a blob on its way from another node to this daemon, as a person watches it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from meshd.cli.talk import length, say, size
from meshd.client.connection import Client
from protocols.errors import MeshError, NotFound

TOLD_EVERY_S = 5.0
"""A line of progress, where no line can be written over."""


@contextmanager
def fetched(client: Client, cid: str, source: str | None, json: bool) -> Iterator[dict[str, Any]]:
    """What is known of a blob that is in the daemon's store, and wanted there in this context.

    Raises NotFound "blob-missing" when the source has none, MeshError with the code of its failure.
    """
    if source is None:
        yield {"cid": cid}
        return
    began, line = time.monotonic(), _Line(quiet=json)
    come = 0
    try:
        with closing(client.lines_of(f"/v1/blobs/{cid}/fetch", node=source)) as rows:
            row, resumed = {"event": "", "code": ""}, 0
            for row in rows:
                resumed = max(resumed, row["resumed"])
                come = max(come, row["come"])
                line.show(row)
                if row["event"] != "progress":
                    break
            line.end()
            if row["event"] != "stored":
                raise _failure(cid, source, row)
            yield {
                "cid": cid,
                "bytes": row["bytes"],
                "from": source,
                "resumed_bytes": resumed,
                "seconds": round(time.monotonic() - began, 3),
            }
    except KeyboardInterrupt:
        line.end()
        say(
            f"stopped; {size(come)} stay in the daemon's store: the same command goes on from there"
        )
        raise


def _failure(cid: str, source: str, row: dict[str, Any]) -> MeshError:
    match row["code"]:
        case "blob-missing":
            return NotFound("blob-missing", f"{source} does not have {cid}")
        case "hash-mismatch" | "size-changed" | "piece-length" as code:
            return MeshError(code, f"what {source} sends is not {cid}; nothing of it was kept")
        case "store-full" | "blob-too-large" as code:
            message = f"{cid} does not fit into the daemon's store: see --blobs-max-mb of meshd up"
            return MeshError(code, message)
        case "":
            message = "the daemon ended; what came stays: start it, and the same command goes on"
            return MeshError("daemon-gone", message)
        case code:
            message = (
                f"{cid} was not fetched; what came stays, and the same command goes on from it"
            )
            return MeshError(str(code), message)


class _Line:
    """Progress on stderr: one line written over and over, or one every few seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._over = quiet, sys.stderr.isatty()
        self._told_at = time.monotonic()
        self._width = 0

    def show(self, row: dict[str, Any]) -> None:
        now = time.monotonic()
        if self._quiet or row["bytes"] is None:
            return
        if not self._over and (row["event"] != "progress" or now < self._told_at + TOLD_EVERY_S):
            return
        self._told_at = now
        text = _text(row)
        if self._over:
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)
        else:
            say(text)

    def end(self) -> None:
        if self._width:
            sys.stderr.write("\n")
            self._width = 0


def _text(row: dict[str, Any]) -> str:
    share = row["come"] / row["bytes"] if row["bytes"] else 1.0
    rate, left = row["rate_bytes_s"], row["left_s"]
    parts = [f"{size(row['come'])} of {size(row['bytes'])} ({share:.0%})"]
    parts += [f"{size(rate)}/s"] if rate else []
    parts += [f"{length(left)} left"] if left else []
    return ", ".join(parts)
