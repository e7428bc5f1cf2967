"""`--engine`: where the items of a batch run."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.commands.batch.started import Started
from convert.errors import UsageError, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINES: Final = ("local", "dask")
#: Items that are submitted at a time for each process, so that none waits for its next one.
_AHEAD: Final = 4
#: The module of each command, which the processes of this machine share.
_MODULES: Final = {
    "validate": "convert.commands.validate.images",
    "digest": "convert.commands.digest",
    "id": "convert.commands.identify",
    "inspect": "convert.commands.inspect",
    "convert": "convert.commands.convert_one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine and its limits, checked before anything begins.

    Attributes:
        spelling: `local`, `dask` or `dask:ADDRESS`.
        jobs: processes on this machine, one for each core if None.
        timeout: the most seconds that an item may take.
        memory: the most bytes that a process may have in memory.
    """

    spelling: str = "local"
    jobs: int | None = None
    timeout: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        """Check that there is such an engine, and that it has these limits.

        Raises:
            UsageError: there is none, or it does not.
        """
        name, colon, address = self.spelling.partition(":")
        if name not in ENGINES or (colon and (name == "local" or not address)):
            raise UsageError(
                f"{shortened(self.spelling, 100)!r} is not an engine",
                code="invalid-option-value",
                hint=f"{suggestion(name, ENGINES)}local, dask or dask:ADDRESS",
            )
        if name == "local":
            if self.memory is not None and not os.path.exists("/proc/self/statm"):
                raise UsageError(
                    f"--memory needs /proc, which {sys.platform} does not have", code="limit-not-supported"
                )
            return
        if self.timeout is not None or self.memory is not None:
            raise UsageError(
                "--timeout and --memory are limits of the engine local",
                code="incompatible-options",
                hint="Dask's workers have their own: dask worker --memory-limit",
            )
        if self.jobs is not None and address:
            raise UsageError(
                "--jobs does not change a Dask scheduler that exists",
                code="incompatible-options",
                hint="dask worker --nworkers",
            )

    @contextlib.contextmanager
    def start(self, command: str, version: str) -> Iterator[Started]:
        """Start the engine; it ends with the context.

        Args:
            command: what the items run.
            version: of imgconv, which the workers must have too.

        Raises:
            UsageError: a package is missing, or a worker has another version.
            StorageError: the engine cannot be reached.
        """
        preload = ("convert.commands.batch.run_one", _MODULES[command])
        if self.spelling == "local":
            from convert.commands.batch.local import WorkerPool  # noqa: PLC0415 - only the engine that runs

            pool = WorkerPool(self.jobs, timeout=self.timeout, memory=self.memory, preload=preload)
            try:
                yield Started(pool, None if self.jobs is None else _AHEAD * self.jobs)
            finally:
                pool.shutdown(cancel_futures=True)
            return
        from convert.commands.batch.dask import dask_executor  # noqa: PLC0415 - as above

        with dask_executor(self.spelling.partition(":")[2] or None, self.jobs, version, preload=preload) as started:
            yield started
