"""Make `support`, `fixtures` and `oracle` importable from every test, and keep the user's own state out of them."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

_STATE = tempfile.mkdtemp(prefix="imgconv-state-")
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE

# A busy machine generates inputs slowly; no test fails for that.
settings.register_profile("imgconv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgconv")
