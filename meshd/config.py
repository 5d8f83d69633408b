"""Configuration of a daemon: flag > MESHD_* > config.toml in its home > default."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocols.errors import InputError

HOME_VARIABLE = "MESHD_HOME"
PREFIX = "MESHD_"
LISTS = ("listen", "catalog", "stations", "trust", "bootstrap")
"""Keys with several values; one alone need not stand in brackets."""

Text = Annotated[str, Meta(max_length=1_024)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an operator may set. Each field is a flag, an environment variable and a key."""

    name: Annotated[str, Meta(max_length=64)] = ""
    """What people call this node; its site or the end of its id when empty."""
    listen: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=8)] = (
        "/ip4/127.0.0.1/tcp/0",
    )
    constellation: Text = ""
    """A preset or a constellation code: the sky this node lives under."""
    catalog: Annotated[tuple[Text, ...], Meta(max_length=1_024)] = ()
    """Files of elements or ephemerides, or folders of them, instead of a constellation."""
    stations: tuple[Text, ...] = ()
    """Cities in the plan. Every node of a mesh must name the same, in the same order."""
    satellite: Text = ""
    city: Text = ""
    """Where this node lives: a satellite of the sky, or one of the stations."""
    isl: Text = ""
    """Which satellites hold lasers: plus-grid, fitted or nearest; what suits the sky when empty."""
    terminals: Annotated[int, Meta(ge=1, le=8)] | None = None
    min_elevation_deg: Annotated[float, Meta(ge=0, le=90)] | None = None
    cross_plane_latitude_max_deg: Annotated[float, Meta(ge=0, le=90)] | None = None
    ground: Text = ""
    """Which satellites a station holds: all in view, the highest, or those that stay longest."""
    antennas: Annotated[int, Meta(ge=1, le=64)] | None = None
    """How many of them, unless it holds all."""
    slots: Annotated[int, Meta(ge=0, le=4_096)] = 1
    """Shards run at once."""
    allow_command: bool = False
    """Run shards of kind "command": any program, as this user. A subprocess is not a sandbox."""
    accept_jobs: Literal["auto", "yes", "no"] = "auto"
    """Take work from other nodes; "auto": only while listening on loopback alone."""
    trust: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()
    """Files that name the operators to trust (`operator.toml` of each); open to all without."""
    certificate: Text = ""
    """What this node shows to others; `node.cert` in its home when empty."""
    bootstrap: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()
    """Addresses of nodes to join the mesh by while no link is up."""
    emulate_light: bool = False
    """A laboratory: hold each frame for the light time of the contact it came over."""
    epoch: Text = ""
    """Mission time at start, `TIME` or `TIME@REAL_TIME`; UTC now when empty."""
    speed: Annotated[float, Meta(gt=0, le=10_000)] = 1.0
    blobs_max_mb: Annotated[int, Meta(ge=1)] = 2_048
    metrics: Text = ""
    """HOST:PORT where Prometheus may read `/metrics`, without a password; none when empty."""
    record: Text = ""
    """A file to write this life down in, for `meshsim replay`; none when empty."""
    record_max_mb: Annotated[int, Meta(ge=1)] = 1_024
    """A recording that has grown so far ends there."""

    @property
    def site(self) -> str:
        return self.satellite or self.city

    @property
    def accepts_remote_jobs(self) -> bool:
        if self.accept_jobs == "auto":
            return all(_is_loopback(address) for address in self.listen)
        return self.accept_jobs == "yes"

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("onnx", "wasm", "command") if self.allow_command else ("onnx", "wasm")


def home_folder(flag: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The daemon's folder: --home, else $MESHD_HOME, else the XDG data folder."""
    env = os.environ if environ is None else environ
    if flag is not None:
        return flag.expanduser().absolute()
    if env.get(HOME_VARIABLE):
        return Path(env[HOME_VARIABLE]).expanduser().absolute()
    data = env.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "meshd"


def load_config(
    home: Path, flags: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Config:
    """Merge the sources. Raises InputError "bad-config" naming the source and the key."""
    env = os.environ if environ is None else environ
    merged: dict[str, Any] = {**_from_file(home / "config.toml"), **_from_environment(env)}
    merged |= {key: value for key, value in flags.items() if value is not None}
    config = _convert(merged, "the command line")
    if config.constellation and config.catalog:
        raise InputError("bad-config", "give either a constellation or a catalog, not both")
    for address in config.listen:
        if address.startswith(("/ip4/0.0.0.0/", "/ip6/::/")):
            raise InputError(
                "bad-config",
                f"--listen {address} names no address that others could dial: name one of this "
                "machine's own, such as /ip4/192.0.2.7/tcp/4001",
            )
    if config.satellite and config.city:
        raise InputError("bad-config", "a node is either a satellite or in a city, not both")
    if config.site and not (config.constellation or config.catalog):
        raise InputError(
            "bad-config",
            f"{config.site!r} needs a sky to be in: add --constellation PRESET or --catalog FILE",
        )
    return config


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad-config", f"{path}: {error}") from None
    _convert(data, str(path))
    return data


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """`MESHD_SLOTS=4` is `slots = 4`; lists are separated by commas."""
    found: dict[str, Any] = {}
    for name in Config.__struct_fields__:
        text = environ.get(PREFIX + name.upper())
        if text is not None:
            found[name] = text.split(",") if name in LISTS else text
    _convert(found, "the environment")
    return found


def _convert(data: dict[str, Any], source: str) -> Config:
    for key in data:
        if key not in Config.__struct_fields__:
            near = difflib.get_close_matches(key, Config.__struct_fields__, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError("bad-config", f"{source}: unknown key {key!r}{hint}")
    for key in LISTS:
        if isinstance(data.get(key), str):
            data[key] = [data[key]] if data[key] else []
    try:
        return msgspec.convert(data, Config, strict=False)
    except msgspec.ValidationError as error:
        raise InputError("bad-config", f"{source}: {error}") from None


def _is_loopback(address: str) -> bool:
    return address.startswith(("/ip4/127.", "/ip6/::1/", "/unix/"))
