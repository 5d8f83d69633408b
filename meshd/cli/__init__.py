"""The `meshd` command: starts daemons, and talks to them over their control sockets.

Imports neither trio nor libp2p: what needs them imports them when it runs.
"""

from __future__ import annotations

import sys

import typer
from typer._click.exceptions import ClickException

from meshd.cli import (
    blob,
    bootstrap,
    doctor,
    elements,
    events,
    example,
    export,
    facts,
    job,
    letters,
    mesh,
    operator,
    route,
    sky,
    table,
    topology,
    unit,
    up,
)
from meshd.cli.demo import demo
from meshd.cli.talk import FAILED, INTERRUPTED, report
from protocols.errors import InputError, MeshError

EPILOG = (
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 no daemon, 4 not found, 5 no route or no place, "
    "6 job failed, 7 time-out, 130 interrupted."
)

app = typer.Typer(
    name="meshd",
    help="A daemon that makes satellites joined by lasers one computer.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (
    up.up,
    up.down,
    facts.status,
    events.events,
    doctor.doctor,
    unit.unit,
    facts.id_,
    mesh.connect,
    mesh.disconnect,
    facts.peers,
    facts.nodes,
    sky.links,
    route.route,
    table.table,
    elements.elements,
    export.export,
    mesh.ping,
    mesh.trace,
    letters.send,
    letters.recv,
    letters.letters,
    demo,
    sky.constellations,
    topology.topology,
    facts.version,
):
    app.command(command.__name__.rstrip("_"), epilog=EPILOG)(command)
app.add_typer(job.app, name="job")
app.add_typer(blob.app, name="blob")
app.add_typer(example.app, name="example")
app.add_typer(operator.app, name="operator")
app.add_typer(bootstrap.app, name="bootstrap")


def main() -> None:
    """Run one command; every failure is one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except ClickException as error:
        code = _usage(error)
    except MeshError as error:
        code = report(error, _wants_json())
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left: nothing more to say
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: ClickException) -> int:
    """A wrong option or argument, in the words of the parser."""
    path = getattr(getattr(error, "ctx", None), "command_path", "meshd")
    message = error.format_message().rstrip(".")
    return report(InputError("usage", f"{message}; see: {path} --help"), _wants_json())


def _wants_json() -> bool:
    return "--json" in sys.argv
