"""Valid archives of every form with one lie, as a hypothesis strategy: what is drawn shrinks.

A model says what an archive holds; building it gives a sound archive. A lie changes one
part of the model or of the bytes. Of most lies it is known that no image may come out
(`refused`); of the others nothing but that the result is right or refused.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.building import (
    CONFIG,
    END,
    INDEX,
    LAYER,
    LAYER_GZIP,
    MANIFEST,
    config,
    dump,
    member,
    sha256,
    squeezed,
    tar,
)
from mutation import blocks_of, mend


@dataclass(frozen=True)
class Archive:
    """`data`, and whether it must be refused (True), must be taken (False), or may be either (None)."""

    data: bytes = field(repr=False)
    refused: bool | None
    lie: str = ""


def layer(text):
    return member(text.encode(), text.encode()) + END


@st.composite
def images(draw):
    """Return images: each a list of its layers' names, and its tags."""
    stacks = draw(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), min_size=1, max_size=3))
    return [(stack, [f"example.com/x/{number}:{tag}" for tag in range(number % 2 + 1)])
            for number, stack in enumerate(stacks)]  # fmt: skip


# -- forms: each gives its members by name, in order -------------------------------------


def docker(model, pack):
    files, items = {}, []
    for number, (stack, tags) in enumerate(model):
        ids = [sha256(layer(text)) for text in stack]
        for text in stack:
            files[f"{text}/layer.tar"] = pack(layer(text))
        files[f"{number}.json"] = dump(config(*ids, author=str(number)))
        items.append({"Config": f"{number}.json", "RepoTags": tags, "Layers": [f"{text}/layer.tar" for text in stack]})
    files["manifest.json"] = items
    return files


def blob(files, data):
    files["blobs/" + sha256(data).replace(":", "/")] = data
    return {"digest": sha256(data), "size": len(data)}


def layout(model, pack):
    files, entries = {}, []
    for number, (stack, tags) in enumerate(model):
        kind = LAYER if pack is bytes else LAYER_GZIP
        layers = [{"mediaType": kind, **blob(files, pack(layer(text)))} for text in stack]
        ids = [sha256(layer(text)) for text in stack]
        described = {"mediaType": CONFIG, **blob(files, dump(config(*ids, author=str(number))))}
        raw = dump({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers})
        named = {"mediaType": MANIFEST, **blob(files, raw)}
        entries += [{**named, "annotations": {"io.containerd.image.name": tag}} for tag in tags]
    files["oci-layout"] = dump({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return files


def old(model, pack):
    files, tops = {}, {}
    for number, (stack, tags) in enumerate(model):
        parent = None
        for place, text in enumerate(stack):
            v1_id = hashlib.sha256(f"{number} {place}".encode()).hexdigest()
            document = {"id": v1_id, "os": "linux", "architecture": "amd64", "created": "2014-01-02T03:04:05Z"}
            files[f"{v1_id}/VERSION"] = b"1.0"
            files[f"{v1_id}/json"] = {**document, **({"parent": parent} if parent else {})}
            files[f"{v1_id}/layer.tar"] = pack(layer(text))
            parent = v1_id
        for tag in tags:
            repository, _, name = tag.rpartition(":")
            tops.setdefault(repository, {})[name] = parent
    files["repositories"] = tops
    return files


FORMS = {"docker": docker, "layout": layout, "v1": old}


def bytes_of(value):
    return dump(value) if isinstance(value, (dict, list)) else value


def built(files):
    return tar(*((name, bytes_of(value)) for name, value in files.items()))


# -- lies --------------------------------------------------------------------------------

#: What no field may be.
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 2**70), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(["..", "/etc/passwd", "sha256:", "sha256:" + "0" * 64, "sha512:" + "0" * 128]),
    st.sampled_from(["a\x1b[2J", "a" * 5000]),
    st.lists(st.none(), max_size=2), st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip


def places(value, path=()):
    """Return the path of each value in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, each in value.items():
            found += places(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += places(each, (*path, number))
    return found


def with_value(value, path, new):
    """Return a document with one value replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(copy[path[0]], path[1:], new)
    return copy


def documents_of(files):
    return [name for name, value in files.items() if isinstance(value, (dict, list))]


@st.composite
def a_field_lies(draw, files):
    name = draw(st.sampled_from(documents_of(files)))
    path = draw(st.sampled_from(places(files[name])))
    return Archive(built({**files, name: with_value(files[name], path, draw(VALUES))}), None, f"{name} {path}")


@st.composite
def a_key_lies(draw, files):
    """A key twice, in another letter case, or an unknown one."""
    name = draw(st.sampled_from(documents_of(files)))
    raw = dump(files[name])
    at = draw(st.integers(0, raw.count(b'":') - 1)) if b'":' in raw else 0
    parts = raw.split(b'":')
    key = parts[at].rpartition(b'"')[2]
    changed = draw(st.sampled_from([key.upper(), key + b"x", key.title(), b'x":1,"' + key]))
    parts[at] = parts[at][: len(parts[at]) - len(key)] + changed
    return Archive(built({**files, name: b'":'.join(parts)}), None, f"{name} {key!r} {changed!r}")


@st.composite
def a_layer_lies(draw, files):
    """Other bytes where a digest says which they are."""
    name = draw(st.sampled_from([name for name, data in files.items() if (isinstance(data, bytes) and END in data)
                                 or (isinstance(data, bytes) and data.startswith(b"\x1f\x8b"))]))  # fmt: skip
    data = files[name]
    if draw(st.booleans()):
        new = data[: draw(st.integers(0, len(data) - 1))]
    else:
        at = draw(st.integers(0, len(data) - 1))
        new = data[:at] + bytes((data[at] ^ 1 << draw(st.integers(0, 7)),)) + data[at + 1 :]
    # Before 1.10 nothing said which bytes; a bit in a gzip header changes no content.
    is_blob = name.startswith("blobs/")
    sure = is_blob or not (data.startswith(b"\x1f\x8b") or "repositories" in files)
    return Archive(built({**files, name: new}), True if sure else None, f"{name} changed")


@st.composite
def a_member_is_missing(draw, files):
    name = draw(st.sampled_from(list(files)))
    rest = {each: data for each, data in files.items() if each != name}
    # A layout may name manifests that it has not.
    may = name in {"oci-layout", "repositories"} or "VERSION" in name or b'"layers":' in bytes_of(files[name])
    return Archive(built(rest), None if may else True, f"{name} is missing")


@st.composite
def a_member_comes_twice(draw, files):
    """Readers differ about which counts: alike ones are taken, others refused."""
    name = draw(st.sampled_from(list(files)))
    data = bytes_of(files[name])
    other = draw(st.sampled_from([data, data + b" ", b""]))
    first = draw(st.booleans())
    again = member(name.encode(), other)
    whole = built(files)
    data_of = again + whole if first else whole[: -len(END)] + again + END
    used = name not in {"oci-layout", "repositories"} and "VERSION" not in name
    return Archive(data_of, (other != data) if used else None, f"{name} twice")


@st.composite
def a_header_lies(draw, files):
    """One field of one header, its checksum mended."""
    data = bytearray(built(files))
    position = draw(st.sampled_from(blocks_of(data)))
    at = draw(st.sampled_from([0, 100, 108, 116, 124, 125, 134, 135, 136, 156, 157, 257, 263, 265, 329, 345, 500]))
    new = draw(
        st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from([b"\xff" * 12, b"77777777777\0", b"../", b"/"]))
    )
    data[position + at : position + at + len(new)] = new
    mend(data, position)
    return Archive(bytes(data), None, f"header at {position}: {at} {new!r}")


@st.composite
def the_end_lies(draw, files):
    data = built(files)
    if draw(st.booleans()):
        return Archive(data[: draw(st.integers(0, len(data) - 1))], None, "cut")
    return Archive(data + draw(st.binary(min_size=1, max_size=600)), None, "something behind")


def no_lie(files):
    return st.just(Archive(built(files), refused=False))


LIES = (
    a_field_lies,
    a_key_lies,
    a_layer_lies,
    a_member_is_missing,
    a_member_comes_twice,
    a_header_lies,
    the_end_lies,
    no_lie,
)


@st.composite
def archives(draw):
    """An archive with one lie, or none."""
    files = FORMS[draw(st.sampled_from(sorted(FORMS)))](draw(images()), draw(st.sampled_from([bytes, squeezed])))
    return draw(draw(st.sampled_from(LIES))(files))
