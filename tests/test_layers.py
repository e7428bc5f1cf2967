"""Imports point to lower floors only: the map in the README is true."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "convert"

#: Room -> floor. The longest prefix of a module's name decides.
FLOORS = {
    # Modules that were moved but not yet split; each is to reach the level of its package.
    "convert.report.diff": 11,
    "convert.errors": 1,
    "convert.limits": 1,
    "convert.diagnostics": 2,
    "convert.progress": 2,
    "convert.cancel": 2,
    "convert._native": 2,
    "convert.schemas": 2,
    "convert.jsonio": 3,
    "convert.codec": 3,
    "convert.model": 4,
    "convert.archive": 5,
    "convert.identity": 5,
    "convert.layer": 6,
    "convert.reader": 7,
    "convert.writer": 8,
    "convert.plan": 9,
    "convert.report": 10,
    "convert.commands": 11,
    "convert.cli": 12,
}

#: Besides the command line, what finds a folder of the user by the XDG specification reads the environment.
ENVIRONMENT = {"convert.writer.user_key"}

#: Within floor 0, what everything may use imports nothing.
FOUNDATIONS = {"convert.cancel", "convert.errors", "convert.limits"}


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor(name: str) -> int:
    parts = name.split(".")
    while parts:
        if (room := ".".join(parts)) in FLOORS:
            return FLOORS[room]
        parts.pop()
    raise AssertionError(f"{name} stands on no floor: give it one in this test and in the README")


def imported(path: Path) -> set[str]:
    """Every module of ours that a file imports, in functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (ROOT.parent / (full.replace(".", "/") + ".py")).exists()
                found.add(full if is_module else node.module)
    return {name for name in found if name.startswith("convert.")}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_to_lower_floors_or_the_same(path):
    name = name_of(path)
    above = {other for other in imported(path) if floor(other) > floor(name)}
    assert not above


@pytest.mark.parametrize("name", sorted(FOUNDATIONS))
def test_errors_and_limits_import_nothing_of_ours(name):
    assert not imported(ROOT / f"{name.removeprefix('convert.')}.py")


def test_formats_that_are_written_never_import_each_other():
    """Except for `oci`, whose functions the other layouts share."""
    written = {"docker_save", "docker_save_25", "docker_oci", "crane", "oci"}
    for module in written:
        others = {f"convert.writer.{other}" for other in written - {module, "oci"}}
        assert not imported(ROOT / "writer" / f"{module}.py") & others, module


def test_only_the_command_line_reads_the_environment_prints_or_exits():
    for path in modules():
        if floor(name_of(path)) == FLOORS["convert.cli"] or name_of(path) in ENVIRONMENT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "input"}, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("os", "environ"), ("os", "getenv"), ("sys", "exit")}, path


def test_no_code_path_reaches_for_network_shell_pickle_or_extraction():
    banned = {
        "socket",
        "ssl",
        "http",
        "urllib",
        "ftplib",
        "requests",
        "subprocess",
        "pickle",
        "marshal",
        "shelve",
        "tarfile",
        "zipfile",
    }
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert not {name.split(".")[0] for name in names} & banned, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path


def test_every_file_is_small_enough_to_have_one_subject():
    long = {name_of(path): lines for path in modules() if (lines := len(path.read_text().splitlines())) > 500}
    assert not long
