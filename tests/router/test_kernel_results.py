"""What kernels give back to Python: nothing whose making could be interrupted."""

from __future__ import annotations

import importlib
import pkgutil
import typing
from typing import Any

import pytest
from numba.core.registry import CPUDispatcher

import meshd.kernels

KERNELS = [
    function
    for module in pkgutil.iter_modules(meshd.kernels.__path__, "meshd.kernels.")
    for function in vars(importlib.import_module(module.name)).values()
    if isinstance(function, CPUDispatcher)
    and function.__module__ == module.name
    and function.targetoptions.get("_nrt", True)  # an inner kernel gives to kernels alone
]


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


@pytest.mark.parametrize("function", KERNELS, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_a_kernel_gives_no_tuple_that_holds_a_record(function: CPUDispatcher) -> None:
    result = typing.get_type_hints(function.py_func)["return"]
    parts = (
        typing.get_type_hints(result).values() if _is_record(result) else typing.get_args(result)
    )
    assert [part for part in parts if _is_record(part)] == []
