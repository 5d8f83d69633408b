"""Mesh: what a program asks of its daemon, and sends and reads through it."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshd.client.connection import Client, job_path
from meshd.jobs.building import build
from meshd.jobs.document import Document
from meshd.jobs.reading import check_job, read_job
from meshd.jobs.specification import Job
from protocols.errors import MeshError
from protocols.letter import INBOX

ASK_S = 60.0
"""How long one request waits at the daemon before it is asked again."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One that was read. `node` is the id of who sent it, `name` what people call it."""

    number: int
    node: str
    name: str
    port: str
    stream: str
    arrived_at: str
    """ISO 8601, UTC, of mission time."""
    body: bytes


class Mesh:
    """The mesh as one daemon sees it. Safe to use from several threads: it keeps no connection."""

    def __init__(self, home: Path | None = None) -> None:
        self._client = Client(home)

    def status(self) -> dict[str, Any]:
        return dict(self._client.get("/v1/status"))

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._client.get("/v1/nodes"))

    # --- jobs -----------------------------------------------------------------------------------

    def submit(
        self, job: Job | Path, id: str | None = None, folder: Path | None = None, split: int = 1
    ) -> str:
        """Hand a job to the mesh; its id. The same id with the same job again is that job.

        `split` cuts its model into so many stages, each on the node that suits it.

        A `Job` names its files from `folder`, or from where the program runs; a job file, from
        where it lies. Raises InputError "bad-job-file" with every fault, or why it was refused.
        """
        if isinstance(job, Job):
            document = Document(job.said(), {})
            written = check_job(document, folder or Path.cwd(), "the job", "job")
        else:
            written = read_job(job)
        spec = build(written, self._client.put_blob, split)
        return str(self._client.post("/v1/jobs", spec=spec, id=id)["job"])

    def job(self, id: str) -> dict[str, Any]:
        """How a job stands, shard by shard."""
        return dict(self._client.get(job_path(id)))

    def wait(self, id: str) -> dict[str, Any]:
        """Wait until a job is over, however it ends."""
        last: dict[str, Any] = {}
        for change in self._client.lines(job_path(id, "/events")):
            last = change
        if last.get("event") != "ended":
            raise MeshError("daemon-gone", "the daemon ended before the job")
        return last

    def result(self, id: str) -> list[bytes]:
        """What its shards put out, in their order; asked of the daemon that is the job's sink."""
        rows = self._client.get(job_path(id, "/result"))
        return [self._client.blob(row["cid"]) for row in rows]

    def logs(self, id: str, *, follow: bool = False) -> Iterator[dict[str, Any]]:
        """What its shards have said on standard error: text with its shard, node and instant."""
        asked = "yes" if follow else "no"
        yield from self._client.lines(job_path(id, f"/logs?follow={asked}"))

    def cancel(self, id: str) -> dict[str, Any]:
        return dict(self._client.post(job_path(id, "/cancel")))

    # --- letters --------------------------------------------------------------------------------

    def send(
        self,
        node: str,
        body: bytes,
        port: str = INBOX,
        stream: str = "",
        lifetime_s: float = 3_600.0,
        wait: bool = True,
    ) -> str:
        """Send a letter; its id. With `wait` it returns when the receiver's daemon has it on disk.

        Else when this daemon has: from then on it is sent until it is there or has expired,
        whatever is restarted. Those of one `stream` are read in the order they were sent in.
        Raises MeshError "expired", or why it was not taken.
        """
        query = {"to": node, "port": port, "stream": stream, "lifetime_s": str(lifetime_s)}
        query["wait_s"] = str(ASK_S if wait else 0.0)
        answer = self._client.post_bytes("/v1/letters", query, body)
        while wait and answer["state"] == "sending":
            answer = self._client.get(f"/v1/letters/{answer['letter']}", {"wait_s": str(ASK_S)})
        if answer["state"] not in ("sending", "delivered"):
            message = f"the letter to {node} was not delivered within {lifetime_s:g} s"
            raise MeshError(answer["state"], message)
        return str(answer["letter"])

    def receive(self, port: str = INBOX, wait_s: float | None = None) -> Iterator[Letter]:
        """Letters as they come, for ever, or until none has come for `wait_s`.

        One is taken from the mailbox when the next is asked for: a program that ends while it has
        one reads it again.
        """
        last = time.monotonic()
        while True:
            left = ASK_S if wait_s is None else min(ASK_S, last + wait_s - time.monotonic())
            letters = self.read(port, max(0.0, left))
            for letter in letters:
                yield letter
                self.take(letter)
            if letters:
                last = time.monotonic()
            elif wait_s is not None and time.monotonic() >= last + wait_s:
                return

    def read(self, port: str = INBOX, wait_s: float = 0.0, count: int = 1) -> list[Letter]:
        """The oldest letters that nobody has taken, waiting a while for a first one."""
        query = {"port": port, "wait_s": str(wait_s), "count": str(count)}
        return [_letter(row) for row in self._client.get("/v1/mail", query)]

    def take(self, letter: Letter) -> None:
        """Let the mailbox forget a letter."""
        self._client.post(f"/v1/mail/{letter.number}/taken")


def _letter(row: dict[str, Any]) -> Letter:
    body = b64decode(row["body"])
    fields = {name: row[name] for name in Letter.__slots__ if name != "body"}
    return Letter(**fields, body=body)
