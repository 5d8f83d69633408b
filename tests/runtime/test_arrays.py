"""Arrays in and out of files: nothing unpickled, equal arrays give equal bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meshd.runtime import arrays
from protocols.errors import MeshError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def test_what_is_written_can_be_read(path: Path) -> None:
    said = {
        "label": np.arange(5),
        "a/b": np.eye(3, dtype=np.float32).T[:, ::-1],
        "text": np.array(["x", "yz"]),
        "scalar": np.float64(2.5),
    }
    arrays.write(path, said)  # type: ignore[arg-type]
    heard = arrays.read(path)
    assert list(heard) == list(said)
    for name, array in said.items():
        np.testing.assert_array_equal(heard[name], array)
        assert heard[name].shape == np.shape(array)
    assert np.load(path)["label"].tolist() == [0, 1, 2, 3, 4]


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    grid = np.arange(12, dtype=">f4").reshape(3, 4)
    arrays.write(one, {"x": grid})
    arrays.write(other, {"x": np.asfortranarray(grid.astype("<f4"))})
    assert one.read_bytes() == other.read_bytes()


def test_one_array_has_no_name(path: Path) -> None:
    path.write_bytes(npy(np.arange(3, dtype=">i2")))
    heard = arrays.read(path)[""]
    assert heard.dtype == np.dtype("<i2")
    assert heard.tolist() == [0, 1, 2]


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was unpickled",))


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        npy(np.arange(100))[:-1],
        npy(np.arange(100))[:20],
        npy(np.arange(3)).replace(b"'<i8'", b"'<i9'"),
        npy(np.array([Bomb()], dtype=object)),
        npy(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])),
        npy(np.array(["2026-01-01"], dtype="M8[D]")),
        b"PK\x03\x04 not really a zip",
        zipped(x=b"not an array"),
        zipped(x=npy(np.array([Bomb()], dtype=object))),
        zipped(**{str(n): npy(np.arange(1)) for n in range(arrays.ARRAYS_MAX + 1)}),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(MeshError) as caught:
        arrays.read(path)
    assert caught.value.code == "bad-input"


def test_objects_are_not_pickled(path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        arrays.write(path, {"x": np.array([Bomb()], dtype=object)})
