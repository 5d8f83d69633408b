"""`meshd up` and `meshd down`: a daemon's beginning and end."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from meshd.cli.talk import Home, Json, emit, report, say
from meshd.client.connection import Client
from meshd.config import Config, home_folder, load_config
from protocols.errors import MeshError

START_S = 60.0
STOP_S = 30.0
POLL_S = 0.05
OPEN_WARNING = (
    "OPEN MODE: this daemon trusts no operator, so it believes and links with anyone. "
    "For experiments only; close it with --trust operator.toml (meshd operator init makes one)"
)
LOG = "daemon.log"
LOG_BYTES_MAX = 16 << 20
"""A log that has grown past this is begun anew at the next start."""


def _flag(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, show_default=False)


Text = str | None
NameFlag = Annotated[Text, _flag("--name", help="What people call this node.")]
ListenFlag = Annotated[
    list[str] | None,
    _flag("--listen", help="Where to listen [/ip4/127.0.0.1/tcp/0]; may be repeated."),
]
SatelliteFlag = Annotated[Text, _flag("--satellite", help="The satellite it is.")]
CityFlag = Annotated[Text, _flag("--city", help="The station it is, one of them.")]
ConstellationFlag = Annotated[Text, _flag("--constellation", help="The sky: a preset or a code.")]
CatalogFlag = Annotated[
    list[str] | None,
    _flag(
        "--catalog", help="The sky: TLE, OMM, OEM, operators' ephemerides, a folder; repeatable."
    ),
]
StationsFlag = Annotated[
    Text, _flag("--stations", help="Cities in the sky, A,B,C: the same on all nodes.")
]
SlotsFlag = Annotated[int | None, _flag("--slots", help="Shards run at once [1].")]
CommandFlag = Annotated[
    bool | None,
    _flag("--allow-command/--no-allow-command", help="Run shards that are programs, as you."),
]
AcceptFlag = Annotated[
    Text, _flag("--accept-jobs", help="From other nodes: auto, yes or no [auto].")
]
TrustFlag = Annotated[
    list[str] | None,
    _flag("--trust", help="An operator.toml to trust; repeatable [open to all]."),
]
CertificateFlag = Annotated[
    Text, _flag("--certificate", help="What this node shows [node.cert in its home].")
]
BootstrapFlag = Annotated[
    list[str] | None,
    _flag("--bootstrap", help="Address of a node to join the mesh by; repeatable."),
]
LightFlag = Annotated[
    bool | None,
    _flag("--emulate-light/--no-emulate-light", help="Delay frames by their light time."),
]
EpochFlag = Annotated[
    Text, _flag("--epoch", help="Mission time at start: TIME or TIME@REAL_TIME [now].")
]
SpeedFlag = Annotated[float | None, _flag("--speed", help="Of the mission clock [1].")]
ElevationFlag = Annotated[
    float | None, _flag("--min-elevation-deg", help="Of a satellite over a station.")
]
LatitudeFlag = Annotated[
    float | None,
    _flag("--cross-plane-latitude-max-deg", help="Where links between planes are off."),
]
IslFlag = Annotated[
    Text, _flag("--isl", help="Who holds lasers: plus-grid, fitted, nearest [what suits].")
]
TerminalsFlag = Annotated[int | None, _flag("--terminals", help="Lasers of a satellite [4].")]
GroundFlag = Annotated[
    Text, _flag("--ground", help="Satellites a station holds: all, highest, longest [all].")
]
AntennasFlag = Annotated[int | None, _flag("--antennas", help="How many of them [1].")]
BlobsFlag = Annotated[int | None, _flag("--blobs-max-mb", help="Disk for blobs, in MB [2048].")]
MetricsFlag = Annotated[
    Text, _flag("--metrics", help="HOST:PORT for Prometheus; 127.0.0.1:9469, say [none].")
]
RecordFlag = Annotated[
    Text, _flag("--record", help="Write this life to a file, for meshsim replay.")
]
RecordMaxFlag = Annotated[
    int | None, _flag("--record-max-mb", help="Where a recording ends, in MB [1024].")
]
DetachFlag = Annotated[
    bool, typer.Option("--detach", "-d", help="Run in the background, log to a file.")
]


def up(
    context: typer.Context,
    name: NameFlag = None,
    listen: ListenFlag = None,
    satellite: SatelliteFlag = None,
    city: CityFlag = None,
    constellation: ConstellationFlag = None,
    catalog: CatalogFlag = None,
    stations: StationsFlag = None,
    slots: SlotsFlag = None,
    allow_command: CommandFlag = None,
    accept_jobs: AcceptFlag = None,
    trust: TrustFlag = None,
    certificate: CertificateFlag = None,
    bootstrap: BootstrapFlag = None,
    emulate_light: LightFlag = None,
    epoch: EpochFlag = None,
    speed: SpeedFlag = None,
    isl: IslFlag = None,
    terminals: TerminalsFlag = None,
    ground: GroundFlag = None,
    antennas: AntennasFlag = None,
    min_elevation_deg: ElevationFlag = None,
    cross_plane_latitude_max_deg: LatitudeFlag = None,
    blobs_max_mb: BlobsFlag = None,
    metrics: MetricsFlag = None,
    record: RecordFlag = None,
    record_max_mb: RecordMaxFlag = None,
    detach: DetachFlag = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Start a daemon; it runs until Ctrl-C, or `meshd down`.

    Example: meshd up --name alice --detach
    """
    # Every flag but the last three is a field of Config under the same name.
    flags = {key: context.params[key] for key in Config.__struct_fields__}
    flags |= {name: flags[name] or None for name in ("listen", "catalog", "trust", "bootstrap")}
    flags["stations"] = [city.strip() for city in stations.split(",")] if stations else None
    folder = home_folder(home)
    config = load_config(folder, flags)
    if detach:
        _introduce(_detached(folder, flags), json, home)
        return
    from meshd.daemon.up import run_daemon  # trio and libp2p: only a daemon pays for them

    run_daemon(folder, config, lambda facts: _introduce(facts, json, home), say)


def down(home: Home = None, json: Json = False) -> None:
    """Stop the daemon, and wait until it is gone.

    Example: meshd down --home /tmp/alice
    """
    client = Client(home)
    facts = client.get("/v1/id")
    client.post("/v1/stop")
    until = time.monotonic() + STOP_S
    while _held(client.home):
        if time.monotonic() > until:
            message = f"process {facts['pid']} still holds {client.home} after {STOP_S:g} s"
            raise MeshError("time-out", message)
        time.sleep(POLL_S)
    if json:
        emit({"id": facts["id"], "stopped": True})
    else:
        say(f"{facts['name']} ({facts['id']}) has stopped")


def _introduce(facts: Mapping[str, Any], json: bool, home: Path | None) -> None:
    """Who the daemon is, and the line to paste elsewhere."""
    if json:
        emit(facts)
        _warn_if_open(facts)
        return
    say(f"{facts['name']} is up at {facts['home']}, process {facts['pid']}")
    say(f"id       {facts['id']}")
    for address in facts["addresses"]:
        say(f"address  {address}")
    if facts["addresses"]:
        say(f"connect with: meshd connect {facts['addresses'][0]}")
    if home is not None:
        say(f"talk to it with: meshd status --home {facts['home']}")
    _warn_if_open(facts)


def _warn_if_open(facts: Mapping[str, Any]) -> None:
    if facts["open"]:
        say(f"meshd: warning: {OPEN_WARNING}")


def _detached(home: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Start the same command in a session of its own; its identity once its socket answers."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = home / LOG
        fresh = not log.exists() or log.stat().st_size > LOG_BYTES_MAX
        mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if fresh else os.O_APPEND)
        output = os.open(log, mode, 0o600)
    except OSError as error:
        message = f"cannot use {home} as a home: {error.strerror}; choose another folder"
        raise MeshError("bad-home", message) from None
    begin = os.fstat(output).st_size
    arguments = ["-m", "meshd.cli", "up", "--home", str(home), *_arguments(flags)]
    try:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        os.close(output)
    return _await_start(Client(home), child, log, begin)


def _await_start(
    client: Client, child: subprocess.Popen[bytes], log: Path, begin: int
) -> dict[str, Any]:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if child.poll() is not None:
            raise typer.Exit(_relay(child.returncode, log, begin))
        try:
            facts: dict[str, Any] = client.get("/v1/id")
        except MeshError:
            facts = {}
        if facts.get("pid") == child.pid:
            for line in _said(log, begin):
                if line.startswith("meshd: warning: ") and OPEN_WARNING not in line:
                    say(line)
            return facts
        time.sleep(POLL_S)
    child.terminate()
    raise MeshError("time-out", f"the daemon did not answer within {START_S:g} s; see {log}")


def _relay(status: int, log: Path, begin: int) -> int:
    """Say what the daemon said before it ended; its exit code."""
    said = _said(log, begin)
    ours = [line for line in said if line.startswith("meshd: ")]
    last = (ours or said or [""])[-1]
    code = last.rpartition("[")[2].rstrip("]") if last.endswith("]") else "not-started"
    message = last.removeprefix("meshd: ").rpartition(" [")[0] if last.endswith("]") else last
    why = message or f"the daemon ended at once with exit code {status}; see {log}"
    report(MeshError(code, why), "--json" in sys.argv)
    return status if status > 0 else 1


def _said(log: Path, begin: int) -> list[str]:
    """The lines of a log from a byte on."""
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace").strip().splitlines()


def _arguments(flags: Mapping[str, Any]) -> list[str]:
    """Flags as they were given, for the process in the background."""
    given: list[str] = []
    for field, value in flags.items():
        option = "--" + field.replace("_", "-")
        match value:
            case None:
                continue
            case bool():
                given.append(option if value else "--no-" + option[2:])
            case list() if field == "stations":
                given += [option, ",".join(value)]
            case list():
                given += [part for address in value for part in (option, address)]
            case _:
                given += [option, msgspec.to_builtins(str(value))]
    return given


def _held(home: Path) -> bool:
    """Whether a daemon still holds the home's lock."""
    try:
        with (home / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
