"""Every hostile or damaged input: one clear line and no output, or accepted with a warning."""

from __future__ import annotations

import json

import pytest
from hostile import (
    cases_compression,
    cases_dir,
    cases_docker,
    cases_documents,
    cases_keys,
    cases_links,
    cases_oci,
    cases_tar,
)
from hostile.building import Docker, Layout
from support import FORMATS

from convert.cli.main import run
from convert.diagnostics import CODES
from convert.errors import DigestMismatchError, ImgconvError

GROUPS = (cases_tar, cases_links, cases_documents, cases_keys, cases_docker, cases_oci, cases_compression, cases_dir)
CASES = [case for group in GROUPS for case in group.CASES]
IDS = [f"{group.__name__.rpartition('_')[2]}: {case.name}" for group in GROUPS for case in group.CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_convert_says_what_is_wrong_and_writes_nothing(case, tmp_path, capsys):
    """One line that names the file and the fault, exit 3, nothing beside; or a warning and a result.

    The only test of this table that looks at the wording; the others check codes.
    """
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    status = run([str(source), "--to", "oci", str(tmp_path / "out"), "--jobs", "1", *case.options])
    printed = capsys.readouterr()
    assert (status, printed.err) == (case.status, _Saying(case.says))
    assert all(char.isprintable() for char in printed.err.replace("\n", ""))
    if status:
        *warnings, line = printed.err.splitlines()
        assert str(source) in line
        assert case.says in line
        assert all(warning.startswith("imgconv: ") for warning in warnings)
        assert printed.out == ""
        assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]
    else:
        assert (tmp_path / "out" / "index.json").is_file()


class _Saying:
    """Equal to any text that holds a part; shows it where they differ."""

    def __init__(self, part):
        self.part = part

    def __eq__(self, text):
        return self.part in text

    def __repr__(self):
        return f"<text with {self.part!r}>"

    __hash__ = None


def _error_of(arguments):
    """Return the error with which a command ends."""
    with pytest.raises(ImgconvError) as raised:
        run([*arguments, "--jobs", "1", "--debug"])
    return raised.value


@pytest.mark.parametrize("case", [case for case in CASES if case.status], ids=lambda case: case.name)
def test_the_code_and_the_data_of_an_error_identify_the_fault(case, tmp_path):
    """The code is that of the table, the status that of the code; the data name the source and both digests."""
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    error = _error_of([str(source), "--to", "oci", str(tmp_path / "out"), *case.options])
    assert (error.code, error.exit_status) == (case.code, case.status), error
    assert CODES[case.code].kind == case.status
    assert str(source) in {error.file, error.member}
    if isinstance(error, DigestMismatchError):
        assert error.wanted
        assert error.got != error.wanted or error.size is not None


@pytest.mark.parametrize("case", [case for case in CASES if not case.status], ids=lambda case: case.name)
def test_the_code_of_a_warning_identifies_what_was_accepted(case, tmp_path, capsys):
    """`--json` lists each warning with its code; one is expected where the table names it."""
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    assert run([str(source), "--to", "oci", str(tmp_path / "out"), "--jobs", "1", "--json", *case.options]) == 0
    warnings = json.loads(capsys.readouterr().out)["remarks"]
    codes = {warning["code"] for warning in warnings}
    assert all(CODES[code].kind in {"warning", "dropped"} for code in codes)
    # Every result has an address, and a kept manifest may have uncompressed layers.
    assert codes - {"result-address", "result-commands", "layers-kept-uncompressed"} >= (
        {case.code} if case.code else set()
    )
    assert bool(case.says) == bool(case.code)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "oci"])
@pytest.mark.parametrize("case", [case for case in CASES if case.status == 3], ids=lambda case: case.name)
def test_what_one_target_refuses_no_target_takes(case, form, tmp_path):
    """Also where a target leaves the bytes at fault out, or writes those of another layer of that name."""
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    assert _error_of([str(source), "--to", form, str(tmp_path / "out"), *case.options]).code == case.code


COMMANDS = (
    ("id", "{source}"),
    ("id", "--json", "--engine", "docker-containerd", "{source}"),
    ("inspect", "{source}", "--verify"),
    ("inspect", "--json", "{source}"),
    ("validate", "{source}"),
    ("digest", "{source}"),
    ("diff", "{source}", "{good}"),
    ("match", "{source}", "{manifest}"),
    ("{source}", "--to", "docker-save", "{out}.save"),
    ("{source}", "--to", "docker-save@25", "{out}.save25"),
    ("{source}", "--to", "docker-oci", "{out}.oci"),
    ("{source}", "--to", "crane", "{out}.crane", "--recompress"),
    ("--add-repositories", "{source}", "{out}.again"),
)
#: Done, the answer is no, cannot be met, or the source's fault; all else is a fault of ours.
STATUSES = {0, 1, 2, 3}


@pytest.fixture(scope="session")
def beside(tmp_path_factory):
    """A good archive to compare with, and a manifest to match."""
    folder = tmp_path_factory.mktemp("good")
    good, manifest = folder / "good.tar", folder / "manifest.json"
    good.write_bytes(Docker().build())
    manifest.write_bytes(next(data for name, data in Layout().parts().items() if b'"layers"' in data))
    return good, manifest


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_command_ends_with_a_status_of_its_own(case, tmp_path, capsys, beside):
    """No traceback, no raw control character, no output that is not whole."""
    source = tmp_path / "in.tar"
    source.write_bytes(case.build())
    names = {"source": source, "good": beside[0], "manifest": beside[1], "out": tmp_path / "out"}
    for words in COMMANDS:
        before = {path.name for path in tmp_path.iterdir()}
        status = run([word.format(**names) for word in words])
        printed = capsys.readouterr()
        assert status in STATUSES, (words, printed.err)
        for text in (printed.out, printed.err):
            assert all(char.isprintable() or char == "\n" for char in text), (words, text)
        if status == 3:
            assert printed.err or words[0] == "validate"
            assert {path.name for path in tmp_path.iterdir()} == before, words
