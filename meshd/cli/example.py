"""`meshd example`: work to try a mesh with, on files of one's own."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from meshd.cli.talk import Home, Json, emit, say, table
from protocols.errors import MeshError

app = typer.Typer(
    help="Work to try a mesh with.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def example() -> None:
    """Work to try a mesh with, on files of one's own."""


@app.command()
def magika(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of files.")],
    shards: Annotated[int, typer.Option("--shards", min=1, max=1_000, help="How many pieces.")] = 8,
    split: Annotated[
        int, typer.Option("--split", min=1, max=16, help="Cut the model into so many stages.")
    ] = 1,
    home: Home = None,
    json: Json = False,
) -> None:
    """Say of every file below a folder what kind it is, by magika's model run on the mesh.

    The model comes with the magika package: pip install magika

    Example: meshd example magika ~/Downloads --split 2
    """
    import numpy as np

    from meshd.client import Job, Mesh
    from meshd.examples import filetypes

    types = filetypes.load_file_types()
    paths = filetypes.files_below(folder)
    samples = [types.sample(path) for path in paths]
    read = [sample for sample in samples if not isinstance(sample, str)]
    scores = np.empty((0, len(types.names)), dtype=np.float32)
    if read:
        mesh = Mesh(home)
        with tempfile.TemporaryDirectory(prefix="meshd-") as scratch:
            np.savez(Path(scratch) / "files.npz", bytes=np.stack(read))
            (Path(scratch) / "model.onnx").write_bytes(types.model.read_bytes())
            pieces = min(shards, len(read))
            job = Job(name="magika", model="model.onnx", input="files.npz", shards=pieces,
                      estimate_s=max(0.01, 0.02 * len(read) / pieces))  # fmt: skip
            name = mesh.submit(job, folder=Path(scratch), split=split)
        say(f"{len(read)} of {len(paths)} files go to the mesh in {pieces} pieces, as {name}")
        ended = mesh.wait(name)
        if ended["status"] != "completed":
            raise MeshError("job-failed", f"{name} failed ({ended['code']}): {ended['message']}")
        parts = [np.load(io.BytesIO(data))["target_label"] for data in mesh.result(name)]
        scores = np.concatenate(parts)
    labels = filetypes.labels_of(types, samples, scores)
    rows = list(zip((str(path.relative_to(folder)) for path in paths), labels, strict=True))
    if json:
        emit([{"file": file, "label": label, "score": score} for file, (label, score) in rows])
    else:
        shown = [(file, label, f"{score:.3f}") for file, (label, score) in rows]
        table(("FILE", "LABEL", "SCORE"), shown, "no files")
