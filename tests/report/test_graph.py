"""Graphs of names: every digest is in them, nothing overlaps, hostile names stay text."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from convert.errors import UsageError
from convert.report.graph import renderer
from convert.report.graph.build import graph
from convert.report.graph.text import boxes, edges

SVG = "{http://www.w3.org/2000/svg}"
ARCHIVES = Path(__file__).parents[2] / "testdata" / "match" / "archives"
HOSTILE = 'a"]:::x<b>&\'\\ "; evil -> n1'


def digest(number):
    return f"sha256:{number:064x}"


def layer(number, **changes):
    return {
        "diff_id": digest(number),
        "chain_id": digest(number),
        "v1_id": None,
        "digest": digest(1000 + number),
        "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
        "compression": "gzip",
        "size": 10**number,
        "plain_size": None,
        "present": True,
        "history": {"created_by": f"COPY <{number}> & more"},
        **changes,
    }


def image(number, names=("x:1",), layers=(), index=None, manifest=True):
    return {
        "names": list(names),
        "image_id": digest(number),
        "manifest_digest": digest(100 + number) if manifest else None,
        "index_digest": index,
        "indexes": [index] if index else [],
        "platform": "linux/amd64",
        "manifest": {"digest": digest(100 + number), "made_up": False} if manifest else None,
        "layers": list(layers),
    }


def child(image_digest, **changes):
    return {"digest": image_digest, "platform": "linux/arm64", "kind": "image", "present": False, **changes}


DOCUMENTS = {
    "one image": {"images": [image(1, layers=[layer(1), layer(2), layer(3)])], "indexes": []},
    "no layers": {"images": [image(1)], "indexes": []},
    "no names": {"images": [image(1, names=(), layers=[layer(1)])], "indexes": []},
    "many names": {
        "images": [image(1, names=[f"localhost:5000/some/name:{n}" for n in range(9)], layers=[layer(1)])],
        "indexes": [],
    },
    "no manifest": {
        "images": [image(1, layers=[layer(1, digest=None, compression="none", plain_size=5)], manifest=False)],
        "indexes": [],
    },
    "lost layer": {"images": [image(1, layers=[layer(1, present=False, compression=None)])], "indexes": []},
    "hostile": {
        "images": [image(1, names=[HOSTILE], layers=[layer(1, history={"created_by": HOSTILE})])],
        "indexes": [],
    },
    "index": {
        "images": [image(n, layers=[layer(n), layer(n + 1)], index=digest(7)) for n in (1, 2)],
        "indexes": [
            {
                "digest": digest(7),
                "names": ["mp:1", "mp:2"],
                "children": [
                    child(digest(101)),
                    child(digest(102)),
                    child(digest(9)),
                    child(digest(10), present=True, kind="attestation", platform=None),
                ],
            }
        ],
    },
    "index of absent images": {
        "images": [],
        "indexes": [{"digest": digest(7), "names": ["mp:1"], "children": [child(digest(8)), child(digest(9))]}],
    },
    "two images and an index": {
        "images": [image(1, layers=[layer(1)]), image(2, layers=[layer(2)], index=digest(7))],
        "indexes": [{"digest": digest(7), "names": [], "children": [child(digest(102))]}],
    },
    "forty layers": {"images": [image(1, layers=[layer(n % 12 + 1) for n in range(40)])], "indexes": []},
    "nothing": {"images": [], "indexes": []},
}


def document(name):
    return {"source": {"path": "x<&>.tar"}, **DOCUMENTS[name]}


def drawn(name, suffix):
    return renderer(f"graph.{suffix}")(document(name))


def rectangles(root):
    return [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for group in root.findall(f"{SVG}g")
        for rect in group.findall(f"{SVG}rect")
    ]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_svg_boxes_do_not_overlap_and_stay_on_the_page(name):
    root = ET.fromstring(drawn(name, "svg"))
    width, height = float(root.get("width")), float(root.get("height"))
    found = rectangles(root)
    for x, y, wide, high in found:
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + high <= height
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(found, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_svg_has_a_box_for_each_thing_with_its_whole_digest(name):
    root = ET.fromstring(drawn(name, "svg"))
    titles = [title.text for group in root.findall(f"{SVG}g") for title in group.findall(f"{SVG}title")]
    expected = boxes(graph(document(name)))
    assert len(titles) == len(expected)
    for box in expected:
        assert any(box.title in title and box.digest in title for title in titles)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_end_at_boxes(name):
    """Every arrow's end lies on the edge of a box."""
    root = ET.fromstring(drawn(name, "svg"))
    found = rectangles(root)
    for path in root.findall(f"{SVG}path"):
        steps = re.findall(r"([MHVCQ])([^MHVCQ]*)", path.get("d"))
        x, y = 0.0, 0.0
        for command, text in steps:
            numbers = [float(number) for number in text.split()]
            x = numbers[-1] if command == "H" else numbers[-2] if command in "MCQ" else x
            y = numbers[-1] if command != "H" else y
        assert any(
            ((abs(x - left) < 0.2 or abs(x - left - wide) < 0.2) and top <= y <= top + high)
            or (abs(y - top) < 0.2 and left <= x <= left + wide)
            for left, top, wide, high in found
        )


def test_a_graph_says_who_names_whom():
    found = {(start.title, end.title) for start, end, _ in edges(graph(document("index")))}
    assert {
        ("mp:1", "index"),
        ("mp:2", "index"),
        ("index", "manifest"),
        ("manifest", "config"),
        ("manifest", "layer digest"),
        ("layer digest", "DiffID"),
        ("config", "DiffID"),
        ("index", "linux/arm64"),
        ("index", "attestation"),
    } == found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_mermaid_declares_each_node_once_and_links_no_others(name):
    lines = drawn(name, "mmd").splitlines()
    assert lines[0] == "flowchart LR"
    declared = [match[1] for line in lines if (match := re.match(r'    (n\d+)\(?\["[^"]*"\]\)?:::(\w+)Box\Z', line))]
    linked = [match for line in lines if (match := re.match(r"    (n\d+) -->(?:\|[^|]*\|)? (n\d+)\Z", line))]
    styles = [line for line in lines if re.match(r"    classDef \w+Box fill:#[0-9a-f]{6},", line)]
    assert len(declared) == len(set(declared)) == len(boxes(graph(document(name))))
    assert {key for match in linked for key in match.groups()} <= set(declared)
    assert len(lines) == 1 + len(declared) + len(linked) + len(styles)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_dot_declares_each_node_once_and_links_no_others(name):
    lines = drawn(name, "dot").splitlines()
    text = r'"(?:[^"\\]|\\.)*"'
    declared = [match[1] for line in lines if (match := re.match(rf"    (n\d+) \[label={text}, fillcolor=", line))]
    linked = [match for line in lines if (match := re.match(rf"    (n\d+) -> (n\d+)(?: \[label={text}\])?;\Z", line))]
    assert len(declared) == len(set(declared)) == len(boxes(graph(document(name))))
    assert {key for match in linked for key in match.groups()} <= set(declared)
    assert len(lines) == 4 + len(declared) + len(linked) + 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_graphviz_draws_it(name):
    program = shutil.which("dot")
    if program is None:
        pytest.skip("graphviz is not installed")
    subprocess.run([program, "-Tsvg", "-o", "/dev/null"], input=drawn(name, "dot").encode(), check=True)


@pytest.mark.parametrize("suffix", ["svg", "mmd", "dot"])
def test_the_same_document_gives_the_same_bytes(suffix):
    assert drawn("index", suffix) == drawn("index", suffix)


def test_names_are_cut_where_their_box_ends():
    long = {"images": [image(1, names=["registry.example.com/" + "a" * 200 + ":1"])], "indexes": []}
    svg = renderer("x.svg")({"source": {"path": "x.tar"}, **long})
    shown = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.get("class") == "title"]
    assert max(map(len, shown)) <= 45
    assert any(text.endswith("…") for text in shown)


@pytest.mark.parametrize("path", ["x.png", "svg", "x", "", "x.svg.gz"])
def test_other_kinds_of_file_are_refused(path):
    with pytest.raises(UsageError, match="must end in"):
        renderer(path)
