"""Documents of commands with hostile text wherever an archive can put one."""

from hostile.building import DIFF_ID

from convert.report.comparison import FileDifference
from convert.report.diff_files import Compared, ComparedFiles, Side


def hostile_diff(text, inspected):
    """Return what a page shows of two archives with a text wherever they can put one; `inspected` is of each."""
    digest = DIFF_ID
    side = {"names": [text], "platform": text, "image_id": digest, "manifest_digest": digest, "index_digest": digest}
    held = {"diff_id": digest, "digest": digest, "compression": text}
    keys = [{"path": text, "a": text, "b": {text: [text]}}, {"path": text, "b": None}]
    layers = [{"same_content": True, "same_bytes": False, "a": held, "b": {**held, "compression": None}}] * 2
    one = {
        "same": False, "words": text, "a": side, "b": {**side, "names": []}, "same_names": False,
        "same_image_id": False, "same_diff_ids": True, "same_layer_digests": False, "same_manifest_digest": False,
        "layers": layers, "config": keys, "manifest": keys, "left_out": {"config": 3, "manifest": 0}, "files": None,
    }  # fmt: skip
    document = {
        "report": "diff", "version": 1, "a": text, "b": text, "by": "id", "ignore": [], "same": False,
        "images": [one], "others": {"only_a": [digest], "only_b": []},
    }  # fmt: skip
    files = ComparedFiles(0, digest, digest)
    files.take(
        [
            FileDifference("added", text, (("type", None, "file"),), (None, 5)),
            FileDifference("changed", f"{text}\udcff", (("content", text, text), ("xattr", text, None)), (5, 6)),
        ]
    )
    files.problem = "invalid-input", text
    sides = (Side(text, inspected), Side(text, inspected))
    return Compared(sides, document, [files], ["--image", text])


def hostile_findings(text):
    """Return the document of `validate` with a text wherever an archive can put one."""
    rules = ("digest", "layer-tar", "repo-tag", "unreferenced", "no-such-rule")
    findings = [
        {
            "rule": rule,
            "severity": "error" if rule != "unreferenced" else "note",
            "member": member,
            "place": text,
            "message": text,
            "refused_by": None,
            "names": [text] * 20,
            "name_count": 30,
            "consumers": [],
        }
        for rule in rules
        for member in (None, text, "index.json")
    ]
    source = {"path": text, "format": "oci", "status": 1, "error": None, "findings": findings}
    unread = {"path": text, "format": None, "status": 4, "error": text, "findings": []}
    return {"report": "validate", "version": 1, "status": 4, "sources": [source, unread]}


def hostile_verdicts(text):
    """Return the document of `doctor` with a text wherever an archive can put one."""
    consumer = {
        "consumer": "docker",
        "version": "29.7",
        "inside": None,
        "call": "docker load",
        "transport": None,
        "verdict": "refuses",
        "images": [{"name": text, "id": "sha256:" + "0" * 64}, {"name": None, "id": None}],
        "reasons": [
            {
                "rule": "not-a-folder",
                "message": text,
                "helps": "another format: --for",
                "source": "moby/moby@29.7.2 daemon/x.go: Load",
                "finding": "digest",
            },
            {"rule": None, "message": text, "helps": None, "source": None, "finding": None},
        ],
    }
    fine = {
        "path": text,
        "format": "oci",
        "platform": "linux/amd64",
        "status": 1,
        "error": None,
        "consumers": [consumer],
    }
    error = {"code": "invalid-input", "member": text, "message": text, "hint": text}
    unread = {**fine, "format": None, "status": 3, "error": error, "consumers": []}
    return {"report": "doctor", "version": 1, "status": 3, "sources": [fine, unread]}
