"""Codes of errors, warnings and dropped items: registered, used, and raised with the exit status of the registry."""

from __future__ import annotations

import ast
import itertools
import json
import re
from pathlib import Path

import pytest

from convert import diagnostics, errors
from convert.diagnostics import CODES, Diagnostic, Diagnostics, Dropped
from convert.limits import MAX_WARNINGS

ROOT = Path(__file__).parent.parent
ERRORS = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.ImgconvError)
}
#: Functions and classes that pass a code on to an error.
FACTORIES = {"mismatch": errors.DigestMismatchError, "_RefusedError": errors.FormatError}
SOURCES = sorted((ROOT / "convert").rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}


def _calls():
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                yield f"{path}:{node.lineno}", name, node


def _code(call):
    """Return the `code` of a call: a text, an expression, or None."""
    found = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    return found.value if isinstance(found, ast.Constant) else found


def _used():
    """Yield each code that the sources give to an error, a warning or a dropped item."""
    for _, name, call in _calls():
        what = next((keyword.value for keyword in call.keywords if keyword.arg == "what"), None)
        if isinstance(code := _code(call), str):
            yield code
        elif name == "Dropped" and isinstance(what, ast.Constant):
            yield f"dropped-{what.value}"
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.arguments):
                given = [*node.posonlyargs, *node.args]
                pairs = [*zip(reversed(given), reversed(node.defaults), strict=False)]
                pairs += zip(node.kwonlyargs, node.kw_defaults, strict=True)
                for argument, default in pairs:
                    if argument.arg == "code" and isinstance(default, ast.Constant) and default.value:
                        yield default.value
    yield from (error.default_code for error in ERRORS.values())
    yield from errors._SYSTEM_CODES.values()


def test_codes_are_kebab_case_and_registered_once():
    """A code stands in one group of the registry, and once there."""
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", code) for code in CODES)
    tree = TREES["convert/diagnostics.py"]
    groups = [node.value for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)]
    keys = [ast.literal_eval(key) for group in groups for key in group.keys]
    assert sorted(keys) == sorted(CODES)


def test_every_code_has_a_sentence():
    """One plain sentence states what it means."""
    for code, (kind, meaning) in CODES.items():
        assert kind in {2, 3, 4, "warning", "dropped"}, code
        assert re.fullmatch(r"([A-Z`]|go-).*\.", meaning), code


@pytest.mark.parametrize(("name", "error"), sorted(ERRORS.items()))
def test_default_codes_stand_for_the_exit_status_of_their_class(name, error):
    """An error without a code of its own has that of its class."""
    raised = error("message")
    assert raised.code == error.default_code
    assert CODES[raised.code].kind == error.exit_status, name
    assert error("message", code="other").code == "other"


def test_errors_have_registered_codes_of_their_exit_status():
    """Each place that creates an error gives it a code of its exit status, passes one on, or leaves the default."""
    seen = 0
    for place, name, call in _calls():
        error = ERRORS.get(name) or FACTORIES.get(name)
        code = _code(call)
        if error is None or code is None:
            continue
        seen += 1
        if isinstance(code, str):
            assert code in CODES, (place, code)
            assert CODES[code].kind == error.exit_status, (place, code)
        else:
            assert ast.unparse(code) in {"code", "error.code", "found.code", "problem.code"}, place
    assert seen > 200


def test_warnings_have_registered_codes():
    """Each `Diagnostic` that the sources create has a registered code of a warning."""
    seen = 0
    for place, name, call in _calls():
        code = _code(call)
        if name not in {"Diagnostic", "_warn"} or code is None:  # mypy requires it of a `Diagnostic`
            continue
        if isinstance(code, str):
            seen += 1
            assert CODES[code].kind == "warning", place
        else:
            assert ast.unparse(code) in {"code", "self.code"}, place
    assert seen > 25


def test_dropped_items_have_registered_codes():
    """Each kind of dropped item of the schema has a code."""
    schema = json.loads((ROOT / "schemas" / "report-convert.json").read_text())
    kinds = schema["properties"]["dropped"]["items"]["properties"]["what"]["enum"]
    codes = {Dropped("text", what=kind, of="it").code for kind in kinds if kind != "compress"}
    assert {code for code in CODES if code.startswith("dropped-")} == codes
    assert {code for code, (kind, _) in CODES.items() if kind == "dropped"} == codes | {"compress-without-effect"}


def test_every_registered_code_is_used():
    """No code that nothing can have stands in the registry and the docs."""
    dropped = {code for code in CODES if code.startswith("dropped-")}  # their kinds are partly computed: see above
    assert set(CODES) - dropped == set(_used()) - dropped


def test_the_page_lists_the_registry():
    """docs/codes.md has each code once, in its section, with its meaning and something to do."""
    page = (ROOT / "docs" / "codes.md").read_text()
    row = re.compile(r"^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
    sections = [row.findall(part) for part in page.split("\n## ")[1:]]
    kinds = (2, 3, 4, "warning", "dropped")
    assert len(sections) == len(kinds)
    for kind, rows in zip(kinds, sections, strict=True):
        assert [(code, meaning) for code, meaning, _ in rows] == [
            (code, meaning) for code, (its, meaning) in CODES.items() if its == kind
        ]


def test_a_system_error_has_the_code_of_its_number():
    """The usual reasons of the system have codes of their own; the others are `storage`."""
    for number, code in errors._SYSTEM_CODES.items():
        assert errors.StorageError.from_os(OSError(number, "reason")).code == code
        assert CODES[code].kind == errors.StorageError.exit_status
    assert errors.StorageError.from_os(OSError("no number")).code == "storage"


def test_a_diagnostic_is_its_line():
    """Text output prints it, `--json` has its code; a member is named first."""
    warning = Diagnostic("key", code="json-key-spelling", key="Os")
    inside = warning.within("config.json")
    assert (str(inside), inside.code, inside.data) == (
        "config.json: key",
        "json-key-spelling",
        {"member": "config.json", "key": "Os"},
    )
    assert inside.entry() == {"code": "json-key-spelling", "message": "config.json: key"}


def test_warnings_are_unique_and_bounded():
    """A hostile source gives as many as it likes."""
    found = Diagnostics(Diagnostic(str(n % 5000), code="ignored-member") for n in range(20_000))
    assert len(found) == MAX_WARNINGS + 1
    assert len(set(found)) == len(found)
    assert [warning.code for warning in itertools.islice(found, MAX_WARNINGS - 1, None)] == [
        "ignored-member",
        "too-many-warnings",
    ]
    assert diagnostics.MAX_WARNINGS == MAX_WARNINGS
