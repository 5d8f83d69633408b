"""What kernels must keep to, read from their sources."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import meshd.kernels

KERNELS = sorted(Path(meshd.kernels.__file__).parent.glob("[a-z]*.py"))
PLAIN = {"int", "float", "bool", "None", "Vector", "Spot", "np.uint64"}
MAKERS = {"empty", "zeros", "full", "ones", "empty_like", "zeros_like", "full_like", "copy"}


def inner_kernels(path: Path) -> list[ast.FunctionDef]:
    return [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id in ("inner", "part") for d in node.decorator_list)
    ]


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_an_inner_kernel_neither_makes_nor_returns_an_array(path: Path) -> None:
    """Nobody counts who uses what it returned: the first to let go of it would free it."""
    for function in inner_kernels(path):
        assert function.returns is not None
        said = ast.unparse(function.returns)
        parts = said.removeprefix("tuple[").removesuffix("]").split(", ")
        assert set(parts) <= PLAIN, f"{function.name} returns {said}"
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                assert call.func.attr not in MAKERS, f"{function.name} makes an array"


def test_there_are_inner_kernels_to_look_at() -> None:
    assert sum(len(inner_kernels(path)) for path in KERNELS) > 40
