"""Make `support`, `fixtures` and `oracle` importable from every test, and keep the user's own state out of them."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

_STATE = tempfile.mkdtemp(prefix="imgconv-state-")
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE
