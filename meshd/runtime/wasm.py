"""WebAssembly on one CPU thread: WASI preview 1, no network, no files but those of the shard.

A module finds its input on standard input, its arguments behind the name "main.wasm", several
inputs as /in/0, /in/1, ..., and the job's files below /files, all read-only. Its result is what it
writes to /out/result, or else to standard output. NaNs are made alike, so that the same bytes come
out on every processor, unless it asks for the time or for chance.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import wasmtime
from wasmtime import ExitTrap, Module, Store, Trap, TrapCode, WasiConfig, WasmtimeError

from meshd.runtime import limits
from meshd.runtime.room import Room
from meshd.runtime.warm import Warm
from meshd.seam import RunShard
from protocols.errors import MeshError
from protocols.types import SECOND, Cid

PROGRAM = "main.wasm"
_INSTANCES_MAX = 1  # a module of WASI's preview 1 makes no others
_MEMORIES_MAX, _TABLES_MAX, _ELEMENTS_MAX = 4, 16, 1 << 20
_BRIEF = 500


class Modules:
    """The few modules used last, compiled; counting fuel makes another of the same."""

    def __init__(self) -> None:
        self._warm = {counted: Warm[Module]() for counted in (False, True)}

    def run(self, cid: Cid, module: Path, shard: RunShard, room: Room, target: Path) -> None:
        """Run it to its end.

        Raises MeshError "bad-module", "unknown-import", "fuel-limit", "wall-limit",
        "memory-limit", "output-limit" or "wasm-failed".
        """
        with limits.memory(shard.memory_bytes):
            compiled = self._compiled(cid, module, counted=shard.fuel > 0)
            with limits.file_size(shard.output_bytes_max):
                _run(compiled, shard, room, target)

    def _compiled(self, cid: Cid, path: Path, *, counted: bool) -> Module:
        warm = self._warm[counted]
        found = warm.get(cid)
        if found is None:
            data = path.read_bytes()
            if not data.startswith(b"\0asm\x01\0\0\0"):  # else it would be read as text
                raise MeshError("bad-module", "it is no WebAssembly module (version 1)")
            try:
                found = Module(_engine(counted), data)
            except WasmtimeError as error:
                raise MeshError(
                    "bad-module", f"wasmtime does not take it: {_brief(error)}"
                ) from None
            warm.keep(cid, found, len(data))
        return found


@cache
def _engine(counted: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = counted
    config.epoch_interruption = True
    config.parallel_compilation = False
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    return wasmtime.Engine(config)


def _run(module: Module, shard: RunShard, room: Room, target: Path) -> None:
    engine = _engine(shard.fuel > 0)
    store = Store(engine)
    store.set_limits(
        memory_size=shard.memory_bytes,
        table_elements=_ELEMENTS_MAX,
        instances=_INSTANCES_MAX,
        tables=_TABLES_MAX,
        memories=_MEMORIES_MAX,
    )
    if shard.fuel:
        store.set_fuel(shard.fuel)
    store.set_epoch_deadline(1)
    store.set_wasi(_wasi(shard, room, target))
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    alarm = threading.Timer(shard.wall_ns / SECOND, engine.increment_epoch)
    alarm.daemon = True
    alarm.start()
    try:
        start = linker.instantiate(store, module).exports(store).get("_start")
        if not isinstance(start, wasmtime.Func):
            raise MeshError("bad-module", 'it exports no function "_start": it is no WASI command')
        start(store)
    except ExitTrap as trap:
        if trap.code:
            raise MeshError(
                "wasm-failed", f"it ended with exit code {trap.code}{room.last_words()}"
            ) from None
    except Trap as trap:
        raise _of_trap(trap, shard, room) from None
    except WasmtimeError as error:
        raise _of_error(error, shard) from None
    finally:
        alarm.cancel()
        store.close()


def _wasi(shard: RunShard, room: Room, target: Path) -> WasiConfig:
    wasi = WasiConfig()
    wasi.argv = [PROGRAM, *shard.command]
    wasi.stdin_file = str(room.stdin)
    wasi.stdout_file = str(target)
    wasi.stderr_file = str(room.stderr)
    for name in ("in", "files"):
        wasi.preopen_dir(str(room.work / name), f"/{name}", fs_mutable=False)
    wasi.preopen_dir(str(room.work / "out"), "/out")
    return wasi


def _of_trap(trap: Trap, shard: RunShard, room: Room) -> MeshError:
    match trap.trap_code:
        case TrapCode.OUT_OF_FUEL:
            return MeshError("fuel-limit", f"it used its fuel of {shard.fuel} instructions")
        case TrapCode.INTERRUPT:
            return MeshError(
                "wall-limit", f"it was ended at its limit of {shard.wall_ns / SECOND:g} s"
            )
        case TrapCode.ALLOCATION_TOO_LARGE:
            return MeshError(*limits.out_of_memory(shard.memory_bytes))
    cause = str(trap).rpartition("Caused by:")[2].strip() or _brief(trap)
    return MeshError("wasm-failed", f"it was ended: {cause[:_BRIEF]}{room.last_words()}")


def _of_error(error: WasmtimeError, shard: RunShard) -> MeshError:
    text = _brief(error)
    if "unknown import" in text or "incompatible import type" in text:
        message = f"{text}; there is WASI preview 1, and nothing else"
        return MeshError("unknown-import", message)
    if "memory limits" in text or ("memory" in text and "exceed" in text):
        return MeshError(*limits.out_of_memory(shard.memory_bytes))
    if "all fuel consumed" in text:  # by its start function
        return MeshError("fuel-limit", f"it used its fuel of {shard.fuel} instructions")
    return MeshError("bad-module", f"it cannot be started: {text}")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:_BRIEF]
