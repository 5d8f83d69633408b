"""Client: asks the daemon of a home, over its control socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from meshd.adapters.api_socket import find_socket
from meshd.config import home_folder
from protocols.errors import InputError, MeshError, NotFound

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
ANSWER_S = 180.0
"""The longest answer: a plan of a large sky is built first."""


class Client:
    """One command's conversation with one daemon. Refusals come back as the MeshError they were."""

    def __init__(self, home: Path | None) -> None:
        self.home = home_folder(home)

    def get(self, path: str, **query: str | None) -> Any:
        asked = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        return self._decode(self._send("GET", path, params=asked))

    def post(self, path: str, **body: Any) -> Any:
        return self._decode(self._send("POST", path, content=msgspec.json.encode(body)))

    def put_blob(self, data: bytes) -> str:
        """Give the daemon a blob; its cid."""
        answer = self._decode(self._send("PUT", "/v1/blobs", content=data))
        return str(answer["cid"])

    def blob(self, cid: str) -> bytes:
        response = self._send("GET", f"/v1/blobs/{_quoted(cid)}")
        return response.content

    def lines(self, path: str) -> Iterator[Any]:
        """The objects of an NDJSON stream, as they come."""
        with self._open(None) as http, http.stream("GET", path) as response:
            if response.status_code >= 400:
                response.read()
                raise _refusal(response)
            for line in response.iter_lines():
                if line.strip():
                    yield msgspec.json.decode(line)

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        with self._open(ANSWER_S) as http:
            response = http.request(method, path, **more)
        if response.status_code >= 400:
            raise _refusal(response)
        return response

    @contextmanager
    def _open(self, answer_s: float | None) -> Iterator[httpx.Client]:
        import httpx  # 60 ms: `meshd version` and offline routes do without

        path = find_socket(self.home)
        patience = httpx.Timeout(answer_s, connect=CONNECT_S)
        transport = httpx.HTTPTransport(uds=str(path), verify=False)  # no TLS on a local socket
        try:
            with httpx.Client(
                transport=transport, base_url="http://meshd", timeout=patience, trust_env=False
            ) as http:
                yield http
        except httpx.ConnectError:
            raise self._no_daemon() from None
        except httpx.TimeoutException:
            message = f"the daemon at {self.home} did not answer within {answer_s or CONNECT_S:g} s"
            raise MeshError("time-out", message) from None
        except httpx.TransportError as error:
            message = f"the daemon at {self.home} broke off: {error or type(error).__name__}"
            raise MeshError("daemon-gone", message) from None

    def _no_daemon(self) -> MeshError:
        start = "meshd up --detach"
        if self.home != home_folder():
            start = f"meshd up --detach --home {self.home}"
        return MeshError(
            "no-daemon", f"no daemon is running at {self.home}; start one with: {start}"
        )

    @staticmethod
    def _decode(response: httpx.Response) -> Any:
        return msgspec.json.decode(response.content)


def _refusal(response: httpx.Response) -> MeshError:
    try:
        said = msgspec.json.decode(response.content)["error"]
        code, message = str(said["code"]), str(said["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = "bad-answer", f"the daemon answered {response.status_code} without a reason"
    kinds: dict[int, type[MeshError]] = {404: NotFound, 400: InputError, 413: InputError}
    return kinds.get(response.status_code, MeshError)(code, message)


def job_path(job: str, more: str = "") -> str:
    return f"/v1/jobs/{_quoted(job)}{more}"


def _quoted(part: str) -> str:
    from urllib.parse import quote

    return quote(part, safe="") or "-"
