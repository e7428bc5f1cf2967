"""JSON documents: what we accept, Python's json reads to the same value; depth and size are bounded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import fuzz, one_line

from convert.errors import InputError
from convert.jsonio import go_struct, go_time, strict
from convert.model import config
from convert.model.config import Config


def one(data: bytes) -> None:
    try:
        value = strict.parse(data, where="x", member="y")
    except InputError as error:
        one_line(error)
        return
    assert json.loads(data) == value
    json.dumps(value).encode()
    try:
        parsed = Config.parse(data, where="x", member="y")
        _ = parsed.created_seconds, parsed.parent, parsed.history_for_layers()
    except InputError as error:
        one_line(error)


if __name__ == "__main__":
    fuzz(one, strict, config, go_struct, go_time)
