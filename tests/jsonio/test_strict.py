"""`documents`: one reading or none, in bounded time; keys found as Go finds them."""

from __future__ import annotations

import json
import math
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convert.errors import FormatError
from convert.jsonio.strict import Keys, lookup, parse, same_key
from convert.limits import MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_SIZE, MAX_DOCUMENT_VALUES, MAX_NUMBER_DIGITS, MIB

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=30,
)
#: Text that is often JSON and often nearly so.
SCRAPS = st.lists(
    st.sampled_from(
        [
            *'[]{},:"\\ \n\t0-.eE1a',
            *("NaN", "-Infinity", "null", "true", "12", "1e999"),
            *('"k"', '"k":1', "\\u", "\\ud800", "\\udc00"),
        ]
    ),
    max_size=14,
).map("".join)


def read(raw: bytes, **limits: int) -> Any:
    """Parse as a reader would."""
    return parse(raw, where="x.tar", member="manifest.json", **limits)


def refusal(raw: bytes, **limits: int) -> str:
    """Return the one line that refuses `raw`."""
    with pytest.raises(FormatError) as caught:
        read(raw, **limits)
    line = str(caught.value)
    assert line.startswith("x.tar: manifest.json: ")
    assert line.isprintable()
    assert len(line) < 250
    return line.removeprefix("x.tar: manifest.json: ")


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_means_what_it_means_to_python(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    """Whatever is one document and no more is read as the json module reads it."""
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert read(raw) == json.loads(raw) == value


@given(VALUES)
def test_key_order_is_kept(value: Any) -> None:
    """Writing a document back without spaces gives its tokens in their order."""
    raw = json.dumps(value, separators=(",", ":"))
    assert json.dumps(read(raw.encode()), separators=(",", ":")) == raw


@given(SCRAPS)
@example('{"k":1,"k":1}')
@example("[NaN]")
@example('"\\ud800\\udc00"')
@example('"\\udc00\\ud800"')
@example('"\\\\ud800"')
@example("[1e999]")
def test_what_is_accepted_is_what_python_accepts_less_what_is_ambiguous(text: str) -> None:
    """Never more than json.loads; less only for the listed reasons, checked another way."""
    raw = text.encode()
    ambiguous = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal ambiguous
        ambiguous |= len({key for key, _ in items}) < len(items)
        return dict(items)

    def constant(_: str) -> None:
        nonlocal ambiguous
        ambiguous = True

    def number(digits: str) -> float:
        nonlocal ambiguous
        ambiguous |= math.isinf(float(digits))
        return float(digits)

    try:
        value = json.loads(raw, object_pairs_hook=pairs, parse_constant=constant, parse_float=number)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:  # no JSON, or (UnicodeEncodeError) half a surrogate pair
        ambiguous = True
    if ambiguous:
        refusal(raw)
    else:
        assert read(raw) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(raw: bytes) -> None:
    """Bytes from strangers never end in anything but a value or a FormatError."""
    try:
        read(raw)
    except FormatError as error:
        line = str(error)
    else:
        line = ""
    assert line.isprintable()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "document is empty, expected JSON"),
        (b" \n\t ", "document is empty, expected JSON"),
        (b"\xef\xbb\xbf[]", "document starts with a byte order mark, which JSON does not allow"),
        (b"\xef\xbb\xbf", "document starts with a byte order mark, which JSON does not allow"),
        (b'["\xff"]', "not UTF-8 at byte 2"),
        (b'["\xed\xa0\x80"]', "not UTF-8 at byte 2"),
        (b'["\xc0\x80"]', "not UTF-8 at byte 2"),
        ("[]".encode("utf-16-le"), "not valid JSON: line 1, column 2: expected a value"),
        (b"[] x", "not valid JSON: line 1, column 4: bytes after the end of the document"),
        (b"[]\0", "not valid JSON: line 1, column 3: bytes after the end of the document"),
        (b"{}{}", "not valid JSON: line 1, column 3: bytes after the end of the document"),
        (b'[\n "a', "not valid JSON: line 2, column 2: a string without its closing quote"),
        (b'["a\nb"]', "not valid JSON: line 1, column 4: a control character inside a string"),
        (b"{'a':1}", "not valid JSON: line 1, column 2: expected a key in double quotes"),
        (b'{"a" 1}', "not valid JSON: line 1, column 6: expected a colon"),
        (b'["\\x"]', "not valid JSON: line 1, column 3: an unknown backslash escape"),
        (b"[NaN]", "NaN is not a JSON value"),
        (b"[-Infinity]", "-Infinity is not a JSON value"),
        (b"[1e999]", "number 1e999 is too large"),
        (b'{"a":1,"b":2,"a":1}', 'key "a" occurs twice in one object'),
        (b'[{"x":{"a":null,"\\u0061":{}}}]', 'key "a" occurs twice in one object'),
        (b'{"\\u001b[2J":1,"\\u001b[2J":1}', r'key "\u001b[2J" occurs twice in one object'),
        (
            b'["ok \\ud83d\\ude00 \\\\ud800 \\ud800"]',
            r"half of a surrogate pair at byte 26: \ud800 alone is not a character",
        ),
        (b'{"\\uDFFF\\ud800":1}', r"half of a surrogate pair at byte 2: \uDFFF alone is not a character"),
    ],
)
def test_each_kind_of_bad_document_has_its_own_line(raw: bytes, message: str) -> None:
    """The line says what is wrong and where."""
    assert refusal(raw) == message


def test_json_messages_are_in_our_words() -> None:
    """No wording of the json module, which changes between Python releases, gets through."""
    for raw in (b"[1,]", b'{"a":1,}', b"[1 2]", b'["\\u12"]', b'{"a"}', b"[", b"{", b'{"a":', b"tru"):
        assert refusal(raw).rpartition(": ")[2].islower()


def test_the_size_limit_is_exact() -> None:
    """4 MiB pass, one byte more does not."""
    raw = b'"' + b"a" * (MAX_DOCUMENT_SIZE - 2) + b'"'
    assert len(read(raw)) == MAX_DOCUMENT_SIZE - 2
    assert refusal(raw + b" ") == "document has 4194305 bytes, more than the 4194304 allowed"
    assert refusal(b"[1]", limit=2) == "document has 3 bytes, more than the 2 allowed"


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [(b"[", b"]", 1), (b'{"a":', b"}", 1), (b'[{"[{\\"":', b"}]", 2)],
)
def test_the_depth_limit_is_exact(opening: bytes, closing: bytes, levels: int) -> None:
    """64 levels pass, 65 do not, whatever brackets the strings between them hold."""
    times = MAX_DOCUMENT_DEPTH // levels
    raw = opening * times + b"1" + closing * times
    assert read(raw) == json.loads(raw)
    assert refusal(b"[" + raw + b"]") == "arrays and objects nested deeper than 64"


def test_depth_is_not_breadth() -> None:
    """Any number of arrays beside each other is one level."""
    assert len(read(b"[" + b"[]," * 1000 + b"1]")) == 1001
    assert refusal(b"[[1]]", depth=1) == "arrays and objects nested deeper than 1"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'["\\"[[[","\\\\",' * 100_000,
        b"[" * MAX_DOCUMENT_SIZE,
    ],
    ids=["open", "balanced", "objects", "with strings", "4 MiB"],
)
def test_deep_nesting_is_one_line_and_never_a_recursion_error(raw: bytes) -> None:
    """The depth is counted before anything recurses."""
    assert refusal(raw) == "arrays and objects nested deeper than 64"


@pytest.mark.parametrize(("item", "values"), [(b"1", 1), (b"[]", 2), (b'{"":{}}', 3), (b'"],[,"', 1), (b"[1,{}]", 4)])
def test_the_number_of_values_is_bounded_and_so_is_the_memory_they_take(item: bytes, values: int) -> None:
    """4 MiB of the smallest objects take 150 MB in Python; what strings hold is not counted."""
    times = (MAX_DOCUMENT_VALUES - 1) // values
    assert len(read(b"[" + b",".join([item] * times) + b"]")) == times
    raw = b"[" + b",".join([item] * (MAX_DOCUMENT_SIZE // (len(item) + 1) - 1)) + b"]"
    tracemalloc.start()
    assert refusal(raw) == "more than 300000 values in one document"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_numbers_are_exact_up_to_the_limit_and_refused_past_it() -> None:
    """Integers keep every digit; a number that would take quadratic time is not read."""
    longest = "9" * MAX_NUMBER_DIGITS
    assert read(longest.encode()) == int(longest)
    assert "more than 64 digits" in refusal(b"1" + longest.encode())
    assert "more than 64 digits" in refusal(b"1" * MIB)
    assert "more than 64 digits" in refusal(b"0." + b"1" * MIB)
    assert "more than 64 digits" in refusal(b"1e" + b"1" * MIB)
    assert read(b"1e-999") == 0.0
    assert read(b"9223372036854775808") == sys.maxsize + 1


@pytest.mark.parametrize(
    "raw",
    [
        b'["' + b'\\"' * (2 * MIB - 2),
        b'["' + b'\\"' * (2 * MIB - 2) + b"\\",
        b'"' * MAX_DOCUMENT_SIZE,
        b'["' * 1000 + b'\\"' * MIB,
        b"[" * 65 + b'"' + b"\\" * (4 * MIB - 66),
        b'["' + b"\\ud800" * 600_000 + b'"]',
    ],
    ids=["open string of quotes", "cut in an escape", "quotes", "strings, then quotes", "backslashes", "surrogates"],
)
def test_hostile_strings_cost_one_pass(raw: bytes) -> None:
    """Patterns that make a careless scanner go back for each byte (minutes, where this takes none)."""
    tracemalloc.start()
    refusal(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * MIB


@pytest.mark.parametrize(
    ("key", "name", "same"),
    [
        ("Layers", "Layers", True),
        ("layers", "Layers", True),
        ("LAYERS", "Layers", True),
        ("layer\N{LATIN SMALL LETTER LONG S}", "Layers", True),
        ("\N{KELVIN SIGN}ind", "kind", True),
        ("Layer", "Layers", False),
        ("Layers ", "Layers", False),
        ("con\N{LATIN SMALL LIGATURE FI}g", "config", False),
        ("conf\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}g", "config", False),
        ("conf\N{LATIN SMALL LETTER DOTLESS I}g", "config", False),
    ],
)
def test_keys_fold_as_in_go(key: str, name: str, same: bool) -> None:
    """Simple folding and no more (encoding/json, `foldName`): no ligatures, no Turkish i."""
    assert same_key(key, name) is same


def test_lookup_takes_any_letter_case_and_says_so_once() -> None:
    """Old jib wrote `config`, `repoTags`, `layers`; Docker and crane read them."""
    warnings: list[str] = []
    item = {"config": "c.json", "Layers": None}
    assert lookup(item, "Config", warnings=warnings) == "c.json"
    assert lookup(item, "Config", warnings=warnings) == "c.json"
    assert lookup(item, "Layers", warnings=warnings) is None
    assert lookup(item, "RepoTags", warnings=warnings) is None
    assert warnings == ['key "config" read as "Config"']


@pytest.mark.parametrize("keys", [("Layers", "layers"), ("layers", "LAYERS")])
def test_lookup_refuses_two_spellings(keys: tuple[str, str]) -> None:
    """Go takes the last of them, skopeo's own reader the exact one; imgconv does not choose."""
    with pytest.raises(FormatError) as caught:
        lookup(dict.fromkeys(keys, "x"), "Layers", where="x.tar", member="manifest.json")
    assert str(caught.value) == f'x.tar: manifest.json: keys "{keys[0]}" and "{keys[1]}" in one object mean the same'


def test_keys_in_messages_are_short_and_printable() -> None:
    """A key of a megabyte is named by its beginning."""
    with pytest.raises(FormatError) as caught:
        lookup({"\x1b" * 10: 1, "A" * MIB: 1, "a" * MIB: 2}, "a" * MIB)
    assert len(str(caught.value)) < 250
    assert len(refusal(b'{"' + b"a" * MIB + b'":1,"' + b"a" * MIB + b'":1}')) < 250


def test_keys_are_found_folded_and_two_for_one_field_are_refused() -> None:
    """As `lookup` finds one; a key that is not used counts too, as another reader may know it."""
    warnings: list[str] = []
    keys = Keys({"\N{LATIN SMALL LETTER LONG S}ize": 1, "Digest": None})
    assert keys.get("size", warnings) == 1
    assert keys.get("digest", warnings) is None
    assert "DIGEST" in keys
    assert "urls" not in keys
    assert len(warnings) == 2
    with pytest.raises(FormatError, match="mean the same"):
        Keys({"size": 1, "\N{LATIN SMALL LETTER LONG S}IZE": 1})
    with pytest.raises(FormatError, match="mean the same"):
        Keys({"MacAddress": "", "mac\N{LATIN CAPITAL LETTER A}ddre\N{LATIN SMALL LETTER LONG S}s": ""})
