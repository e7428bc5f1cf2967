"""The engine `dask`: dask.distributed, a scheduler that exists or a cluster on this machine.

A Dask scheduler runs any code as the user of its workers, and whoever reaches its port may send some (SECURITY.md).
Imported only with the extra `imgconv[fleet]`.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import time
import warnings
from concurrent.futures import Executor, Future, InvalidStateError
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convert import cancel
from convert.commands.batch.addresses import is_url, without_credentials
from convert.commands.batch.chunks import run_several
from convert.commands.batch.started import Started
from convert.errors import ImgconvError, StorageError, UsageError, shortened
from convert.limits import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.commands.batch.item import Item
    from convert.report.batch import Row

_T = TypeVar("_T")

#: Seconds to wait for a scheduler and its first worker.
_PATIENCE: Final = 30
#: Seconds in which Dask starts a worker again whose process ended.
_REVIVAL: Final = 3
#: The roots of the loggers of Dask and of what it uses.
_LOGGERS: Final = ("distributed", "tornado", "asyncio")
#: Environment variables that Dask gives the workers that it starts.
_WORKER_ENVIRONMENT: Final = "distributed.nanny.pre-spawn-environ"
#: The one that makes a worker return every freed buffer to the system, and fetch it again for the next read: hashing
#: took twice the processor time with it.
_TRIM: Final = "MALLOC_TRIM_THRESHOLD_"
#: What a cluster of this machine does otherwise than others: its processes share the cores with the work, so they
#: look after themselves once a second at most. With Dask's own intervals that takes a tenth of a core.
_SETTINGS: Final = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
    # A worker is forked from a process that has imported everything: in a third of the time.
    "distributed.worker.multiprocessing-method": "forkserver",
    # Whatever a worker had when it died runs again alone; there it has as many attempts once more.
    "distributed.scheduler.allowed-failures": 1,
}
#: Chunks that are submitted at a time for each thread of the workers.
_AHEAD: Final = 4


@contextlib.contextmanager
def dask_executor(
    address: str | None, jobs: int | None, version: str, *, preload: Sequence[str] = ()
) -> Iterator[Started]:
    """Connect to a scheduler, or start a cluster on this machine with `jobs` workers of one thread.

    `preload` are modules that these workers import once for all.

    Raises:
        UsageError: the extra is not installed, or a worker has another version of imgconv.
        StorageError: the scheduler does not answer, or has no worker.
    """
    if address is None:
        _start_fork_server(preload)
    try:
        import dask  # noqa: PLC0415 - only with the extra
        from distributed import Client, LocalCluster  # noqa: PLC0415 - only with the extra
    except ImportError:
        raise UsageError(
            "the engine dask needs dask.distributed, which is not installed",
            code="missing-package",
            hint="pip install 'imgconv[fleet]'",
        ) from None
    _silence_logs()
    shown = without_credentials(address) if address and is_url(address) else address or "a cluster on this machine"
    with contextlib.ExitStack() as stack:
        try:
            if address is None:
                given = dask.config.get(_WORKER_ENVIRONMENT)
                environment = {name: value for name, value in given.items() if name != _TRIM}
                # As long as the cluster runs: workers that take the place of dead ones are started with them too.
                stack.enter_context(dask.config.set(_SETTINGS | {_WORKER_ENVIRONMENT: environment}))
                # Workers listen on this machine only, without a dashboard.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # its port of choice for HTTP may be in use
                    cluster: Any = LocalCluster(
                        n_workers=jobs or usable_cores(),
                        threads_per_worker=1,
                        host="127.0.0.1",
                        dashboard_address=None,
                        worker_dashboard_address=None,
                        silence_logs="CRITICAL",
                    )
                stack.callback(_quietly, cluster.close)
                look = _Processes(cluster).look
                client = Client(cluster)
            else:
                client, look = Client(address, timeout=_PATIENCE), None
            stack.callback(_quietly, client.close)
            threads = _wait_for_workers(client, shown)
            _check_versions(client, version, shown)
        except ImgconvError:
            raise
        except Exception as error:
            raise _lost(shown, error) from error

        def check() -> None:
            # A client that lost its scheduler tries again, but has given up its items.
            if client.status != "running":
                raise _lost(shown, None)
            if look is not None:
                look()

        yield Started(_Executor(client), _AHEAD * threads, check, lambda error: _lifetime(client, error), run_chunk)


class _Executor(Executor):
    """Submits calls to a client of Dask.

    That of Dask (`Client.get_executor`) never ends a call whose result is lost with its worker, and which fails
    when it is run again: the run would wait forever.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Submit a call."""
        task = self._client.submit(fn, *args, **kwargs, pure=False)
        future: Future[_T] = Future()

        def cancel_task(ended: Future[_T]) -> None:
            if ended.cancelled():
                _quietly(task.cancel)

        future.add_done_callback(cancel_task)
        self._client.loop.add_callback(self._pass_on, task, future)
        return future

    async def _pass_on(self, task: Any, future: Future[Any]) -> None:
        """Wait for a task in the thread of the client, and end the future as it ended."""
        try:
            result = await self._client.gather(task, asynchronous=True)
        except BaseException as error:  # noqa: BLE001 - the run decides what it means
            with contextlib.suppress(InvalidStateError):  # the run has cancelled it
                future.set_exception(error)
        else:
            with contextlib.suppress(InvalidStateError):
                future.set_result(result)


class _Processes:
    """The worker processes of a cluster of this machine.

    Dask starts a worker again that died, but not if it died while it started.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._next = 0.0
        #: When each process was seen to be gone, by the name of its worker.
        self._gone: dict[Any, float] = {}
        self._alive = time.monotonic()

    def look(self) -> None:
        """Start processes again that are gone and that Dask has not started for some seconds.

        Raises:
            StorageError: there has been no process for long.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 1
        for name, nanny in list(self._cluster.workers.items()):
            if nanny.is_alive():
                self._gone.pop(name, None)
                self._alive = now
            elif now - self._gone.setdefault(name, now) > _REVIVAL:
                self._gone[name] = now
                self._cluster.loop.add_callback(nanny.instantiate)
        if now - self._alive > _PATIENCE:
            raise StorageError(
                "the workers of the Dask cluster on this machine cannot be started again",
                code="engine-lost",
                hint="start the run again; it does what is missing",
            )


def _start_fork_server(preload: Sequence[str]) -> None:
    """Start the process that workers are forked from; it imports what they need while this one does too."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["distributed", __name__, *preload])
    # A terminal sends these to all processes of the run, and only the run is to act on them: Dask's workers would
    # print a traceback. They inherit this.
    blocked = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        resource_tracker.ensure_running()  # it unblocks SIGINT here
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _silence_logs() -> None:
    """Let these libraries log nothing: what is lost is an error of ours, in one line.

    distributed gives some of its loggers a level and a handler of their own.
    """
    for name in [*_LOGGERS, *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _wait_for_workers(client: Any, shown: str) -> int:
    """Return the number of threads of all workers, once there is one."""
    end = time.monotonic() + _PATIENCE
    while True:
        cancel.check()
        threads = sum(client.nthreads().values())
        if threads:
            return int(threads)
        if time.monotonic() > end:
            raise StorageError(f"{shown} has no worker", code="engine-lost", hint="start one: dask worker ADDRESS")
        time.sleep(cancel.INTERVAL)


def _check_versions(client: Any, version: str, shown: str) -> None:
    """Refuse workers without imgconv, or with another version of it."""
    found = client.run(worker_version, on_error="return")
    for worker, answer in found.items():
        if answer != version:
            what = f"imgconv {answer}" if isinstance(answer, str) else "no imgconv"
            raise UsageError(
                f"worker {worker} of {shown} has {what}, and this is {version}",
                code="worker-version",
                hint="install the same version there",
            )


def _lifetime(client: Any, error: BaseException) -> float | None:
    """Return the seconds from when a task was first given to a worker to when its last worker died.

    None if the scheduler does not know it any more.
    """
    key = getattr(error, "task", None)  # of KilledWorker
    if key is None:
        return None
    try:
        story = client.story(key, on_error="ignore")
        moves = [(entry[3], float(entry[-1])) for entry in story if entry[:2] == ("scheduler", key)]
    except Exception:  # noqa: BLE001 - the item has its row without it
        return None
    begun = next((moment for state, moment in moves if state == "processing"), None)
    return None if begun is None else max(moves[-1][1] - begun, 0.0)


def worker_version() -> str:
    """Return the version of imgconv that a worker has; runs there."""
    from importlib.metadata import version  # noqa: PLC0415 - only here

    return version("imgconv")


def run_chunk(items: Sequence[Item]) -> list[Row]:
    """Run items until the run does not want them any more; runs in a worker."""
    from distributed import get_worker  # noqa: PLC0415 - only with the extra

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        # Dask does not end a task that runs; it only marks one whose result nobody waits for.
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    return run_several(items, is_wanted)


def _quietly(function: Callable[..., Any], **arguments: Any) -> None:
    with contextlib.suppress(Exception):
        function(**arguments)


def _lost(shown: str, error: BaseException | None) -> StorageError:
    why = f": {shortened(f'{type(error).__name__}: {error}', 300)}" if error is not None else ""
    return StorageError(
        f"the Dask scheduler at {shown} does not answer{why}",
        code="engine-lost",
        hint="start the run again; it does what is missing",
    )
