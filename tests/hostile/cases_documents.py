"""JSON from strangers, in each place where an archive has some."""

from __future__ import annotations

from hostile.building import Docker, Layout, config, dump
from hostile.cases import accepted, refused


def _manifest(raw):
    return lambda: Docker(manifest=raw).build()


def _config(raw):
    return lambda: Docker(config=raw).build()


def _index(raw):
    return lambda: Layout(raw_index=raw).build()


_ITEM = b'{"Config":"config.json","RepoTags":["a:1"],"Layers":["layer.tar"]}'
_CONFIG = dump(config())


def _in_config(more):
    return _config(_CONFIG[:-1] + b"," + more + b"}")


CASES = [
    refused(
        "a manifest.json of null",
        _manifest(b"null"),
        "manifest.json: the source holds no image: this is null",
        code="no-image",
    ),
    refused("a manifest.json that is an object", _manifest(_ITEM), "manifest.json: ", code="invalid-document"),
    refused("a manifest.json that is a string", _manifest(b'"x"'), "manifest.json: ", code="invalid-document"),
    refused("a manifest.json that is a number", _manifest(b"1"), "manifest.json: ", code="invalid-document"),
    refused(
        "an empty manifest.json",
        _manifest(b""),
        "manifest.json: document is empty, expected JSON",
        code="empty-document",
    ),
    refused(
        "a blank manifest.json",
        _manifest(b" \n\t"),
        "manifest.json: document is empty, expected JSON",
        code="empty-document",
    ),
    refused("a manifest.json of numbers", _manifest(b"[1,2]"), "manifest.json: ", code="invalid-document"),
    refused("a manifest.json of arrays", _manifest(b"[[]]"), "manifest.json: ", code="invalid-document"),
    refused("a manifest.json of nulls", _manifest(b"[null]"), "manifest.json: ", code="invalid-document"),
    refused(
        "Config that is a number",
        _manifest(b'[{"Config":5,"Layers":[]}]'),
        "manifest.json: [0].Config",
        code="invalid-document",
    ),
    refused("no Config", _manifest(b'[{"Layers":[]}]'), "manifest.json: ", code="invalid-document"),
    refused("an empty Config", _manifest(b'[{"Config":""}]'), "manifest.json: ", code="invalid-document"),
    refused(
        "Layers that is a string",
        _manifest(b'[{"Config":"config.json","Layers":"layer.tar"}]'),
        "manifest.json: [0].Layers",
        code="invalid-document",
    ),
    refused(
        "Layers of numbers",
        _manifest(b'[{"Config":"config.json","Layers":[1]}]'),
        "manifest.json: [0].Layers",
        code="invalid-document",
    ),
    refused(
        "RepoTags that is an object",
        _manifest(b'[{"Config":"config.json","Layers":["layer.tar"],"RepoTags":{}}]'),
        "manifest.json: [0].RepoTags",
        code="invalid-document",
    ),
    refused(
        "RepoTags of nulls",
        _manifest(b'[{"Config":"config.json","Layers":["layer.tar"],"RepoTags":[null]}]'),
        "manifest.json: [0].RepoTags",
        code="invalid-document",
    ),
    refused(
        "a byte order mark",
        _manifest(b"\xef\xbb\xbf[" + _ITEM + b"]"),
        "document starts with a byte order mark",
        code="json-byte-order-mark",
    ),
    refused(
        "UTF-16",
        _manifest(("[" + _ITEM.decode() + "]").encode("utf-16-le")),
        "manifest.json: not valid JSON: line 1, column 2",
        code="invalid-json",
    ),
    refused("a UTF-16 mark", _manifest(b"\xff\xfe[\0]\0"), "manifest.json: not UTF-8 at byte 0", code="json-not-utf-8"),
    refused(
        "bytes behind the value",
        _manifest(b"[" + _ITEM + b"] x"),
        "bytes after the end of the document",
        code="invalid-json",
    ),
    refused(
        "a second value behind",
        _manifest(b"[" + _ITEM + b"][]"),
        "bytes after the end of the document",
        code="invalid-json",
    ),
    refused(
        "NUL bytes behind", _manifest(b"[" + _ITEM + b"]\0"), "bytes after the end of the document", code="invalid-json"
    ),
    refused("a document cut short", _manifest(b"[" + _ITEM), "manifest.json: not valid JSON", code="invalid-json"),
    refused("a comma too many", _manifest(b"[" + _ITEM + b",]"), "manifest.json: not valid JSON", code="invalid-json"),
    refused(
        "single quotes",
        _manifest(b"[{'Config':'config.json'}]"),
        "expected a key in double quotes",
        code="invalid-json",
    ),
    refused("a comment", _manifest(b"[/* */" + _ITEM + b"]"), "manifest.json: not valid JSON", code="invalid-json"),
    refused(
        "a control character in a string",
        _manifest(b'[{"Config":"a\nb"}]'),
        "a control character inside a string",
        code="invalid-json",
    ),
    refused(
        "a duplicate key",
        _manifest(b'[{"Config":"config.json","Config":"evil.json"}]'),
        'key "Config" occurs twice in one object',
        code="duplicate-json-key",
    ),
    refused(
        "a key in two spellings",
        _manifest(b'[{"Config":"config.json","config":"evil.json","Layers":["layer.tar"]}]'),
        'keys "Config" and "config" in one object mean the same',
        code="ambiguous-json-key",
    ),
    refused(
        "Layers in two spellings",
        _manifest(b'[{"Config":"config.json","Layers":["layer.tar"],"LAYERS":[]}]'),
        "in one object mean the same",
        code="ambiguous-json-key",
    ),
    refused(
        "a key with a long s",
        _manifest('[{"Config":"config.json","Layers":["layer.tar"],"Layer\u017f":[]}]'.encode()),
        "in one object mean the same",
        code="ambiguous-json-key",
    ),
    accepted(
        "keys in lower case",
        _manifest(_ITEM.replace(b"Config", b"config").replace(b"Layers", b"layers").join([b"[", b"]"])),
        'key "config" read as "Config"',
        code="json-key-spelling",
    ),
    refused(
        "a config that is an array",
        _config(b"[]"),
        "config.json: an image config must be a JSON object",
        code="wrong-json-type",
    ),
    refused(
        "a config that is null",
        _config(b"null"),
        "config.json: an image config must be a JSON object",
        code="wrong-json-type",
    ),
    refused("a config that is not JSON", _config(b"\x7fELF"), "config.json: not valid JSON", code="invalid-json"),
    refused(
        "a config that is not UTF-8",
        _config(b'{"a":"\xc3("}'),
        "config.json: not UTF-8 at byte 6",
        code="json-not-utf-8",
    ),
    refused("overlong UTF-8", _config(b'{"a":"\xc0\xaf"}'), "config.json: not UTF-8 at byte 6", code="json-not-utf-8"),
    refused(
        "UTF-8 of a surrogate",
        _config(b'{"a":"\xed\xa0\x80"}'),
        "config.json: not UTF-8 at byte 6",
        code="json-not-utf-8",
    ),
    refused(
        "a lone high surrogate", _in_config(rb'"x":"\ud83d"'), "half of a surrogate pair", code="json-lone-surrogate"
    ),
    refused(
        "a lone low surrogate", _in_config(rb'"x":"\udc00"'), "half of a surrogate pair", code="json-lone-surrogate"
    ),
    refused(
        "surrogates the wrong way round",
        _in_config(rb'"x":"\ude00\ud83d"'),
        "half of a surrogate pair",
        code="json-lone-surrogate",
    ),
    accepted("a whole surrogate pair", _in_config(rb'"x":"\ud83d\ude00"'), ""),
    refused("NaN", _in_config(b'"x":NaN'), "config.json: NaN is not a JSON value", code="invalid-json"),
    refused("Infinity", _in_config(b'"x":Infinity'), "config.json: Infinity is not a JSON value", code="invalid-json"),
    refused(
        "minus Infinity",
        _in_config(b'"x":-Infinity'),
        "config.json: -Infinity is not a JSON value",
        code="invalid-json",
    ),
    refused(
        "a number of a million digits",
        _in_config(b'"x":' + b"9" * 1_000_000),
        "has more than 64 digits",
        code="json-number-too-large",
    ),
    refused(
        "a fraction of a million digits",
        _in_config(b'"x":0.' + b"9" * 1_000_000),
        "has more than 64 digits",
        code="json-number-too-large",
    ),
    refused("a number past all doubles", _in_config(b'"x":1e999'), "is too large", code="json-number-too-large"),
    refused("a leading zero", _in_config(b'"x":01'), "config.json: not valid JSON", code="invalid-json"),
    refused("a plus sign", _in_config(b'"x":+1'), "config.json: not valid JSON", code="invalid-json"),
    refused("an unknown escape", _in_config(rb'"x":"\x41"'), "an unknown backslash escape", code="invalid-json"),
    refused("a cut escape", _in_config(rb'"x":"\u12"'), "config.json: not valid JSON", code="invalid-json"),
    refused(
        "65 levels",
        _in_config(b'"x":' + b"[" * 64 + b"]" * 64),
        "arrays and objects nested deeper than 64",
        code="json-too-deep",
    ),
    accepted("64 levels", _in_config(b'"x":' + b"[" * 63 + b"]" * 63), ""),
    refused(
        "100,000 arrays in each other",
        _in_config(b'"x":' + b"[" * 100_000 + b"]" * 100_000),
        "arrays and objects nested deeper than 64",
        code="json-too-deep",
    ),
    refused(
        "100,000 open arrays", _config(b"[" * 100_000), "arrays and objects nested deeper than 64", code="json-too-deep"
    ),
    refused(
        "100,000 open objects",
        _config(b'{"a":' * 100_000),
        "arrays and objects nested deeper than 64",
        code="json-too-deep",
    ),
    refused(
        "a million values",
        _in_config(b'"x":[' + b"0," * 1_000_000 + b"0]"),
        "more than 300000 values in one document",
        code="json-too-many-values",
    ),
    refused(
        "a million objects",
        _in_config(b'"x":[' + b"{}," * 1_000_000 + b"{}]"),
        "more than 300000 values in one document",
        code="json-too-many-values",
    ),
    refused(
        "a config of more than 4 MiB",
        _in_config(b'"x":"' + b"y" * (4 << 20) + b'"'),
        "a document of more than 4194304 bytes is not read",
        code="document-too-large",
    ),
    accepted("a config of almost 4 MiB", _in_config(b'"x":"' + b"y" * ((4 << 20) - 1000) + b'"'), ""),
    refused(
        "a manifest.json of more than 4 MiB",
        _manifest(b"[" + b" " * (4 << 20) + b"]"),
        "manifest.json: a document of more than 4194304 bytes is not read",
        code="document-too-large",
    ),
    refused(
        "a config with a key twice",
        _in_config(b'"os":"windows"'),
        'key "os" occurs twice in one object',
        code="duplicate-json-key",
    ),
    refused(
        "a config with os and OS",
        _in_config(b'"OS":"windows"'),
        'keys "os" and "OS" in one object mean the same',
        code="ambiguous-json-key",
    ),
    accepted("labels that differ by case", _in_config(b'"x":{"a":"1","A":"2"}'), ""),
    refused("an index.json of null", _index(b"null"), "index.json", code="invalid-document"),
    refused("an index.json that is an array", _index(b"[]"), "index.json", code="invalid-document"),
    refused(
        "an index.json with a key twice",
        _index(b'{"schemaVersion":2,"manifests":[],"manifests":[]}'),
        'key "manifests" occurs twice',
        code="duplicate-json-key",
    ),
    refused(
        "an index.json with a byte order mark",
        _index(b'\xef\xbb\xbf{"manifests":[]}'),
        "document starts with a byte order mark",
        code="json-byte-order-mark",
    ),
    refused(
        "an index.json without manifests",
        _index(b'{"schemaVersion":2}'),
        "index.json: has no list of manifests",
        code="index-without-manifests",
    ),
    refused(
        "an oci-layout that is not JSON",
        lambda: Layout(oci_layout=b"1.0.0!").build(),
        "oci-layout: not valid JSON",
        code="invalid-json",
    ),
    refused(
        "an oci-layout of another version",
        lambda: Layout(oci_layout={"imageLayoutVersion": "2.0.0"}).build(),
        "imageLayoutVersion is '2.0.0', only 1.0.0 is supported",
        code="unsupported-layout-version",
    ),
    refused(
        "an oci-layout without version", lambda: Layout(oci_layout={}).build(), "oci-layout: ", code="invalid-document"
    ),
]
