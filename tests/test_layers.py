"""The rules of the source tree: which package may import which, and what only some modules may do."""

import ast
import itertools
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "convert"

#: Packages and top modules, lowest level first. A module imports from lower levels and from its own
#: package, never from another package of the same level; imports for types count like any other.
LEVELS = (
    ("convert.errors", "convert.limits"),
    ("convert.diagnostics", "convert.progress", "convert.cancel", "convert._native", "convert.schemas"),
    ("convert.jsonio", "convert.codec"),
    ("convert.model",),
    ("convert.archive", "convert.identity"),
    ("convert.layer",),
    ("convert.reader",),
    ("convert.writer",),
    ("convert.plan", "convert.consumers"),
    ("convert.report",),
    ("convert.commands",),
    ("convert.cli",),
    ("convert", "convert.__main__", "convert.batch"),
)
LEVEL_OF = {package: number for number, packages in enumerate(LEVELS, 1) for package in packages}

#: Rule -> what breaks it for now. An exception that is no longer needed fails its test, so this ends empty.
EXCEPTIONS: dict[str, set] = {
    "levels": set(),
    "cycles": set(),
    "length": set(),
    "id": set(),
}

#: The most packages one above the other, from `convert.cli` down.
DEEPEST = 12
MOST_FILES_AT_THE_TOP = 9
LONGEST = 400
#: What the docstring of a longer file says, with the reason behind it.
REASON = f"Longer than {LONGEST} lines: "

#: Besides the command line, what finds a folder of the user by the XDG specification reads the environment.
ENVIRONMENT = {"convert.writer.user_key"}
#: Writers of one format each; other layouts share the functions of `convert.writer.oci`.
WRITERS = {"docker_save", "docker_save_25", "docker_oci", "crane", "oci"}
BANNED = {
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


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def package_of(module: str) -> str:
    """Return the package of `LEVELS` that a module belongs to."""
    found = ".".join(module.split(".")[:2])
    assert found in LEVEL_OF, f"{module} has no level: name its package in LEVELS"
    return found


@cache
def imported(module: str) -> frozenset[str]:
    """Return every module of ours that a module imports: in functions and for types too."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{module} has a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return frozenset(name for name in found if name.split(".")[0] == "convert")


def check(rule: str, broken: set) -> None:
    """Compare what breaks a rule with its exceptions."""
    assert broken - EXCEPTIONS[rule] == set()
    assert EXCEPTIONS[rule] - broken == set(), "no longer needed: remove it from EXCEPTIONS"


def calls_of(module: str, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call)
        and name == (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None))
    ]


# -- imports ---------------------------------------------------------------------------


def test_modules_import_from_lower_levels_and_their_own_package_only():
    broken = set()
    for module in MODULES:
        own = package_of(module)
        for other in imported(module):
            theirs = package_of(other)
            if theirs != own and LEVEL_OF[theirs] >= LEVEL_OF[own]:
                broken.add((module, other))
    check("levels", broken)


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            start = stack.index(node)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_cycles_are_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "c"}}) == [["b", "c"]]
    assert cycles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imported(module) & MODULES.keys() for module in MODULES}
    check("cycles", {tuple(each) for each in cycles(graph)})


def test_no_chain_of_packages_below_the_command_line_is_too_deep():
    below: dict[str, set[str]] = {}
    for module in MODULES:
        own = package_of(module)
        below.setdefault(own, set()).update(package_of(other) for other in imported(module))

    @cache
    def depth(package: str) -> int:
        lower = [other for other in below.get(package, ()) if LEVEL_OF[other] < LEVEL_OF[package]]
        return 1 + max(map(depth, lower), default=0)

    assert depth("convert.cli") <= DEEPEST


@pytest.mark.parametrize("module", ["convert.cancel", "convert.errors", "convert.limits"])
def test_what_everything_may_use_imports_nothing_of_ours(module):
    assert not imported(module)


@pytest.mark.parametrize("module", sorted(WRITERS))
def test_the_writers_of_formats_do_not_import_each_other(module):
    others = {f"convert.writer.{other}" for other in WRITERS - {module, "oci"}}
    assert not imported(f"convert.writer.{module}") & others


# -- what modules may do ---------------------------------------------------------------


def test_only_the_command_line_reads_the_environment_prints_or_exits():
    for module in MODULES:
        if package_of(module) == "convert.cli" or module in ENVIRONMENT:
            continue
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "input"}, module
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("os", "environ"), ("os", "getenv"), ("sys", "exit")}, module


def test_nothing_uses_network_shell_pickle_or_extraction():
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            assert not {name.split(".")[0] for name in names} & BANNED, module
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, module


def test_only_the_pool_constructs_executors():
    assert {module for module in MODULES if calls_of(module, "ThreadPoolExecutor")} == {"convert.layer.pool"}
    assert not {module for module in MODULES if calls_of(module, "ProcessPoolExecutor")}


def test_no_object_is_a_key_by_its_id():
    """Objects compare by identity and are keys themselves; an `id()` outlives its object."""
    check("id", {module for module in MODULES if calls_of(module, "id")})


# -- files -----------------------------------------------------------------------------


def test_the_top_folder_holds_few_files():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    assert len(files) <= MOST_FILES_AT_THE_TOP


def test_a_long_file_gives_its_reason():
    broken = set()
    for module, path in MODULES.items():
        reason = REASON in " ".join((ast.get_docstring(tree_of(module)) or "").split()) + " "
        is_long = len(path.read_text().splitlines()) > LONGEST
        assert is_long or not reason, f"{module} gives a reason and is not long"
        if is_long and not reason:
            broken.add(module)
    check("length", broken)


def test_levels_name_only_what_is_there():
    there = {".".join(module.split(".")[:2]) for module in MODULES} | {"convert.schemas"}
    assert not set(itertools.chain(*LEVELS)) - there
