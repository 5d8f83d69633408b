"""Dask: the same trials on a cluster of machines, with the extra `meshd[dask]`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from importlib.metadata import version
from typing import Any

from protocols.errors import InputError
from sim.results.trial import Trial, carry_out, finished_of
from sim.results.workers import Done, crashed

CONNECT_S = 10.0


class DaskWorkers:
    """The workers of a cluster whose scheduler listens at an address (`tcp://10.0.0.7:8786`).

    Scenario, script and catalogue travel with each trial, and its outcome comes back: machines
    need this program, of the same version, and nothing in common on their disks.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, trials: Sequence[Trial]) -> Generator[Done, None, None]:
        """Raises InputError: "dask-missing", "dask-unreachable", "dask-no-workers", or
        "dask-version"."""
        distributed = _distributed()
        client = self._client(distributed)
        try:
            _check(client)
            waiting = {client.submit(carry_out, t, pure=False): t for t in trials}
            for future in distributed.as_completed(list(waiting), loop=client.loop):
                trial = waiting.pop(future)
                error = future.exception()
                yield trial, (finished_of(future.result()) if error is None else crashed(error))
                future.release()
        finally:
            client.close()  # what is not finished is forgotten by the scheduler

    def _client(self, distributed: Any) -> Any:
        try:
            return distributed.Client(self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            said = f"no Dask scheduler answers at {self._address}: {error}"
            raise InputError("dask-unreachable", said) from None


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        said = "--dask needs the extra: pip install 'meshd[dask]'"
        raise InputError("dask-missing", said) from None
    return distributed


def _check(client: Any) -> None:
    versions: dict[str, str] = client.run(worker_version, on_error="return")
    if not versions:
        raise InputError("dask-no-workers", "the Dask scheduler has no workers")
    wrong = [f"{name}: {v}" for name, v in sorted(versions.items()) if v != version("meshd")]
    if wrong:
        said = f"every worker needs meshd {version('meshd')}, but {'; '.join(wrong)}"
        raise InputError("dask-version", said)


def worker_version() -> str:
    """What a worker has installed."""
    return version("meshd")
