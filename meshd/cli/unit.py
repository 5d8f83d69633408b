"""`meshd unit`: a systemd unit for a daemon."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from meshd.cli.talk import Home
from meshd.config import home_folder

UNIT = """\
[Unit]
Description=meshd, one node of a mesh of satellites
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={start}
Restart=on-failure
RestartSec=2
TimeoutStartSec=120
TimeoutStopSec=30
KillMode=mixed
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={home}
LimitNOFILE=65536

[Install]
WantedBy={target}
"""


def unit(
    system: Annotated[
        bool, typer.Option("--system", help="For the whole machine, not for you alone.")
    ] = False,
    home: Home = None,
) -> None:
    """A systemd unit on stdout that runs the daemon of this home; its flags go into config.toml.

    Example: meshd unit > ~/.config/systemd/user/meshd.service
    """
    folder = home_folder(home)
    start = shlex.join([sys.executable, "-m", "meshd.cli", "up", "--home", str(folder)])
    target = "multi-user.target" if system else "default.target"
    typer.echo(UNIT.format(start=start, home=folder, target=target), nl=False)
