"""The engine `local`: a process that dies takes its own call with it, and nothing else."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import wait

import pytest

from convert.batch import WorkerDiedError, WorkerPool


@pytest.fixture(autouse=True)
def _without_main(monkeypatch):
    """Processes that multiprocessing starts import the program of their parent, which is pytest here."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


def test_calls_run_in_processes_that_are_used_again():
    with WorkerPool(2) as pool:
        pids = {future.result() for future in [pool.submit(os.getpid) for _ in range(50)]}
        assert 1 <= len(pids) <= 2
        assert os.getpid() not in pids
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 7, 0).result()
        with pytest.raises(TypeError, match="pickle"):
            pool.submit(len, [sys.stdout]).result()
        with pytest.raises(RuntimeError, match="cannot be sent"):
            pool.submit(open, os.devnull).result()
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(RuntimeError):
        pool.submit(os.getpid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_that_dies_takes_only_its_own_call(number):
    with WorkerPool(2) as pool:
        calls = [pool.submit(divmod, count, 3) for count in range(20)]
        dying = [pool.submit(signal.raise_signal, number), pool.submit(os._exit, 3)]
        calls += [pool.submit(divmod, count, 3) for count in range(20, 40)]
        assert [call.result() for call in calls] == [divmod(count, 3) for count in range(40)]
        assert isinstance(dying[1].exception(), WorkerDiedError)
        assert (dying[1].exception().code, dying[1].exception().exit_status) == ("worker-died", 4)
        # SIGTERM only asks for the end of a call, and this one had ended.
        assert isinstance(dying[0].exception(), WorkerDiedError) == (number != signal.SIGTERM)


def test_idle_processes_that_die_take_no_call():
    with WorkerPool(2) as pool:
        for _ in range(5):
            wait([pool.submit(time.sleep, 0.01) for _ in range(4)])
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)
            assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_a_call_that_takes_too_long_is_ended_though_it_ignores_signals():
    with WorkerPool(1, timeout=1.0) as pool:
        late = pool.submit(time.sleep, 600)
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert late.exception().code == "timeout"


#: Takes 3 GiB of memory a little at a time, and keeps it. A worker need not be able to import this module.
_FILL = """
import time
kept = []
for _ in range(384):
    kept.append(bytearray(b"x" * (8 << 20)))
    time.sleep(0.01)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc here")
def test_a_call_that_needs_too_much_memory_is_ended():
    with WorkerPool(1, memory=300 << 20) as pool:
        assert pool.submit(bytes.__len__, bytes(50 << 20)).result() == 50 << 20
        large = pool.submit(exec, _FILL)
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert large.exception().code == "memory"


def test_what_has_not_begun_is_cancelled():
    pool = WorkerPool(1)
    running = pool.submit(time.sleep, 600)
    waiting = pool.submit(divmod, 7, 2)
    while not running.running():
        time.sleep(0.01)
    pool.shutdown(cancel_futures=True)
    assert waiting.cancelled()
    assert isinstance(running.exception(), WorkerDiedError)


def test_processes_end_with_the_run():
    """Also if it is killed: none is left behind."""
    code = (
        "import os, time\nfrom convert.batch import WorkerPool\n"
        "pool = WorkerPool(2)\n"
        "[pool.submit(time.sleep, 600) for _ in range(2)]\n"
        "while len(pool.pids) < 2: time.sleep(0.01)\n"
        "print(*pool.pids, flush=True)\n"
        "time.sleep(0.3)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    for _ in range(300):
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("processes are left")


def test_a_call_that_is_lost_states_how_long_it_ran():
    """Not the time that it waited for a process, and never nothing."""
    with WorkerPool(1, timeout=0.5) as pool:
        slow = pool.submit(time.sleep, 0.4)
        late = pool.submit(time.sleep, 600)
        assert slow.result() is None
        assert 0.5 <= late.exception().seconds < 60
        died = pool.submit(exec, "import os, time; time.sleep(0.2); os._exit(3)")
        assert died.exception().seconds >= 0.2
