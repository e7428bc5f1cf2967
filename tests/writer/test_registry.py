"""Targets have capabilities: no code compares their names, or asks for the type of a destination."""

import ast
import io
from pathlib import Path

import pytest

import convert
from convert.errors import UsageError
from convert.layer.context import ReadContext
from convert.writer.dest.layout_dir import LayoutDir
from convert.writer.dest.tar_file import TarFile
from convert.writer.dest.tar_stream import TarStream
from convert.writer.destination import check_options, open_destination, open_tar
from convert.writer.registry import TARGETS, target, targets_with_manifests

ROOT = Path(convert.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
DESTINATIONS = {"LayoutDir", "TarFile", "TarStream"}


def names_in(node):
    """Return the strings that an expression consists of, None if it holds anything else."""
    parts = node.elts if isinstance(node, ast.Set | ast.Tuple | ast.List) else [node]
    values = [part.value if isinstance(part, ast.Constant) else None for part in parts]
    return set(values) if values and all(isinstance(value, str) for value in values) else None


def comparisons_with_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            for part in (node.left, *node.comparators):
                names = names_in(part)
                # "dir" is also a kind of member.
                if names and names <= TARGETS.keys() - {"dir"}:
                    yield f"{path.name}:{node.lineno}: {names}"


def test_no_module_compares_anything_with_the_name_of_a_target():
    assert [line for path in MODULES for line in comparisons_with_names(path)] == []


def test_no_module_asks_for_the_type_of_a_destination():
    found = [
        f"{path.name}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        for name in ast.walk(node.args[1])
        if isinstance(name, ast.Name) and name.id in DESTINATIONS
    ]
    assert found == []


@pytest.mark.parametrize("name", TARGETS)
def test_capabilities_agree_with_each_other_and_with_the_destination(tmp_path, name):
    wanted = target(name)
    assert callable(wanted.writer().items)
    assert not (wanted.manifests and wanted.uncompressed)  # a registry's manifest names compressed layers
    assert wanted.manifest_json or wanted.manifests
    assert (name in targets_with_manifests().split(", ")) == wanted.manifests
    with open_destination(wanted, str(tmp_path / "out"), ["-"], force=False) as out:
        assert type(out) is (LayoutDir if wanted.is_folder else TarFile)
        assert out.open_existing(ReadContext()) is None
    assert list(tmp_path.iterdir()) == []


def test_only_a_folder_is_added_to_and_only_a_tar_goes_to_standard_output(tmp_path):
    for wanted in TARGETS.values():
        if wanted.can_grow:
            check_options(wanted, str(tmp_path / "out"), append=True)
        else:
            with pytest.raises(UsageError, match="--append"):
                check_options(wanted, str(tmp_path / "out"), append=True)
        with pytest.raises(UsageError):
            check_options(wanted, "-", verify_output=True)
    with pytest.raises(UsageError, match="folder"):
        check_options(target("oci"), "-")
    with open_tar("-", stdout=io.BytesIO()) as out:
        assert isinstance(out, TarStream)


def test_an_alias_names_a_target_and_a_misspelled_name_is_refused_with_a_suggestion():
    assert target("docker-archive") is target("docker-save")
    with pytest.raises(UsageError) as caught:
        target("oci-archve")
    assert "oci-archive" in (caught.value.hint or "")
