"""gojson and gotime against the Go at hand, any release: the same bytes for any document."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.errors import FormatError
from convert.jsonio.go_encode import RawJSON, dumps, members, sorted_map
from convert.jsonio.go_time import Time

GO = shutil.which("go")
GOLDEN = json.loads((Path(__file__).parents[2] / "testdata/match/gojson.json").read_bytes())

pytestmark = pytest.mark.skipif(GO is None, reason="there is no go on PATH")

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('<>&\u2028\u2029\b\f\n\r\t\\"/\x7f\0😀'))
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
# Right and nearly right: each part is in range most of the time.
TWO = st.integers(0, 99).map(lambda number: f"{number:02}")
TIMES = st.builds(
    "{}-{}-{}T{}:{}:{}{}{}".format,
    st.integers(0, 9999).map(lambda year: f"{year:04}") | st.sampled_from(["0000", "1900", "2000", "9999", "999"]),
    st.integers(1, 12).map(lambda number: f"{number:02}") | TWO,
    st.integers(1, 31).map(lambda number: f"{number:02}") | TWO,
    st.integers(0, 24).map(lambda number: f"{number:02}") | st.sampled_from(["7", "99"]),
    st.integers(0, 60).map(lambda number: f"{number:02}"),
    st.integers(0, 60).map(lambda number: f"{number:02}"),
    st.sampled_from(["", "", ".", ".0", ",5", ".1200", ".999999999", ".9999999999"]),
    st.sampled_from(["Z", "Z", "z", "", "+00:00", "-00:00", "+02:30", "-23:59", "+23:60", "+24:00", "+0530"]),
)


class Go:
    """The program in gojson/, asked one document at a time."""

    def __init__(self, program: Path, old: bool) -> None:
        self.old = old
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, document: bytes) -> list[str]:
        """Return its seven fields, as gojson/main.go lists them."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(base64.b64encode(document) + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().split()
        assert answer[0] != "!", (document, answer)
        return [base64.b64decode(field).decode() if field != "-" else "-" for field in answer[:5]] + answer[5:]

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    assert GO is not None
    folder = tmp_path_factory.mktemp("gojson")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    source = Path(__file__).parent / "gojson/main.go"
    subprocess.run([GO, "build", "-o", folder / "gojson", source], check=True, env=environment, cwd=folder)
    version = subprocess.run([GO, "version"], check=True, env=environment, capture_output=True, text=True).stdout
    found = re.search(r"go1\.(\d+)", version)
    assert found is not None, version
    if int(found[1]) < 20:
        # Up to 1.19 time.UnmarshalJSON took zones and fractions that no RFC 3339 knows.
        pytest.skip(f"the rules held here are those of Go 1.20 and later, there is {found[0]}")
    asked = Go(folder / "gojson", old=int(found[1]) < 22)
    yield asked
    asked.close()


def as_any(value):
    if isinstance(value, dict):
        return sorted_map({key: as_any(item) for key, item in value.items()})
    return [as_any(item) for item in value] if isinstance(value, list) else value


def check(go: Go, document: bytes) -> None:
    value = as_any(json.loads(document, parse_int=float))
    written, raw, indented, held, *_ = go.ask(document)
    assert dumps(value, escape_old=go.old).decode() == written
    assert dumps(RawJSON(document), escape_old=go.old).decode() == raw
    assert dumps(value, escape_old=go.old, indent="   ").decode() == indented
    if isinstance(value, dict):
        assert dumps(sorted_map(members(document)), escape_old=go.old).decode() == held


def check_time(go: Go, text: str) -> None:
    *_, written, seconds, nanoseconds = go.ask(json.dumps(text).encode())
    try:
        time = Time.parse(text)
    except FormatError:
        assert written == "-"
    else:
        assert (json.dumps(time.text), str(time.seconds), str(time.nanoseconds)) == (written, seconds, nanoseconds)


@settings(deadline=None)
@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 1, " ", "\t"]))
def test_any_document_is_encoded_as_go_does(go, value, ascii_only, indent):
    check(go, json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode())


@settings(deadline=None)
@given(text=TIMES)
def test_any_time_is_read_and_written_as_go_does(go, text):
    check_time(go, text)


@pytest.mark.parametrize("case", GOLDEN["encodings"], ids=lambda case: case["document"][:30])
def test_the_golden_documents_are_those_of_this_go(go, case):
    written, raw, indented, held, *_ = go.ask(case["document"].encode())
    assert written == (case.get("any_old", case["any"]) if go.old else case["any"])
    assert raw == case["raw"]
    if not go.old:
        assert indented == case["indented"]
        assert held == case.get("members", held)


@pytest.mark.parametrize("case", GOLDEN["times"], ids=lambda case: case["text"])
def test_the_golden_times_are_those_of_this_go(go, case):
    *_, written, seconds, nanoseconds = go.ask(json.dumps(case["text"]).encode())
    if case["written"] is None:
        assert written == "-"
    else:
        assert json.loads(written) == case["written"]
        assert (int(seconds), int(nanoseconds)) == (case["seconds"], case["nanoseconds"])
