"""`--engine`: where the items of a batch run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from convert.errors import UsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

ENGINES: Final = ("local", "dask")
#: The module of each command, which the processes of `local` share.
_MODULES: Final = {
    "validate": "convert.commands.validate.archive",
    "digest": "convert.commands.digest",
    "id": "convert.commands.identify",
    "inspect": "convert.commands.inspect",
    "convert": "convert.commands.convert_one",
}


@contextlib.contextmanager
def open_engine(
    engine: str,
    command: str,
    version: str,
    *,
    jobs: int | None = None,
    timeout: float | None = None,
    memory: int | None = None,
) -> Iterator[tuple[Executor, int | None, Callable[[], None] | None]]:
    """Start an engine; yield its executor, and what `run` takes as `ahead` and `check`.

    Args:
        engine: `local`, `dask` or `dask:ADDRESS`.
        command: what the items run.
        version: of imgconv, which the workers must have too.
        jobs: processes on this machine, one for each core if None.
        timeout: the most seconds that an item may take.
        memory: the most bytes that a process may have in memory.

    Raises:
        UsageError: there is no such engine, or it does not have the limits.
        StorageError: it cannot be reached.
    """
    name, colon, address = engine.partition(":")
    if name not in ENGINES or (colon and (name == "local" or not address)):
        raise UsageError(
            f"{engine!r} is no engine",
            code="invalid-option-value",
            hint=f"{suggestion(name, ENGINES)}local, dask or dask:ADDRESS",
        )
    if name == "local":
        from convert.commands.batch.local import WorkerPool  # noqa: PLC0415 - only the engine that runs

        preload = ("convert.commands.batch.run_one", _MODULES[command])
        pool = WorkerPool(jobs, timeout=timeout, memory=memory, preload=preload)
        try:
            yield pool, None if jobs is None else 4 * jobs, None
        finally:
            pool.shutdown(cancel_futures=True)
        return
    if timeout is not None or memory is not None:
        raise UsageError(
            "--timeout and --memory are limits of the engine local",
            code="incompatible-options",
            hint="Dask's workers have their own: dask worker --memory-limit",
        )
    if jobs is not None and address:
        raise UsageError(
            "--jobs does not change a Dask scheduler that exists",
            code="incompatible-options",
            hint="dask worker --nworkers",
        )
    from convert.commands.batch.dask import dask_executor  # noqa: PLC0415 - as above

    with dask_executor(address or None, jobs, version) as opened:
        yield opened
