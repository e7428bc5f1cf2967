"""Make `support`, `fixtures` and `oracle` importable from every test, and keep the user's own state out of them."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "docs")]

_STATE = tempfile.mkdtemp(prefix="imgconv-state-")
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE

# Started in the background or by nohup, the shell makes a process ignore these; the tests send them to imgconv.
for _number, _handler in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGTERM, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# A busy machine generates inputs slowly; no test fails for that.
settings.register_profile("imgconv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgconv")


def pytest_terminal_summary(terminalreporter):
    """State how many commands of the pages were run, and why the others were not (tests/docs/)."""
    run, skipped, marked = 0, Counter(), None
    for report in terminalreporter.getreports("passed"):
        properties = dict(report.user_properties)
        if found := properties.get("commands"):
            run += found["run"]
            skipped.update(found["skipped"])
        marked = properties.get("marked", marked)
    if not run and marked is None:
        return
    terminalreporter.section("commands of the pages")
    left_out = "; ".join(f"{count} skipped: {reason}" for reason, count in sorted(skipped.items()))
    terminalreporter.line(f"{run} run" + (f"; {left_out}" if left_out else ""))
    if marked is not None:
        terminalreporter.line(f"{len(marked)} blocks are marked 'not run here'")
        for line in marked:
            terminalreporter.line(f"  {line}")
