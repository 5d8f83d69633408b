"""The control API is what its description says: each answer of a live daemon is held against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from meshd.adapters.control import control_app
from meshd.adapters.openapi import OPERATIONS, document
from meshd.client.connection import Client
from tests.cli.conftest import Homes, meshd

ECHO = 'name = "echo"\nkind = "command"\ncommand = ["echo", "hello"]\n'


def test_the_description_is_openapi() -> None:
    validate(document())


def test_every_route_is_described_and_no_other() -> None:
    class Anyone:
        def __getattr__(self, name: str) -> Any:
            return lambda *asked: None

    routes = control_app(Anyone()).routes  # type: ignore[arg-type]
    served = sorted((method, route.path) for route in routes for method in route.methods - {"HEAD"})
    assert served == sorted((operation.method, operation.path) for operation in OPERATIONS)
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


def check(path: str, answer: Any, method: str = "get") -> None:
    """The answer is as described, and has no field that is not."""
    told = document()
    operation = told["paths"][path][method]
    (good,) = (code for code in operation["responses"] if code != "default")
    schema = operation["responses"][good]["content"]["application/json"]["schema"]
    components = told["components"]["schemas"]
    for kind in components.values():
        if kind.get("type") == "object" and "properties" in kind:
            kind["additionalProperties"] = False
    Draft202012Validator({**schema, "components": told["components"]}).validate(answer)


@pytest.fixture(scope="module")
def alice(mesh: Homes, tmp_path_factory: pytest.TempPathFactory) -> Client:
    file = tmp_path_factory.mktemp("job") / "echo.toml"
    file.write_text(ECHO)
    assert meshd("job", "submit", str(file), "--id", "described", home=mesh["alice"]).code == 0
    return Client(mesh["alice"])


ASKED = ("status", "id", "peers", "nodes", "table", "letters", "jobs", "blobs", "openapi.json")


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_is_answered_as_described(alice: Client, name: str) -> None:
    answer = alice.get(f"/v1/{name}")
    assert answer or name == "letters"
    check(f"/v1/{name}", answer)


def test_a_job_a_letter_and_a_probe_are_as_described(alice: Client, mesh: Homes) -> None:
    check("/v1/jobs/{job}", alice.get("/v1/jobs/described"))
    check("/v1/jobs/{job}/result", alice.get("/v1/jobs/described/result"))
    for probe in ("ping", "trace"):
        check(f"/v1/{probe}", alice.post(f"/v1/{probe}", node="bob"), "post")
    query = {"to": "bob", "port": "described", "wait_s": "20"}
    sent = alice.post_bytes("/v1/letters", query, b"x")
    check("/v1/letters", sent, "post")
    check("/v1/letters/{letter}", alice.get(f"/v1/letters/{sent['letter']}"))
    bob = Client(mesh["bob"])
    mail = bob.get("/v1/mail", {"port": "described", "wait_s": "20"})
    check("/v1/mail", mail)
    check("/v1/mail/{number}/taken", bob.post(f"/v1/mail/{mail[0]['number']}/taken"), "post")


def test_links_under_a_sky_are_as_described(tmp_path: Path) -> None:
    sky = ("--constellation", "iridium", "--stations", "London", "--city", "London")
    assert meshd("up", "-d", *sky, home=tmp_path).code == 0
    try:
        client = Client(tmp_path)
        for name in ("links", "status", "table"):
            check(f"/v1/{name}", client.get(f"/v1/{name}"))
    finally:
        assert meshd("down", home=tmp_path).code == 0
