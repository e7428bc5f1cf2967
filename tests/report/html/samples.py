"""The pages that the tests in a browser open, each made by a command or from model data."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

from report.html.hostile_documents import hostile_diff, hostile_findings, hostile_verdicts
from report.html.pages import HOSTILE
from support import MATCH, READ, REFUSE, ROOT

from convert.cli.main import run
from convert.report.diff_files import Compared, Side
from convert.report.html.diff import diff_page
from convert.report.html.doctor import doctor_page
from convert.report.html.inspect import inspect_page
from convert.report.html.validate import validate_page
from convert.report.inspect_sources import InspectedSource

CASES = ROOT / "testdata" / "cases"

#: Name -> the command line that writes a page, without `--html FILE`. A new page adds its commands here.
COMMANDS = {
    "inspect": ["inspect", MATCH / "docker20-multi.tar.gz", MATCH / "containerd29-export-multiplatform.tar.gz"],
    "inspect-two": ["inspect", MATCH / "docker20-duplayer.tar.gz", MATCH / "docker20-html.tar.gz"],
    "inspect-damaged": ["inspect", REFUSE / "damaged-oci-layer-blob-missing.tar.gz"],
    "diff": ["diff", MATCH / "docker20-duplayer.tar.gz", MATCH / "docker20-html.tar.gz"],
    "diff-damaged": ["diff", MATCH / "docker20-html.tar.gz", REFUSE / "not-an-image-plain.tar.gz"],
    "validate": ["validate", MATCH / "docker20-html.tar.gz", *[REFUSE / "skopeo-centos6-gzip.tar.gz"] * 2],
    "doctor": ["doctor", MATCH / "docker20-html.tar.gz", READ / "oci-zstd-layers.tar.gz", REFUSE / "absent.tar"],
    "doctor-two": [
        *("doctor", MATCH / "docker20-html.tar.gz", CASES / "index-one-platform-present.tar.gz"),
        *("--for", "docker,containerd,podman,umoci"),
    ],
    "diff-files": ["diff", MATCH / "docker20-multi.tar.gz", MATCH / "docker24-html.tar.gz", "--files"],
    "validate-index": [
        "validate",
        CASES / "other-image-lacks-layer.tar.gz",
        REFUSE / "damaged-oci-mirror-rotten-layer.tar.gz",
    ],
    "doctor-index": ["doctor", MATCH / "docker20-multi.tar.gz", CASES / "index-one-platform-present.tar.gz"],
}


def command_page(name, path):
    """Write the page of a command; return its path. Sources are relative, so that it is the same everywhere."""
    words = [str(word.relative_to(ROOT)) if isinstance(word, Path) else word for word in COMMANDS[name]]
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        run([*words, "--html", str(path.absolute())])
    assert path.stat().st_size
    return path


def digest(*parts):
    return "sha256:" + hashlib.sha256(repr(parts).encode()).hexdigest()


def model(images, layers, *, files=0, text="RUN make && make install PREFIX=/usr/local", shared=3):
    """Return an inspect document with so many images and layers; the lowest `shared` layers are the same ones."""

    def layer(image, number):
        own = digest("layer", 0 if number < shared else image, number)
        paths = [{"path": f"usr/share/{text}/{place}", "size": 1000 * (files - place)} for place in range(files)]
        hidden = dict.fromkeys(
            ("overwritten_files", "overwritten_size", "deleted_files", "deleted_size", "size", "waste"), number
        )
        return {
            "diff_id": own, "chain_id": digest("chain", image, number), "v1_id": digest("v1", image, number)[7:],
            "digest": digest("stored", own), "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
            "compression": "gzip", "size": 1000 + (number * 7919) % 100_000, "plain_size": 4000 + number,
            "member": None, "urls": [], "present": True, "verified": True, "problem": None, "encoder": None,
            "encoder_members": None, "encoder_hint": None,
            "contents": {
                "files": 1_000_000, "folders": 1, "links": 0, "others": 0, "whiteouts": 0, "opaques": 0, "size": 10**9,
                "largest_files": paths, "largest_folders": paths, "hidden": {**hidden, "percent": 0.5}, "left_out": 0,
                "complete": True,
            } if files else None,
            "history": {"created": None, "created_by": f"{text} {number}", "author": None, "comment": None,
                        "empty_layer": False},
        }  # fmt: skip

    contents = {
        "size": 10**9, "upper_size": 10**8, "hidden_size": 5, "hidden_percent": 1.0, "waste": 7, "waste_percent": 1.0,
        "efficiency": 0.9, "wasted_paths": 2, "largest_hidden": None,
        "wasted": [{"path": text, "count": 2, "size": 9}] * 2, "complete": True,
    }  # fmt: skip

    def image(number):
        ident = digest("image", number)
        return {
            "names": [f"example.com/{text}/app:{number}"], "image_id": ident, "manifest_digest": digest("m", number),
            "index_digest": None, "platform": "linux/amd64", "present": True,
            "engines": dict.fromkeys(("docker", "docker-containerd", "podman", "cri-o", "containerd"), ident),
            "indexes": [], "created": "2026-01-02T03:04:05Z", "config": {"digest": ident, "size": 900},
            "manifest": {"digest": digest("m", number), "media_type": "application/vnd.oci.image.manifest.v1+json",
                         "size": 800, "made_up": False, "config_media_type": "application/vnd.oci.image.config.v1+json",
                         "annotations": {}},
            "parent": None, "v1_ids": "docker", "layers": [layer(number, each) for each in range(layers)],
            "contents": contents if files else None, "history": [],
        }  # fmt: skip

    return {
        "report": "inspect", "version": 2,
        "source": {"path": "model.tar", "format": "oci", "wrapper": None, "producer": None}, "names": [],
        "images": [image(number) for number in range(images)], "indexes": [], "artifacts": [], "notes": [],
        "warnings": [], "problems": [],
    }  # fmt: skip


def model_page(*sizes, **options):
    """Return the page of a model."""
    return inspect_page([InspectedSource("model.tar", model(*sizes, **options))])


def hostile_page():
    """Return a page in which every text is hostile."""
    return inspect_page([InspectedSource(text, model(1, 2, files=2, text=text)) for text in HOSTILE])


def many_layers(count=1000):
    """Return what the page of `diff` shows of two images with so many layers."""
    sides = [Side(path, model(1, count, text=path, shared=count - step)) for path, step in (("a", 0), ("b", 9))]
    images = [side.inspected["images"][0] for side in sides]
    layers = [
        {
            "same_content": a["diff_id"] == b["diff_id"],
            "same_bytes": a["digest"] == b["digest"],
            **{
                key: {"diff_id": layer["diff_id"], "digest": layer["digest"], "compression": "gzip"}
                for key, layer in (("a", a), ("b", b))
            },
        }
        for a, b in zip(*(image["layers"] for image in images), strict=True)
    ]
    found = hostile_diff("x", None).document
    found["images"][0] |= {"layers": layers} | {
        key: {**found["images"][0][key], "image_id": image["image_id"]} for key, image in zip("ab", images, strict=True)
    }
    return Compared(tuple(sides), found)


#: Markup, and what cannot be seen.
BOTH = HOSTILE[0] + HOSTILE[7]
#: Name -> what gives a page from model data.
MODELS = {
    "inspect-many": lambda: model_page(1, 1000),
    "inspect-hostile": hostile_page,
    "diff-hostile": lambda: diff_page(hostile_diff(BOTH, model(1, 2, text=BOTH))),
    "diff-many": lambda: diff_page(many_layers()),
    "validate-hostile": lambda: validate_page(hostile_findings(BOTH), [None, None]),
    "doctor-hostile": lambda: doctor_page(hostile_verdicts(BOTH)),
}


class Pages(dict):
    """The paths of all pages by name; each is written when it is first asked for."""

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = folder

    def __missing__(self, name):
        path = self._folder / f"{name}.html"
        if name in MODELS:
            path.write_bytes(MODELS[name]())
        else:
            command_page(name, path)
        self[name] = path
        return path
