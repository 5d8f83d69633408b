"""Connection: asks the daemon of a home, over its control socket.

The standard library's HTTP, for it loads in 20 ms: httpx, which loads trio too, takes 150 ms, as
long as all else a command does.
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import msgspec

from meshd.adapters.api_socket import find_socket
from meshd.config import home_folder
from protocols.errors import InputError, MeshError, NotFound

CONNECT_S = 5.0
ANSWER_S = 180.0
"""The longest answer: a plan of a large sky is built first."""

CHUNK_BYTES = 1 << 18

_KINDS: dict[int, type[MeshError]] = {404: NotFound, 400: InputError, 413: InputError}


class Client:
    """One command's conversation with one daemon. Refusals come back as the MeshError they were."""

    def __init__(self, home: Path | None) -> None:
        self.home = home_folder(home)

    def get(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return self._json("GET", f"{path}?{urlencode(asked)}" if asked else path, None)

    def post(self, path: str, **body: Any) -> Any:
        return self._json("POST", path, msgspec.json.encode(body))

    def post_bytes(self, path: str, query: dict[str, str], body: bytes) -> Any:
        return self._json("POST", f"{path}?{urlencode(query)}", body)

    def put_blob(self, data: bytes) -> str:
        """Give the daemon a blob; its cid."""
        return str(self._json("PUT", "/v1/blobs", data)["cid"])

    def put_file(self, file: BinaryIO) -> dict[str, Any]:
        """Give the daemon a blob, however large; its cid and bytes."""
        return dict(self._json("PUT", "/v1/blobs", file))

    def blob(self, cid: str) -> bytes:
        return b"".join(self.blob_chunks(cid))

    def blob_chunks(self, cid: str) -> Iterator[bytes]:
        """A blob, as it comes. A daemon that breaks off ends it early: check it by its name."""
        with self._ask("GET", f"/v1/blobs/{quote(cid, safe='')}", None, ANSWER_S) as response:
            while chunk := response.read(CHUNK_BYTES):
                yield chunk

    def lines(self, path: str) -> Iterator[Any]:
        """The objects of an NDJSON stream, as they come."""
        with self._ask("GET", path, None, None) as response:
            while line := response.readline():
                yield msgspec.json.decode(line)

    def lines_of(self, path: str, **body: Any) -> Generator[Any]:
        """The objects of an NDJSON stream that is asked for with a body."""
        with self._ask("POST", path, msgspec.json.encode(body), None) as response:
            while line := response.readline():
                yield msgspec.json.decode(line)

    def _json(self, method: str, path: str, body: bytes | BinaryIO | None) -> Any:
        with self._ask(method, path, body, ANSWER_S) as response:
            return msgspec.json.decode(response.read())

    @contextmanager
    def _ask(
        self, method: str, path: str, body: bytes | BinaryIO | None, answer_s: float | None
    ) -> Iterator[HTTPResponse]:
        """One request; its answer is to be read within the context."""
        connection = _Connection(find_socket(self.home), answer_s)
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            raise self._no_daemon() from None
        except OSError as error:
            message = f"cannot reach the daemon at {self.home}: {error.strerror or error}"
            raise MeshError("daemon-unreachable", message) from None
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refusal(response)
            yield response
        except TimeoutError:
            message = f"the daemon at {self.home} did not answer within {ANSWER_S:g} s"
            raise MeshError("time-out", message) from None
        except (HTTPException, ConnectionError) as error:
            message = f"the daemon at {self.home} broke off: {error or type(error).__name__}"
            raise MeshError("daemon-gone", message) from None
        finally:
            connection.close()

    def _no_daemon(self) -> MeshError:
        start = "meshd up --detach"
        if self.home != home_folder():
            start = f"meshd up --detach --home {self.home}"
        return MeshError(
            "no-daemon", f"no daemon is running at {self.home}; start one with: {start}"
        )


class _Connection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, answer_s: float | None) -> None:
        super().__init__("meshd", blocksize=CHUNK_BYTES)
        self._path = path
        self._answer_s = answer_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        self.sock.connect(str(self._path))
        self.sock.settimeout(self._answer_s)


def job_path(job: str, more: str = "") -> str:
    return f"/v1/jobs/{quote(job, safe='') or '-'}{more}"


def _refusal(response: HTTPResponse) -> MeshError:
    try:
        said = msgspec.json.decode(response.read())["error"]
        code, message = str(said["code"]), str(said["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = "bad-answer", f"the daemon answered {response.status} without a reason"
    return _KINDS.get(response.status, MeshError)(code, message)
