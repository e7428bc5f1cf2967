"""The test tables of other tools, run on imgconv: who accepts what, and what it means.

IMGCONV_PEER_SOURCES names a folder of checkouts, each as OWNER+NAME; a suite that is not there is
skipped. The tables are read where they lie and nothing of them is kept here. A disagreement must be of
a kind that docs/differences.md lists; the kinds are the functions inside the tests.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
from peer.go_tables import Source, Struct, Unknown
from peer.tools import each

from convert.cli.main import run
from convert.errors import FormatError, ImgconvError
from convert.jsonio import schema, strict
from convert.model.digest import Digest
from convert.model.platform import Platform
from convert.model.reference import Reference

_LOG = logging.getLogger(__name__)
SOURCES = os.environ.get("IMGCONV_PEER_SOURCES", "")


def at(repository, path):
    """Return a path in a checkout."""
    where = Path(SOURCES, repository, path)
    if not SOURCES or not where.exists():
        pytest.skip(f"IMGCONV_PEER_SOURCES has no {repository}/{path}")
    return where


def agree(cases, kinds=(), least=1):
    """Check that each case, (input, expected, got), agrees or is of a kind that is explained."""
    cases = list(cases)
    different = [case for case in cases if case[1] != case[2]]
    left = [case for case in different if not any(kind(*case) for kind in kinds)]
    _LOG.info("%d cases, %d differ, %d of them without a reason", len(cases), len(different), len(left))
    assert len(cases) >= least
    assert left == []


def known(value):
    """Tell whether a value of a table is a literal through and through."""
    if isinstance(value, Struct):
        return all(known(each) for each in (*value.fields.values(), *value.items))
    return not isinstance(value, Unknown)


# -- names ---------------------------------------------------------------------------


def parsed(text):
    try:
        return Reference.parse(text)
    except FormatError:
        return None


def accepted(text):
    return parsed(text) is not None


def is_id(text, expected, got):
    """64 hex digits with or without `sha256:` are an ID elsewhere and never a name here."""
    return expected.partition(":")[2] == text.rpartition(":")[2] and len(text.rpartition(":")[2]) == 64


@pytest.mark.parametrize("folder", ["distribution+reference", "containers+image/docker/reference"])
def test_names_normalise_as_in_distribution(folder):
    source = Source(at(*folder.partition("/")[::2]) / "normalize_test.go")
    cases = []
    for function in ("TestValidateReferenceName", "TestValidateRemoteName"):
        tables = [table for name, table in source.tables(function)]
        assert len(tables) == 2
        for valid, table in zip((True, False), tables, strict=True):
            cases += [(text, valid, accepted(text)) for text in table.items]
    for row in source.table("TestParseRepositoryInfo").items:
        expected = tuple(row[key] for key in ("FamiliarName", "FullName", "Domain", "RemoteName"))
        for key in ("FamiliarName", "FullName", "AmbiguousName"):
            if row[key] and (name := parsed(row[key])):
                cases.append((row[key], expected, (name.familiar, name.full, name.domain, name.path)))
            elif row[key]:
                cases.append((row[key], expected, None))
    for row in source.table("TestNormalizedSplitHostname").items:
        name = parsed(row["input"])
        cases.append((row["input"], (row["domain"], row["path"] or row["name"]), name and (name.domain, name.path)))
    for row in source.table("TestParseDockerRef").items:
        name = parsed(row["input"])
        # A tag beside a digest is dropped there; here the name keeps both.
        full = name and (name.with_tag(None) if name.digest else name).with_default_tag().full
        cases.append((row["input"], row["expected"], full))
    agree(cases, least=90)
    rows = _rows(source, "TestParseAnyReference")
    ids = [(row["Reference"], row["Equivalent"], _full(row["Reference"])) for row in rows]
    agree(ids, [is_id], least=10)


def _rows(source, function, number=0):
    return source.table(function, number).items


def _full(text):
    name = parsed(text)
    return name and name.full


@pytest.mark.parametrize("folder", ["distribution+reference", "containers+image/docker/reference"])
def test_names_parse_as_in_distribution(folder):
    source = Source(at(*folder.partition("/")[::2]) / "reference_test.go")
    cases = []
    for row in _rows(source, "TestReferenceParse"):
        name = parsed(row["input"])
        if row["err"] is not None:
            cases.append((row["input"], None, name and name.full))
        elif name is None:
            cases.append((row["input"], row["repository"], None))
        else:
            # That table is of names as they stand, before they are normalised.
            repository = row["repository"] if name.repository.endswith(row["repository"]) else name.repository
            digest = str(name.digest) if name.digest else None
            cases.append((row["input"], (row["repository"], row["tag"], row["digest"]), (repository, name.tag, digest)))

    def sha512(text, expected, got):
        """sha512 needs an import there; image-spec registers it, so it is known here."""
        return "@sha512:" in text

    agree(cases, [sha512], least=25)


def test_names_of_go_containerregistry():
    folder = at("google+go-containerregistry", "pkg/name")
    cases = {}
    for file in ("digest_test.go", "tag_test.go", "repository_test.go"):
        for name, table in Source(folder / file).names().items():
            if name.startswith(("good", "bad")) and isinstance(table, Struct):
                cases |= {text: (text, name.startswith("good"), accepted(text)) for text in table.items if known(text)}
    agree(cases.values(), least=35)


def test_names_of_regclient():
    cases = []
    for row in _rows(Source(at("regclient+regclient", "types/ref/ref_test.go")), "TestNew"):
        if row["scheme"] != "reg" and row["wantE"] is None:
            continue  # ocidir:// is a path with a tag, which is `oci:PATH:REF` here
        name = parsed(row["ref"])
        expected = None
        if row["wantE"] is None:
            expected = (row["registry"], row["repository"], row["tag"] or None, row["digest"] or None)
        digest = str(name.digest) if name and name.digest else None
        cases.append((row["ref"], expected, name and (name.domain, name.path, name.with_default_tag().tag, digest)))

    def other_host_of_docker_io(text, expected, got):
        return expected is not None and expected[0] == "docker.io" and got is not None and expected[1:] == got[1:]

    def host_with_a_dot_at_the_end(text, expected, got):
        return expected is not None and expected[0].partition(":")[0].endswith(".") and got is None

    def address_that_is_none(text, expected, got):
        return expected is None and text.startswith("[")

    def host_without_a_repository(text, expected, got):
        return expected is None and text.startswith("localhost:")

    kinds = [other_host_of_docker_io, host_with_a_dot_at_the_end, address_that_is_none, host_without_a_repository]
    agree(cases, kinds, least=30)


# -- platforms -----------------------------------------------------------------------


def platform(text):
    try:
        return Platform.parse(text)
    except ImgconvError:
        return None


def struct(row):
    return Platform(*(row[key] or "" for key in ("OS", "Architecture", "Variant", "OSVersion")))


def has_features(text):
    """OS features (`linux(+gpu)`) are refused: they pick nothing here."""
    return "+" in text


def test_platforms_parse_as_in_containerd():
    source = Source(at("containerd+platforms", "platforms_test.go"))
    cases = []
    for row in _rows(source, "TestParseSelector"):
        if row["skip"] or not known(row["expected"]):
            continue  # not supported there, or another result on each machine: one word is refused here
        asked = platform(row["input"])
        cases.append((row["input"], struct(row["expected"]).normalised, asked and asked.normalised))
        cases.append((row["input"], row["formatted"], asked and asked.full))
        others = row["matches"].items if row["matches"] else []
        cases += [(row["input"], True, asked is not None and asked.matches(struct(other))) for other in others]
    cases += [(row["input"], None, platform(row["input"])) for row in _rows(source, "TestParseSelectorInvalid")]
    agree(cases, least=20)
    encoded = [
        (row["expected"], struct(row["platform"]), platform(row["expected"]))
        for row in _rows(source, "TestFormatAllEncoding")
    ]
    agree(encoded, [lambda text, expected, got: has_features(text) and got is None], least=5)


@pytest.mark.parametrize("function", ["TestOnly", "TestOnlyStrict"])
def test_platforms_match_as_in_containerd(function):
    cases = []
    for row in _rows(Source(at("containerd+platforms", "compare_test.go")), function):
        asked = platform(row["platform"])
        for expected, others in row["matches"].fields.items():
            for text in others.items:
                other = platform(text)
                got = None if asked is None or other is None else asked.matches(other)
                cases.append(((row["platform"], text), expected, got))

    def runs_there(pair, expected, got):
        """`Only` asks what a machine can run; `--platform` asks for one platform, as `OnlyStrict`."""
        return function == "TestOnly" and expected is True and got is False

    agree(cases, [runs_there, lambda pair, expected, got: any(map(has_features, pair))], least=80)


def test_platforms_match_as_in_regclient_and_go_containerregistry():
    rows = _rows(Source(at("regclient+regclient", "types/platform/compare_test.go")), "TestCompare")
    cases = [
        ((row["host"], row["target"]), row["expectMatch"], struct(row["host"]).matches(struct(row["target"])))
        for row in rows
    ]

    def other_revision(pair, expected, got):
        """One build of Windows runs another revision of it; asking for a revision asks for that one."""
        versions = [each["OSVersion"] or "" for each in pair]
        return all(versions) and versions[0] != versions[1]

    agree(cases, [other_revision], least=15)
    rows = _rows(Source(at("google+go-containerregistry", "pkg/v1/platform_test.go")), "TestPlatformSatisfies")
    triples = (row.items for row in rows)
    cases = [((asked, have), fits, struct(asked).matches(struct(have))) for have, asked, fits in triples]

    def features(pair, expected, got):
        return any(each[key] for each in pair for key in ("OSFeatures", "Features"))

    def any_variant(pair, expected, got):
        """Silence asks for the usual variant, as in containerd, not for any."""
        return not pair[0]["Variant"] and bool(pair[1]["Variant"])

    agree(cases, [features, any_variant], least=10)


# -- documents -----------------------------------------------------------------------

SCHEMAS = {
    "manifest": ("TestManifest", "manifest", schema.OCI_MANIFEST),
    "config": ("TestConfig", "config", schema.OCI_CONFIG),
    "imageindex": ("TestImageIndex", "imageIndex", schema.OCI_INDEX),
    "imagelayout": ("TestImageLayout", "imageLayout", schema.OCI_LAYOUT),
    "descriptor": ("TestDescriptor", "descriptor", schema.OCI_INDEX),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_documents_of_image_spec(name):
    function, key, schema_name = SCHEMAS[name]
    cases = []
    for row in _rows(Source(at("opencontainers+image-spec", f"schema/{name}_test.go")), function):
        text = row[key] if name != "descriptor" else f'{{"schemaVersion": 2, "manifests": [{row[key]}]}}'
        cases.append((text, bool(row["fail"]), bool(_faults(text, schema_name))))

    def no_layers(text, expected, got):
        """An image without layers is one to every engine."""
        return expected and not json.loads(text).get("layers", True)

    def checked_elsewhere(text, expected, got):
        """`validate` finds `Env` without `=` and broken base64, not by the schema."""
        return expected and ('"Env"' in text or '"data"' in text)

    agree(cases, [no_layers, checked_elsewhere], least=2)


def _faults(text, schema_name):
    try:
        return list(schema.findings(strict.parse(text.encode(), where="x", member="y"), schema_name))
    except ImgconvError as error:
        return [str(error)]


def test_digests_of_go_containerregistry():
    source = Source(at("google+go-containerregistry", "pkg/v1/hash_test.go"))
    cases = []
    for function, good in (("TestGoodHashes", True), ("TestBadHashes", False)):
        cases += [(text, good, _is_digest(text)) for text in _rows(source, function) if known(text)]
    agree(cases, least=8)


def _is_digest(text):
    try:
        Digest.parse(text)
    except FormatError:
        return False
    return True


# -- archives ------------------------------------------------------------------------


@each("crane")
def test_archives_of_go_containerregistry_have_the_digests_of_crane(crane, capsys):
    folder = at("google+go-containerregistry", "pkg/v1")
    cases = []
    for archive in sorted([*folder.glob("tarball/testdata/*.tar"), *folder.glob("mutate/testdata/*.tar")]):
        done = subprocess.run([crane, "digest", "--tarball", archive], capture_output=True, check=False, text=True)
        if done.returncode:
            continue  # no image, or several, for which crane needs a tag
        found_digests = set()
        for build in ("crane", "crane@go1.27"):
            assert run(["digest", str(archive), "--as", build]) == 0
            found_digests.add(capsys.readouterr().out.strip())
        cases.append((archive.name, True, done.stdout.strip() in found_digests))
    agree(cases, least=4)
