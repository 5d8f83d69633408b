"""Real WebAssembly in real workers: what a module is given, what it leaves, and how it is ended."""

from __future__ import annotations

import psutil
import pytest
import trio
from wasmtime import wat2wasm
from workbench import Bench

from meshd.adapters.executor import HEARD_MAX
from meshd.seam import ShardFinished
from protocols.types import SECOND

WASI = '(import "wasi_snapshot_preview1" "{}" (func ${} {}))'
READ = WASI.format("fd_read", "read", "(param i32 i32 i32 i32) (result i32)")
WRITE = WASI.format("fd_write", "write", "(param i32 i32 i32 i32) (result i32)")
EXIT = WASI.format("proc_exit", "exit", "(param i32)")
OPEN = WASI.format("path_open", "open", "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)")
ARGS = WASI.format("args_get", "args", "(param i32 i32) (result i32)")

# Buffers at 1,024; the vector of one buffer at 0, the number of bytes at 8, a new descriptor at 12.
BASE = """
(module {imports} (memory (export "memory") 2)
  (func $copy (param $from i32) (param $to i32)
    (loop $more
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (local.get $to) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $more)))))
  {data}
  (func (export "_start") {start}))
"""


def program(start: str, data: str = "", imports: str = READ + WRITE) -> bytes:
    return bytes(wat2wasm(BASE.format(start=start, data=data, imports=imports)))


def bare(start: str, more: str = "") -> bytes:
    return bytes(wat2wasm(f'(module {more} (func (export "_start") {start}))'))


CAT = program("(call $copy (i32.const 0) (i32.const 1))")
MEMORY = '(memory (export "memory") 1)'
SPIN = bare("(loop $on (br $on))")


def opened(folder: int, path: str, *, write: bool) -> tuple[str, str]:
    """WAT that opens a file below a preopened folder, its descriptor at 12; its name as data."""
    name = f'(data (i32.const 512) "{path}")'
    rights, flags = ("64", "1") if write else ("2", "0")
    call = (
        f"(call $open (i32.const {folder}) (i32.const 0) (i32.const 512) (i32.const {len(path)})"
        f" (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 12))"
    )
    return call, name


async def run(bench: Bench, module: bytes, data: bytes = b"", **fields: object) -> ShardFinished:
    inputs = (bench.blobs.put(data),)
    given = {"kind": "wasm", "inputs": inputs, "model": bench.blobs.put(module), **fields}
    return await bench.outcome(**given)


def put_out(bench: Bench, finished: ShardFinished) -> bytes:
    assert finished.code == "ok", finished
    assert finished.output is not None
    return bytes(bench.blobs.get(finished.output) or b"")


async def test_standard_input_goes_in_and_standard_output_comes_out(bench: Bench) -> None:
    data = bytes(range(256)) * 1_000
    assert put_out(bench, await run(bench, CAT, data)) == data


async def test_inputs_come_one_behind_the_other_and_each_as_a_file(bench: Bench) -> None:
    cids = tuple(bench.blobs.put(data) for data in (b"one ", b"two ", b"three"))
    assert put_out(bench, await run(bench, CAT, inputs=cids)) == b"one two three"
    call, name = opened(3, "1", write=False)
    copy = f"(drop {call}) (call $copy (i32.load (i32.const 12)) (i32.const 1))"
    second = program(copy, name, READ + WRITE + OPEN)
    assert put_out(bench, await run(bench, second, inputs=cids)) == b"two "


async def test_files_are_read_and_a_result_is_left_as_a_file(bench: Bench) -> None:
    call, name = opened(4, "words/en", write=False)
    copy = f"(drop {call}) (call $copy (i32.load (i32.const 12)) (i32.const 1))"
    reader = program(copy, name, READ + WRITE + OPEN)
    files = (("words/en", bench.blobs.put(b"hello")),)
    assert put_out(bench, await run(bench, reader, files=files)) == b"hello"
    call, name = opened(5, "result", write=True)
    copy = f"(drop {call}) (call $copy (i32.const 0) (i32.load (i32.const 12)))"
    writer = program(copy, name, READ + WRITE + OPEN)
    assert put_out(bench, await run(bench, writer, b"left")) == b"left"


async def test_given_files_cannot_be_written_nor_others_reached(bench: Bench) -> None:
    for path, write in (("words", True), ("../stdin", False), ("/etc/passwd", False)):
        call, name = opened(4, path, write=write)
        module = program(f"(if (i32.eqz {call}) (then unreachable))", name, READ + WRITE + OPEN)
        files = (("words", bench.blobs.put(b"hello")),)
        assert put_out(bench, await run(bench, module, files=files)) == b""


async def test_arguments_follow_the_name(bench: Bench) -> None:
    start = """(drop (call $args (i32.const 64) (i32.const 1024)))
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 19))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"""
    module = program(start, imports=READ + WRITE + ARGS)
    finished = await run(bench, module, command=("two", "words"))
    assert put_out(bench, finished) == b"main.wasm\0two\0words"


@pytest.mark.parametrize(
    ("module", "fields", "code"),
    [
        (b"not a module", {}, "bad-module"),
        (CAT[:-20], {}, "bad-module"),
        (bytes(wat2wasm("(module)")), {}, "bad-module"),
        (bare("", '(import "env" "system" (func))'), {}, "unknown-import"),
        (bare("", '(import "wasi_snapshot_preview1" "sock_dial" (func))'), {}, "unknown-import"),
        (bare("", "(memory 65536)"), {}, "memory-limit"),
        (bare("(if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))",
              "(memory 1)"), {}, "wasm-failed"),
        (SPIN, {"wall_ns": SECOND // 2}, "wall-limit"),
        (SPIN, {"fuel": 1_000_000}, "fuel-limit"),
        (program("(loop $on (call $copy (i32.const 0) (i32.const 1)) (i32.store (i32.const 0) "
                 "(i32.const 1024)) (i32.store (i32.const 4) (i32.const 60000)) (if (call $write "
                 "(i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable)) "
                 "(br $on))"), {"output_bytes_max": 1 << 20}, "output-limit"),
        (bare("(call $exit (i32.const 3))", EXIT + MEMORY), {}, "wasm-failed"),
        (bare("unreachable"), {}, "wasm-failed"),
        (bare("(call $deep)", "(func $deep (call $deep))"), {}, "wasm-failed"),
    ],
)  # fmt: skip
async def test_what_a_module_may_not_ends_it_with_a_code(
    bench: Bench, module: bytes, fields: dict[str, int], code: str
) -> None:
    finished = await run(bench, module, **fields)
    assert (finished.code, finished.output) == (code, None), finished
    assert finished.message
    (worker,) = bench.pool._workers
    pid = psutil.Process(worker._process.pid) if worker.alive else None
    assert put_out(bench, await run(bench, CAT, b"and goes on")) == b"and goes on"
    if code not in ("memory-limit", "crashed"):
        assert pid == psutil.Process(worker._process.pid)  # the same worker, its modules warm


async def test_fuel_is_counted_alike_wherever_it_runs(bench: Bench) -> None:
    more = "(local.tee $n (i32.add (local.get $n) (i32.const 1)))"
    loop = bare(f"(local $n i32) (loop $on (br_if $on (i32.lt_u {more} (i32.const 10000))))")
    codes = [(await run(bench, loop, fuel=fuel)).code for fuel in (40_000, 100_000, 40_000)]
    assert codes == ["fuel-limit", "ok", "fuel-limit"]


async def test_a_module_is_stopped_while_it_runs(bench: Bench) -> None:
    spin = bench.blobs.put(SPIN)
    running = bench.order(kind="wasm", model=spin)
    waiting = bench.order(kind="wasm", model=spin)
    bench.executor.stop(waiting)
    bench.executor.stop(running)
    assert {(await bench.answer(name)).code for name in (running, waiting)} == {"stopped"}


async def test_a_link_left_as_result_leads_nowhere(bench: Bench) -> None:
    script = "ln -s /etc/hostname out/result; printf said"
    finished = await bench.command("sh", "-c", script)
    assert put_out(bench, finished) == b"said"


async def test_a_program_that_litters_is_ended(bench: Bench) -> None:
    script = "i=0; while :; do i=$((i+1)); : > f$i; done"
    finished = await bench.command("sh", "-c", script)
    assert finished.code == "output-limit"


async def test_commands_find_files_and_several_inputs(bench: Bench) -> None:
    cids = tuple(bench.blobs.put(data) for data in (b"b", b"a"))
    files = (("lib/x", bench.blobs.put(b"!")),)
    finished = await bench.command(
        "sh", "-c", "cat in/1 in/0 files/lib/x > out/result; cat", inputs=cids, files=files
    )
    assert put_out(bench, finished) == b"ab!"


async def test_what_a_program_says_is_passed_on_while_it_runs_and_to_a_bound(bench: Bench) -> None:
    script = "echo begun >&2; until [ -e go ]; do sleep 0.05; done; echo over >&2"
    run_ = bench.order(kind="command", command=("sh", "-c", script))
    with trio.fail_after(20):
        while not bench.said:  # noqa: ASYNC110 - it says so when it has begun
            await trio.sleep(0.02)
    assert (bench.said[0].run, bench.said[0].text) == (run_, "begun\n")
    (room,) = bench.pool._workers[0].folder.glob("run/work")
    (room / "go").touch()
    assert (await bench.answer(run_)).code == "ok"
    assert "".join(said.text for said in bench.said) == "begun\nover\n"
    bench.said.clear()
    await bench.command("sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x >&2")
    heard = "".join(said.text for said in bench.said)
    assert 60_000 < len(heard) <= HEARD_MAX and heard.endswith("not passed on]\n")
    bench.said.clear()
    await bench.command("true")
    assert bench.said == []  # and nothing of the run before
