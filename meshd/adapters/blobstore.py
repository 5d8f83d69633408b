"""Blobs on disk, named by their hash: whole and verified, or not there at all.

A blob is kept until it is released; a released blob stays as a cache until room is needed, the
least recently used going first. Pieces of an unfinished blob live in `partial/` (`blobpart.py`) and
are there after a restart; those that nobody fetches go when room is needed, after the cache. A
`<cid>.released` file marks a released blob, so that a restart forgets nothing. Files are 0600.

Several threads may use a store: what is long (bytes written, read, hashed, synced) is done outside
its lock, and of unfinished blobs by one thread, the driver's.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from meshd.adapters.blobpart import HELD, Part
from meshd.adapters.ondisk import sync
from protocols import cid as cids
from protocols.errors import MeshError
from protocols.types import Cid

PARTIALS_MAX = 256
_READ_BYTES = 1 << 20
_RELEASED = ".released"


class BlobStore:
    """`ports.BlobPort` over one folder of at most `bytes_max` bytes, unfinished blobs included."""

    def __init__(self, folder: Path, bytes_max: int, partials_max: int = PARTIALS_MAX) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self.partials_max = partials_max
        self._blobs: dict[Cid, _Blob] = {}
        """Least recently used first."""
        self._parts: dict[Cid, Part] = {}
        """The one that was begun or left first is the first."""
        self._lock = threading.RLock()
        self._bytes = 0
        self._opened = False
        self._names = itertools.count()

    def open(self) -> None:
        """Make the folder and read what it holds, at the first use. Raises "store-failed"."""
        if self._opened:
            return
        try:
            self._scan()
        except OSError as error:
            message = f"cannot use the blob folder {self.folder}: {error.strerror}"
            raise MeshError("store-failed", message) from error
        self._opened = True

    # --- the port ---

    def read(self, cid: Cid, offset: int, length: int) -> bytes | None:
        """Up to `length` bytes from `offset`; None if the blob is not here or ends before."""
        blob = self._find(cid)
        if blob is None or not 0 <= offset <= blob.size or length < 0:
            return None
        try:
            with self._path(cid).open("rb") as file:
                file.seek(offset)
                return file.read(min(length, blob.size - offset))
        except OSError:  # someone removed it under us: a blob that cannot be read is not here
            self._forget(cid)
            return None

    def resume(self, cid: Cid) -> tuple[int | None, tuple[tuple[int, int], ...]]:
        """Size and intervals of what is here of an unfinished blob, which is from now on open."""
        with self._lock:
            self.open()
            part = self._parts.pop(cid, None)
            if part is None:
                return None, ()
            self._bytes -= part.size
        if part.open:
            part.close()
        again = Part.resume(part.path)
        if again is None:
            part.drop()
            return None, ()
        with self._lock:
            self._parts[cid] = again
            self._bytes += again.size
        return again.size, again.held

    def close(self, cid: Cid, *, keep: bool) -> None:
        """An unfinished blob is fetched no more; what has come stays until room is needed."""
        part = self._parts.get(cid)
        if part is not None and keep:
            part.close()
        else:
            self._drop_part(cid)

    def write(self, cid: Cid, offset: int, data: bytes, size: int) -> str:
        """Store a piece: "partial", "stored" (whole, verified, synced), or why not.

        Codes: "bad-cid", "bad-piece" (out of range, empty, or another size than before),
        "blob-too-large", "store-full", "store-failed" (the disk), "hash-mismatch" (all pieces are
        dropped). Bytes that came before are not overwritten; a repeated piece does nothing.
        """
        try:
            cids.check(cid)
            with self._lock:
                if self._find(cid) is not None:
                    self._keep(cid)
                    return "stored"
                part = self._parts.get(cid)
                code = self._check_piece(part, offset, len(data), size)
                if code:
                    return code
                part = part or self._begin(cid, size)
            if not part.open:
                self.resume(cid)
                part = self._parts[cid]
            part.write(offset, data)
            return "partial" if part.missing(0, size) else self._finish(cid, part)
        except MeshError as error:
            return error.code
        except (OSError, KeyError):  # disk full, EIO: nothing half-written is worth keeping
            self._drop_part(cid)
            return "stored" if self.has(cid) else "store-failed"

    def release(self, cid: Cid) -> None:
        """This blob serves no one here any more: it may go when room is needed."""
        self._drop_part(cid)
        with self._lock:
            blob = self._find(cid)
            if blob is None or blob.released:
                return
            blob.released = True
            with contextlib.suppress(OSError):  # unmarked, it is merely kept longer after a restart
                self._mark(cid).touch(0o600)

    # --- whole blobs ---

    def put(self, data: bytes) -> Cid:
        """Keep these bytes under their name. Raises MeshError with the codes of `write`."""
        cid = cids.cid_of(data)
        self._drop_part(cid)
        code = self.write(cid, 0, data, len(data))
        if code != "stored":
            raise MeshError(code, f"cannot keep a blob of {len(data)} bytes in {self.folder}")
        return cid

    def get(self, cid: Cid) -> bytes | None:
        size = self.size(cid)
        return None if size is None else self.read(cid, 0, size)

    def has(self, cid: Cid) -> bool:
        return self._find(cid) is not None

    def size(self, cid: Cid) -> int | None:
        blob = self._find(cid)
        return None if blob is None else blob.size

    def cids(self) -> tuple[Cid, ...]:
        """Every whole blob, in the order of names."""
        with self._lock:
            self.open()
            return tuple(sorted(self._blobs))

    def view(self) -> tuple[tuple[Cid, int, bool], ...]:
        """Name, size, and whether it is kept, of every whole blob; looking uses none."""
        with self._lock:
            self.open()
            blobs = self._blobs
            return tuple((cid, blobs[cid].size, not blobs[cid].released) for cid in sorted(blobs))

    @property
    def bytes_used(self) -> int:
        """Whole blobs, and the declared sizes of unfinished ones."""
        self.open()
        return self._bytes

    @contextmanager
    def using(self, *names: Cid) -> Iterator[tuple[Path, ...]]:
        """The files of these blobs, which stay while the context lasts. Raises "blob-missing"."""
        with self._lock:
            for cid in names:
                if self._find(cid) is None:
                    raise MeshError("blob-missing", f"the blob {cid} is not here")
            held = [self._blobs[cid] for cid in names]
            for blob in held:
                blob.users += 1
        try:
            yield tuple(self._path(cid) for cid in names)
        finally:
            with self._lock:
                for blob in held:
                    blob.users -= 1

    def fresh_path(self) -> Path:
        """A file name in this folder for bytes on their way to `adopt`."""
        self.open()
        return self.folder / "partial" / f"new-{next(self._names)}"

    def adopt(self, path: Path, cid: Cid, size: int) -> None:
        """Take over a file from `fresh_path`, named and synced by `name_file`.

        Raises MeshError with the codes of `write`.
        """
        try:
            with self._lock:
                if self._find(cid) is not None:
                    path.unlink()
                    self._keep(cid)
                    return
                self._drop_part(cid)
                code = self._make_room(size)
                if code:
                    path.unlink()
                    raise MeshError(code, f"cannot keep a blob of {size} bytes in {self.folder}")
                self._install(path, cid, size)
            sync(self.folder)
        except OSError as error:
            message = f"cannot keep a blob in {self.folder}: {error.strerror}"
            raise MeshError("store-failed", message) from error

    # --- inside ---

    def _scan(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self.folder / "partial"
        partial.mkdir(mode=0o700, exist_ok=True)
        for leftover in sorted(partial.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            if _is_cid(leftover.name) and leftover.with_name(leftover.name + HELD).exists():
                self._leave(Cid(leftover.name), leftover)
            elif not (leftover.name.endswith(HELD) and leftover.with_suffix("").exists()):
                leftover.unlink(missing_ok=True)  # a broken part took its journal with it
        found = []
        for path in self.folder.iterdir():
            if not path.is_symlink() and path.is_file() and _is_cid(path.name):
                stat = path.stat()
                found.append((stat.st_mtime_ns, Cid(path.name), stat.st_size))
        for _, cid, size in sorted(found):
            self._blobs[cid] = _Blob(size, released=self._mark(cid).exists())
            self._bytes += size

    def _leave(self, cid: Cid, path: Path) -> None:
        """A part of a life before: it is read when it is fetched again."""
        part = Part.left(path)
        if part is None or len(self._parts) >= self.partials_max:
            Part(path, 0).drop()
            return
        self._parts[cid] = part
        self._bytes += part.size

    def _path(self, cid: Cid) -> Path:
        return self.folder / cid

    def _mark(self, cid: Cid) -> Path:
        return self.folder / (cid + _RELEASED)

    def _find(self, cid: Cid) -> _Blob | None:
        with self._lock:
            self.open()
            blob = self._blobs.pop(cid, None)
            if blob is not None:
                self._blobs[cid] = blob  # now the most recently used
            return blob

    def _keep(self, cid: Cid) -> None:
        blob = self._blobs[cid]
        if blob.released:
            blob.released = False
            self._mark(cid).unlink(missing_ok=True)

    def _forget(self, cid: Cid) -> None:
        with self._lock:
            blob = self._blobs.pop(cid, None)
            self._bytes -= blob.size if blob is not None else 0
            self._mark(cid).unlink(missing_ok=True)

    def _check_piece(self, part: Part | None, offset: int, length: int, size: int) -> str:
        if part is not None and part.size != size:
            return "bad-piece"
        if size < 0 or offset < 0 or offset + length > size or (length == 0 and size > 0):
            return "bad-piece"
        if part is None:
            if sum(part.open for part in self._parts.values()) >= self.partials_max:
                return "store-full"
            if len(self._parts) >= self.partials_max:
                self._drop_part(next(cid for cid, part in self._parts.items() if not part.open))
            return self._make_room(size)
        return ""

    def _make_room(self, size: int) -> str:
        if size > self.bytes_max:
            return "blob-too-large"
        excess = self._bytes + size - self.bytes_max
        cached = [(c, b.size) for c, b in self._blobs.items() if b.released and not b.users]
        left = [(cid, part.size) for cid, part in self._parts.items() if not part.open]
        if excess > sum(size for _, size in (*cached, *left)):
            return "store-full"
        for cid, freed in (*cached, *left):
            if excess <= 0:
                break
            excess -= freed
            if cid in self._parts:
                self._drop_part(cid)
            else:
                self._path(cid).unlink(missing_ok=True)
                self._forget(cid)
        return ""

    def _begin(self, cid: Cid, size: int) -> Part:
        part = Part.begin(self.folder / "partial" / cid, size)
        self._parts[cid] = part
        self._bytes += size
        return part

    def _finish(self, cid: Cid, part: Part) -> str:
        if part.finish() != cid:
            self._drop_part(cid)
            return "hash-mismatch"
        with self._lock:
            self._install(part.path, cid, part.size)
            self._drop_part(cid)
        sync(self.folder)
        return "stored"

    def _install(self, path: Path, cid: Cid, size: int) -> None:
        path.chmod(0o600)
        path.replace(self._path(cid))
        self._blobs[cid] = _Blob(size)
        self._bytes += size

    def _drop_part(self, cid: Cid) -> None:
        with self._lock:
            part = self._parts.pop(cid, None)
            if part is not None:
                self._bytes -= part.size
                part.drop()


@dataclass(slots=True)
class _Blob:
    size: int
    released: bool = False
    users: int = 0


def name_file(path: Path) -> tuple[Cid, int]:
    """The name and size of a file's bytes, which are synced to disk; runs in any thread."""
    hasher, size = cids.Hasher(), 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            hasher.update(data)
            size += len(data)
        os.fsync(file.fileno())
    return hasher.cid(), size


def _is_cid(name: str) -> bool:
    try:
        cids.check(name)
    except MeshError:
        return False
    return True
