"""The parallel encoders on several threads, under the sanitizers and without Python (threads.c)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import recipes

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "convert/_native"

SANITIZERS = {"none": [], "thread": ["-fsanitize=thread"], "address": ["-fsanitize=address,undefined"]}
PROFILES = 31 + 60  # in segments, in pieces
# Guesses that are right at once, that become right, and that stay wrong.
RECIPES = [
    [["tar", 1, 120], ["noise", 2, 70000, 256], ["code", 3, 300000]],
    [["noise", 1, 33000, 256], ["edit", 20000, 700000, 300]],
    [["noise", 1, 30011, 256], ["cycle", 700000]],
]


@pytest.fixture(
    scope="module",
    params=["none", *(pytest.param(name, marks=pytest.mark.slow) for name in SANITIZERS if name != "none")],
)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("there is no cc on PATH")
    path = tmp_path_factory.mktemp(request.param) / "threads"
    sources = [str(source) for source in sorted(CORE.rglob("*.c")) if source.name != "binding.c"]
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-g", "-O1", "-ffp-contract=off", f"-I{CORE}"]
    sanitizers = [*SANITIZERS[request.param], *(["-fno-sanitize-recover=all"] if request.param != "none" else [])]
    command = ["cc", *flags, *sanitizers, str(HERE / "threads.c"), *sources, "-lpthread", "-o", str(path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0 and ("asan" in built.stderr or "tsan" in built.stderr):
        pytest.skip("needs the sanitizers' libraries")
    assert built.returncode == 0, built.stderr
    return path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: "-".join(str(step[0]) for step in recipe))
def test_threads_give_the_serial_bytes_and_leave_the_sanitizers_silent(
    program: Path, recipe: list[list[str | int]], tmp_path: Path
) -> None:
    (tmp_path / "input").write_bytes(recipes.make(recipe))
    ran = subprocess.run([program, tmp_path / "input"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{PROFILES} profiles\n", "")
