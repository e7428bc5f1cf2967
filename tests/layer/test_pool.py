"""One pool runs the work of a command: results in order, the first failure stops the rest."""

import signal
import threading
from functools import partial

import pytest

from convert.cancel import TOKEN, Cancel, Cancelled, Stopped
from convert.layer.pool import Pool, Task


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_items(jobs):
    with Pool(jobs) as pool:
        assert pool.map(lambda number: number * number, range(5000)) == [number * number for number in range(5000)]


def test_results_lie_under_their_keys():
    with Pool(2) as pool:
        work = (Task(key, partial(str, key)) for key in (3, 1, 2))
        assert list(pool.gather(work).items()) == [(3, "3"), (1, "1"), (2, "2")]


def test_small_tasks_run_in_groups_and_never_side_by_side():
    """Threads that take turns with Python cost more than one: 10,000 layers took 16 seconds of the kernel's time."""
    running, most, threads = 0, 0, set()
    lock = threading.Lock()

    def call(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threads.add(threading.current_thread())
        with lock:
            running -= 1
        return number

    submitted = []
    with Pool(3) as pool:
        submit = pool.submit
        pool.submit = lambda *arguments: submitted.append(arguments) or submit(*arguments)
        assert pool.map(call, range(1000), size=lambda _: 100) == list(range(1000))
        assert len(submitted) == 16
    assert most == 1


def test_large_tasks_run_side_by_side_while_small_ones_do():
    meeting = threading.Barrier(3, timeout=60)
    sizes = [None, 5000, 100]
    with Pool(3) as pool:
        assert pool.map(lambda _: meeting.wait() >= 0, sizes, size=lambda size: size) == [True] * 3


@pytest.mark.parametrize("sizes", [[], [1], [None], [1, 1, 9000, 1], [9000, None, *[1] * 130, 9000, 1]])
def test_grouped_tasks_keep_their_order(sizes):
    with Pool(2) as pool:
        assert pool.map(lambda each: each[0], list(enumerate(sizes)), size=lambda each: each[1]) == list(
            range(len(sizes))
        )


def test_the_first_failure_stops_what_runs_and_drops_what_waits():
    begun = threading.Event()
    ends = []

    def reads_until_stopped():
        begun.set()
        try:
            while True:
                pool.cancel.check()
        except Stopped as error:
            ends.append(error)
            raise

    def fails():
        begun.wait(60)
        raise ValueError("damaged")

    with Pool(2) as pool:
        futures = [pool.submit(reads_until_stopped), pool.submit(fails), *(pool.submit(ends.append, 1) for _ in "abc")]
        with pytest.raises(ValueError, match="damaged"):
            pool.wait(futures)
    assert [type(end) for end in ends if end != 1] == [Stopped]
    assert all(future.done() for future in futures)


def test_large_layers_run_one_at_a_time_beside_the_others():
    running, most = 0, 0
    lock, other = threading.Lock(), threading.Event()

    def large():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert other.wait(60)
        with lock:
            running -= 1

    with Pool(3) as pool:
        futures = [pool.submit_large(large) for _ in range(4)]
        pool.wait([pool.submit(other.set)])
        pool.wait(futures)
    assert most == 1


def test_layer_threads_may_wait_for_codec_tasks_even_if_all_of_them_do():
    with Pool(2) as pool:
        assert pool.map(lambda number: pool.codec.submit(lambda: number).result(), range(50)) == list(range(50))


def test_an_error_of_the_command_stops_the_threads():
    begun = threading.Event()
    cancel = Cancel()

    def reads_until_stopped():
        begun.set()
        while True:
            cancel.check()

    futures = []

    def command():
        with Pool(1, cancel=cancel) as pool:
            futures.append(pool.submit(reads_until_stopped))
            begun.wait(60)
            raise ValueError("elsewhere")

    with pytest.raises(ValueError, match="elsewhere"):
        command()
    assert isinstance(futures[0].exception(), Stopped)


def test_a_signal_ends_the_wait_although_no_task_ends():
    """The token is set without an exception: the wait has to look by itself."""
    release = threading.Event()

    def work():
        TOKEN.request(signal.SIGTERM)
        # Ends only once the waiting thread has seen the request and stops the run.
        while not pool.cancel.stopped:
            release.wait(0.01)

    try:
        with Pool(1) as pool, pytest.raises(Cancelled) as error:
            pool.wait([pool.submit(work)])
    finally:
        TOKEN.clear()
    assert error.value.number == signal.SIGTERM


def test_a_pool_without_work_starts_no_thread():
    before = threading.active_count()
    with Pool(4):
        assert threading.active_count() == before


def test_no_other_module_makes_executors():
    from pathlib import Path

    import convert

    root = Path(convert.__file__).parent
    users = {str(path.relative_to(root)) for path in root.rglob("*.py") if "ThreadPoolExecutor(" in path.read_text()}
    assert users == {"layer/pool.py"}
