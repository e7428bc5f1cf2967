"""Keys in other spellings: Go folds letter case, the long s (U+017F) to s, the Kelvin sign (U+212A) to k.

One rule for every document: a key in another spelling is read with a warning, two keys
for one field are refused. The keys of maps (labels, annotations, tags) never fold.
"""

from __future__ import annotations

import json

from hostile.building import DIFF_ID, LAYER, PLAIN, Docker, Layout, config, dump, sha256, v1
from hostile.cases import accepted, refused

LONG_S, KELVIN = "\N{LATIN SMALL LETTER LONG S}", "\N{KELVIN SIGN}"
TWICE = "in one object mean the same"
ID = "1" * 64


def _respelled(name):
    """Return spellings that only Go's folding takes for `name`."""
    yield name.swapcase()
    if "s" in name.lower():
        at = name.lower().index("s")
        yield name[:at] + LONG_S + name[at + 1 :]
    if "k" in name.lower():
        at = name.lower().index("k")
        yield name[:at] + KELVIN + name[at + 1 :]


def _docker(item):
    return lambda: Docker(manifest=[item]).build()


def _config_of(document):
    return lambda: Docker(config=document).build()


def _layout(**changes):
    return lambda: Layout(**changes).build()


_ITEM = {"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}
_SOURCE = {"mediaType": LAYER, "size": len(PLAIN), "digest": DIFF_ID}
_PLATFORM = {"architecture": "amd64", "os": "linux"}


def _renamed(document, name, key):
    return {(key if each == name else each): value for each, value in document.items()}


def _both(document, name, key):
    return {**document, key: document[name]}


_LAYER = {"mediaType": LAYER, "digest": DIFF_ID, "size": len(PLAIN)}
_STEP = {"created_by": "x", "empty_layer": False}
_HEALTH = {"Test": ["NONE"], "Retries": 1}


def _raw_manifest(layer):
    raw_config = dump(config())
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": sha256(raw_config),
        "size": len(raw_config),
    }
    return dump(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described,
            "layers": [layer],
        }
    )


#: Place -> what builds an archive around a change of one object there, that object, and a field of it.
PLACES = {
    "manifest.json": (_docker, _ITEM, "Layers"),
    "a config": (_config_of, config(), "rootfs"),
    "rootfs": (lambda it: _config_of(config(rootfs=it)), {"type": "layers", "diff_ids": [DIFF_ID]}, "diff_ids"),
    "history": (lambda it: _config_of(config(history=[it])), _STEP, "created_by"),
    "the settings": (lambda it: _config_of(config(config=it)), {"Env": ["A=b"], "OnBuild": None}, "Env"),
    "StopSignal": (lambda it: _config_of(config(config=it)), {"StopSignal": "TERM"}, "StopSignal"),
    "container_config": (lambda it: _config_of(config(container_config=it)), {"WorkingDir": "/"}, "WorkingDir"),
    "a health check": (lambda it: _config_of(config(config={"Healthcheck": it})), _HEALTH, "Test"),
    "a manifest": (
        lambda it: lambda: Layout(raw_manifest=dump(it)).build(),
        json.loads(_raw_manifest(_LAYER)),
        "layers",
    ),
    "a descriptor's size": (lambda it: lambda: Layout(raw_manifest=_raw_manifest(it)).build(), _LAYER, "size"),
    "a descriptor's type": (lambda it: lambda: Layout(raw_manifest=_raw_manifest(it)).build(), _LAYER, "mediaType"),
    "a platform's architecture": (lambda it: _layout(entry={"platform": it}), _PLATFORM, "architecture"),
    "a platform's os": (lambda it: _layout(entry={"platform": it}), _PLATFORM, "os"),
    "oci-layout": (lambda it: _layout(oci_layout=it), {"imageLayoutVersion": "1.0.0"}, "imageLayoutVersion"),
}

_MAPS = (
    accepted(
        "labels that differ in case", _config_of(config(config={"Labels": {"a": "1", "A": "2", LONG_S: "3", "s": "4"}}))
    ),
    accepted("annotations that differ in case", _layout(entry={"annotations": {"a.b": "1", "A.B": "2"}})),
    accepted(
        "tags that differ in case",
        lambda: v1((ID, None, PLAIN), repositories={"a": {"x": ID, "X": ID}}),
    ),
)

CASES = [
    *(
        refused(f"{place}: {name} beside {key}", build(_both(document, name, key)), TWICE, code="ambiguous-json-key")
        for place, (build, document, name) in PLACES.items()
        for key in _respelled(name)
    ),
    *(
        accepted(f"{place}: {key} for {name}", build(_renamed(document, name, key)))
        for place, (build, document, name) in PLACES.items()
        for key in list(_respelled(name))[-1:]
    ),
    *_MAPS,
]  # fmt: skip
