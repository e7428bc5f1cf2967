"""`validate`: a damaged archive gives all its findings, a sound one none.

What is wrong with the published archives is what their index says of them; the
rest is damaged here, each in one known way.
"""

import base64
import hashlib
import io
import json
import tarfile

import fixtures
import pytest
from hostile import building
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.reading import members, plain, sha256
from support import FORMATS, MATCH

from convert.commands.convert import convert
from convert.commands.validate import RULES, Severity, validate
from convert.errors import ImgconvError, StorageError

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution."


def counted(verdict):
    """Return the rules of findings that count."""
    return {found.rule for found in verdict.findings if found.counts}


def noted(verdict):
    return {found.rule for found in verdict.findings if not found.counts}


# -- archives of other projects --------------------------------------------------------

#: Archive -> rules it breaks: for each what its index says in bold or calls damaged.
KNOWN = {
    "damaged-null-manifest.tar": {"no-images"},
    "damaged-oci-config-blob-missing": {"missing"},
    "damaged-oci-grootfs-size-too-big": {"digest", "size"},
    "damaged-oci-grootfs-size-too-small": {"digest", "size"},
    "damaged-oci-index-empty-object": {"schema"},
    "damaged-oci-index-not-json": {"json"},
    "damaged-oci-layer-blob-missing": {"missing"},
    # Its config and one layer are named by digests and sizes that are not theirs.
    "damaged-oci-mirror-rotten-config": {"json", "digest", "size"},
    "damaged-oci-mirror-rotten-layer": {"digest", "size", "diff-id", "layer-count", "layer-type", "layer-tar"},
    "damaged-oci-mirror-rotten-manifest": {"json", "digest", "size"},
    "damaged-oci-unknown-media-type-absent-manifest": {"missing", "no-images"},
    "docker-desktop-containerd-manifest-list.tar": {"digest", "size", "missing"},
    "docker-pre110-dotdot-layer-id.tar": {"tar", "schema", "v1-id"},
    "docker-save-dockergoof.tar": {"diff-id", "layer-count", "repositories", "v1-id"},
    "docker-save-hello-world-other-layer.tar": {"diff-id"},
    "docker-save-nginx-buildinfo-gutted-gzip.tar": {"diff-id", "layer-count", "v1-chain", "v1-version"},
    "docker-save-nginx-os-release-link-gutted.tar": {"diff-id", "layer-count", "v1-chain", "v1-version"},
    "docker-save-two-images.tar.gz": {"diff-id", "layer-tar"},
    "docker25-untagged-null-manifests.tar": {"no-images"},
    "oci-buildpacks-multi-platform-no-blobs": {"no-images", "layout-blobs"},
    # OCI's layer types in Docker manifests.
    "oci-buildpacks-previous": {"docker-type"},
    "oci-buildpacks-previous-sparse": {"docker-type", "missing"},
    "oci-containers-image-delete-multiple": {"diff-id", "layer-type", "size", "layer-tar"},
    "oci-containers-image-identical-refs": {"diff-id", "layer-type", "duplicate-name", "layer-tar"},
    "oci-ggcr-unknown-media-type-no-blobs": {"missing", "no-images", "layout-blobs"},
    "oci-grootfs-base-directory": {"size"},
    "oci-grootfs-busybox": {"digest", "size"},
    "oci-grootfs-hardlink": {"digest", "size"},
    "oci-hub-alpine": {"digest", "size", "diff-id", "layer-type", "layer-tar"},
    "oci-mirror-hello-manifest-list": {"size"},
    "oci-skopeo-alpine-3.12.0-gzip.tar": {"digest", "size", "diff-id"},
    "oci-skopeo-nginx-gzip.tar": {"digest", "size", "diff-id", "layer-count", "layer-type"},
    "oci-with-docker-manifest-gzip.tar": {"digest", "size", "diff-id", "missing", "layer-count", "index-manifest"},
    # Three layers of thirteen; each is one of the config's, though not in its place.
    "podman-cnb-builder-symlinks.tar": {"layer-count", "repositories"},
    "skopeo-centos6-gzip.tar": {"diff-id"},
    "skopeo-nginx-second-gutted.tar": {"diff-id", "layer-count"},
    "skopeo-windows-mini.tar.gz": {"diff-id"},
    "not-an-image-plain.tar": {"not-an-image"},
    # Names of signatures that begin with an underscore, which skopeo and podman cannot select.
    "oci-sylabs-cosign-manifest-list": {"ref-name"},
    # Not damaged, but the index has Docker refuse the tags.
    "bazel-bundle-two-images-bare-tags.tar": {"repo-tag"},
    # Made by hand: `repositories` has another tag than manifest.json, a folder that is
    # no v1 layer, and the only step of the history is called an empty layer.
    "handmade-ecs-pause-amd64.tar": {"repositories", "v1-chain", "history"},
    "handmade-ecs-pause-arm64.tar": {"repositories", "v1-chain", "history"},
}

#: Those that hold no image at all.
EMPTY = {
    "damaged-null-manifest.tar",
    "damaged-oci-unknown-media-type-absent-manifest",
    "oci-buildpacks-multi-platform-no-blobs",
    "oci-ggcr-unknown-media-type-no-blobs",
}


@pytest.mark.parametrize("name", fixtures.names("images"))
def test_published_archives_break_the_rules_that_their_index_says(name):
    verdict = validate(str(fixtures.get(f"images/{name}")), jobs=2)
    assert counted(verdict) == KNOWN.get(name, set())
    nothing = name.startswith("not-an-image") or name in EMPTY
    assert verdict.status == (3 if nothing else 1 if name in KNOWN else 0)


def test_every_blob_that_an_index_names_wrongly_has_its_own_finding():
    """This layout's manifest, config and layer are each another, says the archives' index."""
    verdict = validate(str(fixtures.get("images/damaged-oci-mirror-rotten-layer")))
    wrong = {found.member[-64:][:12] for found in verdict.findings if found.rule == "digest"}
    assert wrong == {"3986c6e03969", "1a6ae3d35ced"}


@pytest.mark.parametrize("archive", sorted(MATCH.glob("*.tar.gz")), ids=lambda path: path.name)
def test_what_engines_wrote_breaks_no_rule(archive):
    verdict = validate(str(archive))
    assert counted(verdict) == set()
    assert verdict.status == 0


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["docker20-multi", "containerd29-export", "podman-oci-archive", "crane-tarball"])
def test_what_imgconv_writes_breaks_no_rule(name, form, tmp_path):
    convert(str(MATCH / f"{name}.tar.gz"), tmp_path / "out", to=form)
    assert counted(validate(str(tmp_path / "out"))) == set()


# -- damage ----------------------------------------------------------------------------


def tar(files, *, extra=(), end=bytes(10240)):
    """Return a tar of these files (name -> bytes, or a str as symlink target), then of pairs."""
    output = io.BytesIO()
    archive = tarfile.open(fileobj=output, mode="w")  # noqa: SIM115 - its own end blocks are not wanted
    for name, content in [*files.items(), *extra]:
        member = tarfile.TarInfo(name)
        if isinstance(content, str):
            member.type, member.linkname = tarfile.SYMTYPE, content
            archive.addfile(member)
        else:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue() + end


def dumps(value):
    return json.dumps(value).encode()


class Docker:
    """An archive of docker save with three layers and three tags, to be damaged."""

    def __init__(self, name="docker20-html"):
        self.files = members(plain(MATCH / f"{name}.tar.gz"))
        self.manifest = json.loads(self.files["manifest.json"])
        self.item = self.manifest[0]
        self.layers = self.item["Layers"]
        self.config_name = self.item["Config"]
        self.config = json.loads(self.files[self.config_name])
        self.repositories = json.loads(self.files["repositories"])

    def bytes(self, **options):
        self.files["manifest.json"] = dumps(self.manifest)
        self.files["repositories"] = dumps(self.repositories)
        return tar(self.files, **options)

    def edit(self, name, **changes):
        document = json.loads(self.files[name]) | changes
        self.files[name] = dumps({key: value for key, value in document.items() if value is not ...})

    def edit_config(self, **changes):
        """Change the config, and its name with it."""
        raw = dumps({key: value for key, value in (self.config | changes).items() if value is not ...})
        del self.files[self.config_name]
        self.item["Config"] = hashlib.sha256(raw).hexdigest() + ".json"
        self.files[self.item["Config"]] = raw


def folder(layer):
    return layer.partition("/")[0]


def docker(change):
    def make():
        archive = Docker()
        return change(archive) or archive.bytes()

    return make


def raw_manifest(text):
    def change(archive):
        archive.bytes()
        return tar(archive.files | {"manifest.json": text(archive.files["manifest.json"])})

    return docker(change)


def other_layer(archive):
    archive.files[archive.layers[1]] = bytes(2048)


def no_layer(archive):
    del archive.files[archive.layers[1]]


def one_layer_less(archive):
    archive.layers.pop(1)
    archive.item["LayerSources"] = {sha256(b""): {"mediaType": OCI + "layer.v1.tar", "digest": sha256(b""), "size": 0}}


def lying_source(archive):
    diff_id = archive.config["rootfs"]["diff_ids"][0]
    archive.item["LayerSources"] = {diff_id: {"mediaType": OCI + "layer.v1.tar", "digest": diff_id, "size": 7}}


def broken_gzip(archive):
    import gzip

    layer = archive.files[archive.layers[0]]
    archive.files[archive.layers[0]] = gzip.compress(layer)[:-20]


def two_images_one_tag(archive):
    other = dumps(archive.config | {"author": "someone else"})
    name = hashlib.sha256(other).hexdigest() + ".json"
    archive.files[name] = other
    archive.manifest.append(archive.item | {"Config": name, "RepoTags": archive.item["RepoTags"][:1]})


def loop(archive):
    archive.files[archive.layers[1]] = "layer.tar"


def wrong_name(archive):
    archive.files["0" * 64 + ".json"] = archive.files.pop(archive.config_name)
    archive.item["Config"] = "0" * 64 + ".json"


DOCKER_DAMAGE = {
    "another layer": (docker(other_layer), {"diff-id"}),
    "no layer": (docker(no_layer), {"missing"}),
    "no config": (docker(lambda a: a.files.pop(a.config_name) and None), {"missing"}),
    "a layer less": (docker(one_layer_less), {"layer-count", "layer-sources", "v1-chain"}),
    "a source of another size": (docker(lying_source), {"layer-sources"}),
    "a gzip cut short": (docker(broken_gzip), {"layer-damaged"}),
    "one tag on two images": (docker(two_images_one_tag), {"duplicate-name", "v1-id"}),
    "links in a circle": (docker(loop), {"unsafe"}),
    "a way out": (docker(lambda a: a.layers.__setitem__(1, "../" + a.layers[1])), {"unsafe"}),
    "a tag of its own": (docker(lambda a: a.item["RepoTags"].append("other:1")), {"repositories"}),
    "no tag": (docker(lambda a: a.item["RepoTags"].append("fmt-html")), {"repo-tag", "repositories"}),
    "capitals": (docker(lambda a: a.item["RepoTags"].append("FMT:1")), {"repo-tag"}),
    "another top": (docker(lambda a: a.repositories["fmt-html"].__setitem__("1", "0" * 64)), {"repositories"}),
    "a name too many": (docker(lambda a: a.repositories.__setitem__("more", {"1": "0" * 64})), {"repositories"}),
    "an unknown name": (docker(lambda a: a.repositories.__setitem__("A", {"1": "0" * 64})), {"repositories"}),
    "a text for a list": (docker(lambda a: a.item.__setitem__("Layers", "x")), {"schema", "layer-count"}),
    "two spellings": (docker(lambda a: a.item.__setitem__("layers", [])), {"schema"}),
    "an empty list": (docker(lambda a: a.manifest.clear()), {"no-images", "repositories"}),
    "another parent": (docker(lambda a: a.edit(f"{folder(a.layers[1])}/json", parent="0" * 64)), {"v1-chain"}),
    "another id": (docker(lambda a: a.edit(f"{folder(a.layers[1])}/json", id="0" * 64)), {"v1-chain"}),
    "another version": (docker(lambda a: a.files.update({f"{folder(a.layers[0])}/VERSION": b"2.0"})), {"v1-version"}),
    "no version": (docker(lambda a: a.files.pop(f"{folder(a.layers[0])}/VERSION") and None), {"v1-version"}),
    "another config": (docker(lambda a: a.edit_config(author="someone else")), {"v1-id"}),
    "a step too many": (
        docker(lambda a: a.edit_config(history=[{"created_by": "x"}] * 9)),
        {"history-too-long"},
    ),
    "a DiffID that is none": (
        docker(lambda a: a.edit_config(rootfs={"type": "layers", "diff_ids": ["x"]})),
        {"schema"},
    ),
    "a key twice": (
        raw_manifest(lambda raw: raw.replace(b'"Config"', b'"Config": "x", "Config"', 1)),
        {"duplicate-key"},
    ),
    "a byte order mark": (raw_manifest(lambda raw: b"\xef\xbb\xbf" + raw), {"json"}),
    "something behind": (raw_manifest(lambda raw: raw + b"x"), {"json"}),
    "nested too deep": (raw_manifest(lambda _: b"[" * 100000), {"json"}),
    "nothing": (raw_manifest(lambda _: b""), {"json"}),
    "null": (raw_manifest(lambda _: b"null"), {"no-images"}),
    "a member twice": (
        docker(lambda a: a.bytes(extra=[(a.config_name, a.files[a.config_name])])),
        {"duplicate-member"},
    ),
    "a member twice, and another": (
        docker(lambda a: a.bytes(extra=[(a.layers[0], bytes(1024))])),
        {"duplicate-member"},
    ),
    "no end": (docker(lambda a: a.bytes(end=b"")), {"tar"}),
    "junk behind the end": (docker(lambda a: a.bytes(end=bytes(1024) + b"x" * 512)), {"tar"}),
    "a way out as a name": (docker(lambda a: a.bytes(extra=[("../evil", b"x")])), {"tar"}),
    "crane's name for another config": (
        docker(
            lambda a: (a.files.__setitem__(sha256(b"x"), a.files[a.config_name]), a.item.update(Config=sha256(b"x")))[
                2:
            ]
        ),
        {"digest"},
    ),
}


@pytest.mark.parametrize("case", DOCKER_DAMAGE)
def test_damaged_docker_archives_break_these_rules_and_no_other(case, tmp_path):
    make, rules = DOCKER_DAMAGE[case]
    (tmp_path / "x.tar").write_bytes(make())
    verdict = validate(str(tmp_path / "x.tar"))
    assert counted(verdict) == rules
    assert verdict.status == (3 if "no-images" in rules else 1)


NOTES = {
    "another letter case": (
        docker(lambda a: a.manifest.__setitem__(0, {key.lower(): value for key, value in a.item.items()})),
        "letter-case",
    ),
    "a name that is another digest": (docker(wrong_name), "config-name"),
    "a parent elsewhere": (docker(lambda a: a.item.update(Parent=sha256(b"x"))), "parent"),
    "no repositories": (
        docker(lambda a: tar({name: data for name, data in a.files.items() if name != "repositories"})),
        "no-repositories",
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_oddities_that_tools_agree_about_are_notes(case, tmp_path):
    make, rule = NOTES[case]
    (tmp_path / "x.tar").write_bytes(make())
    verdict = validate(str(tmp_path / "x.tar"))
    assert counted(verdict) == set()
    assert noted(verdict) == {rule}
    assert verdict.status == 0


def test_a_docker_config_without_an_architecture_is_noted(tmp_path):
    """Docker takes it, and a schema of OCI does not."""
    config = building.config()
    del config["architecture"]
    (tmp_path / "x.tar").write_bytes(building.Docker(config=config).build())
    verdict = validate(str(tmp_path / "x.tar"))
    assert "no-architecture" in noted(verdict)
    assert verdict.status == 0


# -- layouts ---------------------------------------------------------------------------


class Layout:
    """A layout of one image with one gzip layer, to be damaged before it is written."""

    def __init__(self):
        import gzip

        self.tar = tar({"hello": b"hello"})
        self.layer = gzip.compress(self.tar, mtime=0)
        self.config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256(self.tar)]},
            "history": [{"created_by": "COPY"}, {"created_by": "CMD", "empty_layer": True}],
        }
        self.blobs = {}
        self.layers = [self.put(self.layer, "layer.v1.tar+gzip")]
        self.manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json"}
        self.entry = {"annotations": {"org.opencontainers.image.ref.name": "example.com/x:1"}}
        self.index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json"}
        self.manifests = None
        self.config_type = OCI + "config.v1+json"
        self.version = "1.0.0"

    def put(self, raw, kind, **more):
        self.blobs[sha256(raw)] = raw
        media_type = kind if "/" in kind else OCI + kind
        return {"mediaType": media_type, "digest": sha256(raw), "size": len(raw)} | more

    def finish(self):
        config = self.put(dumps(self.config), self.config_type)
        self.manifest = {"config": config, "layers": self.layers} | self.manifest
        self.entry = self.put(dumps(self.manifest), "manifest.v1+json") | self.entry
        self.index = {"manifests": self.manifests or [self.entry]} | self.index

    def files(self):
        blobs = {f"blobs/{digest.replace(':', '/')}": raw for digest, raw in self.blobs.items()}
        return blobs | {
            "index.json": dumps(self.index),
            "oci-layout": dumps({"imageLayoutVersion": self.version}),
        }


def layout(before=lambda _: None, after=lambda _: None):
    """Make a damaged layout: changed `before` its digests are taken, and `after`."""

    def make():
        built = Layout()
        before(built)
        built.finish()
        after(built)
        return tar(built.files())

    return make


def rot(what):
    def change(built):
        digest = {"config": built.manifest["config"], "layer": built.layers[0], "manifest": built.entry}[what]["digest"]
        built.blobs[digest] = built.blobs[digest][:-1] + b"~"

    return change


def gone(built):
    del built.blobs[built.layers[0]["digest"]]


def nested(built):
    built.finish()
    child = built.entry | {"platform": {"os": "windows", "architecture": "amd64"}}
    absent = child | {"digest": sha256(b"elsewhere"), "platform": {"os": "linux", "architecture": "arm64"}}
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [child, absent]}
    built.manifests = [built.put(dumps(index), "index.v1+json")]
    built.index.pop("manifests")
    built.finish()


def second(**more):
    def change(built):
        built.finish()
        first = built.entry
        built.config["author"] = "other"
        built.manifest.pop("config")
        built.entry = {"annotations": first["annotations"]} | more
        built.index.pop("manifests")
        built.finish()
        built.index["manifests"].insert(0, first)

    return change


def plain_layer(built):
    built.layers = [built.put(built.tar, "layer.v1.tar+gzip")]
    del built.blobs[sha256(built.layer)]


def data(text):
    return lambda built: built.entry.update(data=text)


LAYOUT_DAMAGE = {
    "sound": (layout(), set()),
    "a rotten manifest": (layout(after=rot("manifest")), {"json", "digest"}),
    "a rotten config": (layout(after=rot("config")), {"json", "digest"}),
    "a rotten layer": (layout(after=rot("layer")), {"digest", "layer-damaged"}),
    "no layer": (layout(after=gone), {"missing"}),
    "a size too large": (layout(lambda b: b.layers[0].update(size=7)), {"size"}),
    "another tar": (layout(lambda b: b.config["rootfs"].update(diff_ids=[sha256(b"x")])), {"diff-id"}),
    "two DiffIDs": (
        layout(lambda b: (b.config.pop("history"), b.config["rootfs"]["diff_ids"].append(sha256(b"x")))),
        {"layer-count"},
    ),
    "a step less": (layout(lambda b: b.config["history"].pop(0)), {"history"}),
    "no architecture": (layout(lambda b: b.config.pop("architecture")), {"schema"}),
    "not compressed": (layout(plain_layer), {"layer-type"}),
    "called an index": (layout(lambda b: b.manifest.update(mediaType=OCI + "index.v1+json")), {"media-type", "schema"}),
    "an index too": (layout(lambda b: b.manifest.update(manifests=[])), {"ambiguous", "schema"}),
    "a manifest too": (layout(lambda b: b.index.update(layers=[])), {"ambiguous", "schema"}),
    "another version": (layout(lambda b: setattr(b, "version", "2.0.0")), {"layout-version", "schema"}),
    "spaces in a name": (
        layout(lambda b: b.entry["annotations"].update({"org.opencontainers.image.ref.name": "a b"})),
        {"ref-name"},
    ),
    "another platform": (layout(nested), {"platform"}),
    "one name on two": (layout(second()), {"duplicate-name"}),
    "one name on two platforms": (
        layout(
            lambda b: (
                b.entry.update(platform={"os": "linux", "architecture": "amd64"}),
                second(platform={"os": "linux", "architecture": "arm"})(b),
            )
        ),
        set(),
    ),
    "other data": (layout(data(base64.b64encode(b"x").decode())), {"digest", "size", "unreadable"}),
    "data that is none": (layout(data("!")), {"schema"}),
    "an empty index": (layout(after=lambda b: b.index.update(manifests=None)), {"no-images"}),
    "another algorithm": (layout(lambda b: b.layers[0].update(digest="md5:" + "0" * 32)), {"schema"}),
    "a stray blob that is not its name": (layout(after=lambda b: b.blobs.update({sha256(b"x"): b"y"})), {"digest"}),
}


@pytest.mark.parametrize("case", LAYOUT_DAMAGE)
def test_damaged_layouts_break_these_rules_and_no_other(case, tmp_path):
    make, rules = LAYOUT_DAMAGE[case]
    (tmp_path / "x.tar").write_bytes(make())
    verdict = validate(str(tmp_path / "x.tar"))
    assert counted(verdict) == rules
    assert verdict.status == (3 if "no-images" in rules else 1 if rules else 0)


LAYOUT_NOTES = {
    "a stray blob": (layout(lambda b: b.put(b"stray", "x")), {"unreferenced"}),
    "a platform elsewhere": (
        layout(
            lambda b: (nested(b), b.index["manifests"][0].update(platform={"os": "linux", "architecture": "amd64"}))
        ),
        {"absent-child"},
    ),
    "Docker's type inside": (
        layout(
            lambda b: (
                b.manifest.update(mediaType=DOCKER + "manifest.v2+json"),
                setattr(b, "config_type", "application/vnd.docker.container.image.v1+json"),
                b.layers[0].update(mediaType="application/vnd.docker.image.rootfs.diff.tar.gzip"),
            )
        ),
        {"docker-type"},
    ),
    "a layer elsewhere": (
        layout(
            lambda b: b.layers[0].update(
                mediaType=OCI + "layer.nondistributable.v1.tar+gzip", urls=["https://example.com/x"]
            ),
            after=gone,
        ),
        {"absent-layer"},
    ),
    "a signature": (layout(lambda b: (b.config.pop("rootfs"), b.config.pop("history"))), {"no-diff-ids"}),
}


@pytest.mark.parametrize("case", LAYOUT_NOTES)
def test_oddities_of_layouts_that_are_sound_are_notes(case, tmp_path):
    make, rules = LAYOUT_NOTES[case]
    (tmp_path / "x.tar").write_bytes(make())
    assert noted(validate(str(tmp_path / "x.tar"))) == rules


# -- both, and old ---------------------------------------------------------------------


def both(change):
    files = members(plain(MATCH / "containerd29-export.tar.gz"))
    listed, index = json.loads(files["manifest.json"]), json.loads(files["index.json"])
    change(listed, index)
    return tar(files | {"manifest.json": dumps(listed), "index.json": dumps(index)})


def test_images_that_only_index_json_has_are_found(tmp_path):
    (tmp_path / "x.tar").write_bytes(both(lambda listed, _: listed.clear()))
    assert counted(validate(str(tmp_path / "x.tar"))) == {"index-manifest", "no-images"}


#: Two lists in one archive that do not agree.
BOTH_DAMAGE = {
    "a name more": lambda listed, _: listed[0]["RepoTags"].append("more:1"),
    "a name less": lambda listed, _: listed[0]["RepoTags"].pop(),
    "a layer less": lambda listed, _: listed[0].update(Layers=listed[0]["Layers"][:-1]),
}


@pytest.mark.parametrize("case", BOTH_DAMAGE)
def test_index_and_manifest_that_disagree_are_found(case, tmp_path):
    (tmp_path / "x.tar").write_bytes(both(BOTH_DAMAGE[case]))
    assert "index-manifest" in counted(validate(str(tmp_path / "x.tar")))


def legacy(change):
    files = members(plain(MATCH / "legacy-repositories-only.tar.gz"))
    change(files)
    return tar(files)


def bad_top(files):
    repositories = json.loads(files["repositories"])
    name = next(iter(repositories))
    repositories[name] = dict.fromkeys(repositories[name], "rootfs")
    files["repositories"] = dumps(repositories)


def no_parent(files):
    name = next(name for name in files if name.endswith("/json") and "parent" in json.loads(files[name]))
    files[name] = dumps(json.loads(files[name]) | {"parent": "0" * 64})


LEGACY_DAMAGE = {
    "a top that is not an ID": (bad_top, {"v1-id"}),
    "a parent that is not there": (no_parent, {"missing"}),
    "no layer": (lambda files: files.pop(next(name for name in files if name.endswith("/layer.tar"))), {"missing"}),
    "no version": (lambda files: files.pop(next(name for name in files if name.endswith("/VERSION"))), {"v1-version"}),
}


@pytest.mark.parametrize("case", LEGACY_DAMAGE)
def test_damaged_archives_from_before_docker_1_10(case, tmp_path):
    change, rules = LEGACY_DAMAGE[case]
    (tmp_path / "x.tar").write_bytes(legacy(change))
    assert rules <= counted(validate(str(tmp_path / "x.tar"))) <= rules | {"unreadable"}


# -- whole sources ---------------------------------------------------------------------


def test_an_archive_cut_short_is_damaged_beyond_recognition(tmp_path):
    (tmp_path / "x.tar").write_bytes(Docker().bytes()[:6000])
    verdict = validate(str(tmp_path / "x.tar"))
    assert counted(verdict) == {"damaged"}
    assert verdict.status == 3
    assert verdict.format is None


def test_what_is_no_image_has_status_3(tmp_path):
    (tmp_path / "x.tar").write_bytes(tar({"a": b"b"}))
    (tmp_path / "x.txt").write_text("text")
    for name in ("x.tar", "x.txt"):
        verdict = validate(str(tmp_path / name))
        assert (counted(verdict), verdict.status) == ({"not-an-image"}, 3)


def test_what_is_not_there_is_no_finding(tmp_path):
    with pytest.raises(StorageError):
        validate(str(tmp_path / "nothing"))


def test_all_damage_is_found_and_not_only_the_first(tmp_path):
    archive = Docker()
    other_layer(archive)
    del archive.files[archive.layers[2]]
    archive.repositories["fmt-html"]["1"] = "0" * 64
    archive.item["RepoTags"].append("FMT:1")
    archive.edit(f"{folder(archive.layers[1])}/json", parent="0" * 64)
    (tmp_path / "x.tar").write_bytes(archive.bytes())
    verdict = validate(str(tmp_path / "x.tar"))
    assert counted(verdict) == {"diff-id", "missing", "repositories", "repo-tag", "v1-chain"}


@pytest.mark.parametrize("name", ["docker20-multi", "containerd29-export-multiplatform"])
def test_findings_do_not_depend_on_the_number_of_jobs(name, tmp_path):
    files = members(plain(MATCH / f"{name}.tar.gz"))
    files = {name: content[:-1] + b"!" if len(content) > 1000 else content for name, content in files.items()}
    (tmp_path / "x.tar").write_bytes(tar(files))
    verdicts = [validate(str(tmp_path / "x.tar"), jobs=jobs) for jobs in (1, 2, 8)]
    assert verdicts[0].findings
    assert all(verdict == verdicts[0] for verdict in verdicts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.floats(0, 1, exclude_max=True),
    new=st.binary(min_size=1, max_size=8),
    form=st.sampled_from(["docker20-html", "containerd29-export"]),
)
def test_whatever_is_overwritten_is_a_finding_or_harmless(place, new, form, tmp_path):
    raw = bytearray(plain(MATCH / f"{form}.tar.gz"))
    start = int(place * len(raw))
    raw[start : start + len(new)] = new
    (tmp_path / "x.tar").write_bytes(raw)
    try:
        verdict = validate(str(tmp_path / "x.tar"))
    except ImgconvError as error:
        pytest.fail(f"raised {error!r} where a finding was due")
    assert verdict.status in {0, 1, 3}
    assert all(str(found).isprintable() for found in verdict.findings)


def test_names_with_control_characters_are_never_given_raw(tmp_path):
    archive = Docker()
    archive.item["RepoTags"].append("\x1b[31mred:1")
    archive.layers[0] = "\x07bell/layer.tar"
    (tmp_path / "x.tar").write_bytes(archive.bytes())
    texts = [str(found) for found in validate(str(tmp_path / "x.tar")).findings]
    assert any("x1b" in text for text in texts)
    assert all(text.isprintable() for text in texts)


def test_findings_have_an_end_and_notes_do_not_crowd_them_out(tmp_path):
    built = Layout()
    for number in range(1500):
        built.put(b"stray %d" % number, "x")
    built.layers[0].update(size=7)
    built.finish()
    (tmp_path / "x.tar").write_bytes(tar(built.files()))
    verdict = validate(str(tmp_path / "x.tar"))
    assert verdict.status == 1
    assert counted(verdict) == {"size"}
    notes = [found for found in verdict.findings if not found.counts]
    assert len(notes) == 1001
    assert "others are not listed" in notes[-1].message


def test_indexes_that_name_each_other_over_and_over_are_read_once(tmp_path):
    """Eight levels of a thousand entries each stand for 10^24 images."""
    built = Layout()
    built.finish()
    child = built.entry
    for _ in range(6):
        index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [child] * 1000}
        child = built.put(dumps(index), "index.v1+json")
    built.index["manifests"] = [child]
    (tmp_path / "x.tar").write_bytes(tar(built.files()))
    verdict = validate(str(tmp_path / "x.tar"))
    # What imgconv's readers make of such a thing is theirs to say.
    assert counted(verdict) <= {"unreadable"}


def test_a_config_that_many_images_name_is_checked_once(tmp_path):
    archive = Docker()
    archive.manifest *= 5000
    archive.edit_config(history=[{"created_by": "x"}] * 9)
    for item in archive.manifest:
        item["Config"] = archive.item["Config"]
    (tmp_path / "x.tar").write_bytes(archive.bytes())
    findings = validate(str(tmp_path / "x.tar")).findings
    assert len([found for found in findings if found.rule == "history-too-long"]) == 1


# -- rules -----------------------------------------------------------------------------


def test_a_severity_is_one_of_three():
    assert {rule.severity for rule in RULES.values()} == set(Severity)
