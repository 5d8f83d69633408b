"""What the example makes of files is what the magika package itself says of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from magika import Magika

import meshd
from meshd.examples import DIGITS, filetypes
from protocols.errors import MeshError

THEIRS = Magika()
OURS = filetypes.load_file_types()
SESSION = onnxruntime.InferenceSession(OURS.model, providers=["CPUExecutionProvider"])


def ours(paths: list[Path]) -> list[str]:
    samples = [OURS.sample(path) for path in paths]
    read = [sample for sample in samples if not isinstance(sample, str)]
    scores = np.empty((0, len(OURS.names)), dtype=np.float32)
    if read:
        (scores,) = SESSION.run(["target_label"], {"bytes": np.stack(read)})
    return [label for label, _ in filetypes.labels_of(OURS, samples, scores)]


def theirs(paths: list[Path]) -> list[str]:
    return [str(found.output.label) for found in THEIRS.identify_paths(paths)]


def test_labels_of_this_repository_are_magikas() -> None:
    root = Path(meshd.__file__).parent.parent
    paths = [*filetypes.files_below(root / "protocols"), *filetypes.files_below(DIGITS)]
    paths += [*filetypes.files_below(root / "meshd" / "cli"), root / "Makefile", root / "README.md"]
    assert ours(paths) == theirs(paths)
    assert len(set(ours(paths))) >= 5


TEXTS = st.sampled_from([b"<html><body>", b"import os\n", b'{"a": [1,2]}\n', b"a,b,c\n1,2,3\n"])
PIECES = st.lists(st.binary(max_size=40) | TEXTS | st.just(b" \n\t" * 900), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from([1, 7, 300]))
def test_labels_of_any_bytes_are_magikas(tmp_path: Path, files: list[list[bytes]], n: int) -> None:
    paths = []
    for number, pieces in enumerate(files):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(b"".join(pieces) * n)
    assert ours(paths) == theirs(paths)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "magika", raising=False)
    with pytest.raises(MeshError, match="pip install magika") as missing:
        filetypes.load_file_types()
    assert missing.value.code == "magika-missing"
