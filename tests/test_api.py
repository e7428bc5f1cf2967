"""The Python API: the same functions, results and statuses as the command line, all of it typed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tarfile
import typing
from pathlib import Path

import pytest
from oracle.reading import contents, plain
from support import MATCH

import convert
from convert.cli.main import run
from convert.commands import keywords
from convert.errors import ImgconvError
from convert.report import convert as convert_report
from convert.report import digest as digest_report
from convert.report import match as match_report
from convert.report import validate as validate_report

ROOT = Path(__file__).parents[1]
OPTIONS = {name.removesuffix("Fields"): fields for name, fields in vars(keywords).items() if name.endswith("Fields")}


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Make a folder of sources, good and bad, the current one."""
    monkeypatch.chdir(tmp_path)
    raw = bytearray(plain(MATCH / "docker20-html.tar.gz"))
    Path("html.tar").write_bytes(raw)
    Path("cut.tar").write_bytes(raw[:20_000])
    with tarfile.open("html.tar") as archive:
        raw[next(each for each in archive if each.name.endswith("layer.tar")).offset_data + 513] ^= 1
    Path("rotten.tar").write_bytes(raw)
    Path("multi.tar").write_bytes(plain(MATCH / "docker20-multi.tar.gz"))
    Path("platforms.tar").write_bytes(plain(MATCH / "containerd29-export-multiplatform.tar.gz"))
    Path("junk").write_bytes(b"junk")
    assert run(["digest", "html.tar", "--as", "crane@go1.26", "--manifest", "manifest.json"]) == 0
    return tmp_path


def conversion(*arguments, **options):
    report = convert.convert(*arguments, **options)
    return convert_report.document(report), 0


def additions(*arguments, **options):
    report = convert.add_repositories(*arguments, **options)
    return convert_report.document(report), 0


def digests(*arguments, **options):
    return digest_report.document(convert.digest(*arguments, **options)), 0


def matches(*arguments, **options):
    report = convert.match(*arguments, **options)
    return match_report.document(report), report.status


def findings(*arguments, **options):
    verdict = convert.validate(*arguments, **options)
    return validate_report.document([verdict]), verdict.status


def documents(command):
    def call(*arguments, **options):
        report = command(*arguments, **options)
        return report.document, report.status

    return call


inspection = documents(convert.inspect)
comparison = documents(convert.diff)


def identities(*arguments, **options):
    report = convert.identify(*arguments, details=True, **options)
    return report.document, report.status


#: What to call, its arguments and options, and the same on the command line.
CASES = [
    (conversion, ["html.tar", "out"], {"to": "oci"}, "html.tar --to oci out"),
    (conversion, ["multi.tar", "out"], {"to": "crane"}, "multi.tar --to crane out"),
    (
        conversion,
        ["multi.tar", "out"],
        {"to": "oci", "images": ["fmt-html:1"], "tags": ["a:1"], "compress": "docker", "verify": "full"},
        "multi.tar --to oci out --image fmt-html:1 --tag a:1 --compress docker --verify full",
    ),
    (
        conversion,
        ["platforms.tar", "out"],
        {"to": "oci-archive", "platforms": ["linux/ppc64le"], "manifest_type": "docker"},
        "platforms.tar --to oci-archive out --platform linux/ppc64le --manifest-type docker",
    ),
    (conversion, ["html.tar", "out"], {"to": "oci", "pusher": "docker"}, "html.tar --to oci out --as docker"),
    (conversion, ["html.tar", "out"], {"to": "nothing"}, "html.tar --to nothing out"),
    (conversion, ["html.tar", "junk"], {"to": "crane"}, "html.tar --to crane junk"),
    (conversion, ["rotten.tar", "out"], {"to": "oci"}, "rotten.tar --to oci out"),
    (conversion, ["cut.tar", "out"], {"to": "oci"}, "cut.tar --to oci out"),
    (conversion, ["absent.tar", "out"], {"to": "oci"}, "absent.tar --to oci out"),
    (conversion, ["platforms.tar", "out"], {"to": "docker-save"}, "platforms.tar --to docker-save out"),
    (additions, ["html.tar", "out"], {"v1_ids": "chain-free"}, "--add-repositories html.tar out --v1-ids chain-free"),
    (additions, ["junk", "out"], {}, "--add-repositories junk out"),
    (digests, ["html.tar"], {}, "digest html.tar"),
    (digests, ["multi.tar"], {"pushers": ["crane"]}, "digest multi.tar --as crane"),
    (digests, ["html.tar"], {"images": ["nothing:1"]}, "digest html.tar --image nothing:1"),
    (digests, ["rotten.tar"], {}, "digest rotten.tar"),
    (matches, ["html.tar", "manifest.json"], {}, "match html.tar manifest.json"),
    (
        matches,
        ["html.tar", "manifest.json"],
        {"to": "oci", "destination": "out"},
        "match html.tar manifest.json --to oci out",
    ),
    (matches, ["platforms.tar", "manifest.json"], {}, "match platforms.tar manifest.json"),
    (matches, ["html.tar", "junk"], {}, "match html.tar junk"),
    (findings, ["html.tar"], {}, "validate html.tar"),
    (findings, ["rotten.tar"], {"jobs": 1}, "validate rotten.tar -j 1"),
    (findings, ["junk"], {}, "validate junk"),
    (findings, ["absent.tar"], {}, "validate absent.tar"),
    (inspection, ["multi.tar"], {}, "inspect multi.tar"),
    (
        inspection,
        ["platforms.tar"],
        {"platforms": ["linux/amd64"], "verify": True, "encoders": True},
        "inspect platforms.tar --platform linux/amd64 --verify --encoders",
    ),
    (inspection, ["rotten.tar"], {"verify": True}, "inspect rotten.tar --verify"),
    (inspection, ["html.tar"], {"images": ["nothing:1"]}, "inspect html.tar --image nothing:1"),
    (inspection, ["junk"], {}, "inspect junk"),
    (identities, ["multi.tar"], {}, "id multi.tar"),
    (identities, ["multi.tar"], {"refs": ["fmt-html:1"]}, "id multi.tar fmt-html:1"),
    (identities, ["html.tar"], {"engine": convert.Engine.CONTAINERD}, "id html.tar --engine containerd"),
    (identities, ["html.tar"], {"refs": ["nothing:1"]}, "id html.tar nothing:1"),
    (identities, ["cut.tar"], {}, "id cut.tar"),
    (comparison, ["html.tar", "rotten.tar"], {}, "diff html.tar rotten.tar"),
    (
        comparison,
        ["multi.tar", "html.tar"],
        {"by": convert.By.DIGEST, "files": True},
        "diff multi.tar html.tar --by digest --files",
    ),
    (comparison, ["html.tar", "html.tar"], {"images": ["nothing:1"]}, "diff html.tar html.tar --image nothing:1"),
    (comparison, ["html.tar", "junk"], {}, "diff html.tar junk"),
]


def as_json(document):
    """Return a document as it is after printing: lists for tuples."""
    return json.loads(json.dumps(document))


@pytest.mark.parametrize(("call", "arguments", "options", "line"), CASES, ids=[case[-1] for case in CASES])
def test_a_function_does_what_its_command_does(sources, capfd, call, arguments, options, line):
    capfd.readouterr()
    status = run([*line.split(), "--json"])
    printed = capfd.readouterr()
    written = contents(sources / "out") if (sources / "out").exists() else None
    if written is not None:
        (sources / "out").rename(sources / "by-command")
    failed = None
    try:
        document, found = call(*arguments, **options)
    except ImgconvError as error:
        failed = error
    if failed is not None:
        assert failed.exit_status == status
        assert str(failed) in printed.err
        # validate goes on to the next source, and lists the error
        assert bool(printed.out) == (call is findings)
        return
    assert found == status
    assert as_json(document) == json.loads(printed.out)
    assert (contents(sources / "out") if (sources / "out").exists() else None) == written


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_options_are_frozen_and_may_be_given_as_keywords(name):
    """Type checkers read the keywords from `keywords.py`: fields and types have to be the same."""
    kind = getattr(convert, f"{name}Options")
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    # As they are written: the names in them are imported by type checkers only.
    written = {key: value.__forward_arg__ for key, value in OPTIONS[name].__annotations__.items()}
    if name == "Open":
        assert fields["max_layer_size"] == "int"
    assert written == fields
    assert kind.__dataclass_params__.frozen
    for field in fields:
        assert f"        {field}: " in kind.__doc__, "every field is documented"


#: Values that no field of a kind takes, by the beginning of the field's type.
INVALID = {
    "Sequence": ["linux/amd64", b"linux/amd64", "", 1, None, [1], [None], ["a", b"b"]],
    "int": [0, -1, "2", "64G", 1.5, True, [1]],
    "bool": ["no", 0, 1, None],
    "By": ["digst", "", "ID", 1, None, ["id"], convert.Engine.DOCKER],
    "Engine": ["podmn", "", 1, None, convert.By.ID],
    "Verify": ["ful", "", 1, None, ["full"]],
    "ManifestType": ["ocy", "", 1, None],
    "V1Scheme": ["dokcer", "", 1, ["keep"]],
    "Format": ["ocy", 1, ["oci"]],
    "PusherName": ["cran", 1, ["crane"]],
    "str": [1, b"gzip", ["gzip"], "gzipp"],
}
#: Words that are similar to valid ones.
MISSPELLED = {"digst", "ID", "podmn", "ful", "ocy", "dokcer", "cran", "gzipp"}
COMMANDS = {
    name: getattr(convert, name) for name in ("open", "diff", "doctor", "identify", "inspect", "digest", "validate")
}


def with_field(name, field, value):
    """Run the command of an options class with one field as a keyword."""
    options = {field: value}
    if name in {"Convert", "Match"}:
        options = {"to": "oci", **options}
    if name == "Match":
        return convert.match("html.tar", "manifest.json", **{"destination": "out", **options})
    if name in {"Convert", "AddRepositories"}:
        return getattr(convert, {"Convert": "convert"}.get(name, "add_repositories"))("html.tar", "out", **options)
    if name == "Tag":
        return convert.tag("html.tar", "x:1", **options)
    if name in {"Config", "Manifest"}:
        return getattr(convert, name.lower())("html.tar", **options)
    if name == "Export":
        return convert.export("html.tar", "out", **options)
    return COMMANDS[name.lower()](*(["html.tar"] * (2 if name == "Diff" else 1)), **options)


def fields_of_all_options():
    for name in sorted(OPTIONS):
        for field in dataclasses.fields(getattr(convert, f"{name}Options")):
            yield name, field.name, field.type


@pytest.mark.parametrize(("name", "field", "declared"), list(fields_of_all_options()))
def test_a_value_that_a_field_does_not_take_is_a_usage_error(sources, name, field, declared):
    """Every field of every options class is checked, and before anything is read or written."""
    kind = declared.split("[")[0].split(" ")[0]
    if kind == "Path":
        return
    for value in INVALID[kind]:
        if (name, field, value) == ("AddRepositories", "compress", "gzipp"):
            continue  # only chain-free IDs need a profile
        if field in {"join", "ref", "old"} and isinstance(value, str) and value.islower():
            continue  # a name
        with pytest.raises(convert.UsageError) as caught:
            with_field(name, field, value)
        assert caught.value.code != "usage", value
        # No platform is known by its name.
        misspelt = type(value) is str and value in MISSPELLED and field != "platform"
        assert misspelt == ("did you mean" in str(caught.value)), value
    if not declared.endswith("| None"):
        with pytest.raises(convert.UsageError):
            with_field(name, field, None)
    assert not (sources / "out").exists()


@pytest.mark.parametrize("field", ["images", "platforms", "refs", "pushers", "tags"])
def test_any_iterable_of_strings_is_a_sequence(field):
    kinds = [getattr(convert, f"{name}Options") for name, each, _ in fields_of_all_options() if each == field]
    assert kinds
    for kind in kinds:
        required = {"to": "oci"} if kind is convert.ConvertOptions else {}
        for value in (["crane"], ("crane",), {"crane"}, iter(["crane"])):
            assert getattr(kind(**required, **{field: value}), field) == ("crane",)


def test_enum_fields_take_the_words_of_the_command_line(sources):
    for by in convert.By:
        assert convert.diff("html.tar", "multi.tar", by=by.value).document == (
            convert.diff("html.tar", "multi.tar", by=by).document
        )
    for engine in convert.Engine:
        assert convert.IdentifyOptions(engine=engine.value) == convert.IdentifyOptions(engine=engine)
    assert convert.identify("html.tar", engine="podman") == convert.identify("html.tar", engine=convert.Engine.PODMAN)


def test_options_are_given_once(sources):
    with pytest.raises(TypeError, match="not both"):
        convert.digest("html.tar", convert.DigestOptions(), jobs=1)
    with pytest.raises(TypeError, match="DigestOptions"):
        convert.digest("html.tar", convert.MatchOptions())
    with pytest.raises(TypeError, match="no_such_option"):
        convert.digest("html.tar", no_such_option=1)


def test_an_options_value_gives_what_keywords_give(sources):
    value = convert.DigestOptions(pushers=["crane"], images=["fmt-html:1"])
    one, other = convert.digest("multi.tar", value), convert.digest("multi.tar", **dataclasses.asdict(value))
    assert digest_report.document(one) == digest_report.document(other)


@pytest.mark.parametrize(
    ("name", "options"),
    [("multi.tar", {"images": ["fmt-html:1"]}), ("platforms.tar", {"platforms": ["linux/ppc64le"]})],
)
def test_open_selects_as_the_commands_do(sources, name, options):
    with convert.open(name, **options) as archive:
        opened = [str(image.image_id) for image in archive.images()]
    report = convert.inspect(name, **options)
    assert opened == [image["image_id"] for image in report.document["images"]]
    assert len(opened) == 1
    with pytest.raises(convert.SelectionError):
        convert.open(name, images=["nothing:1"])


def mypy(code: str, folder: Path) -> list[str]:
    (folder / "example.py").write_text(code)
    words = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(folder), "example.py"]
    environment = {"PATH": "", "MYPYPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_type_checkers_know_every_name_and_report_others(tmp_path):
    known = "\n".join(f"reveal_type(convert.{name})" for name in convert.__all__)
    found = mypy(f"import convert\n\n{known}\n", tmp_path)
    assert len(found) == len(convert.__all__)
    assert not [line for line in found if "Revealed type" not in line or '"Any"' in line or "object" in line[-20:]]
    wrong = (
        "import convert\n"
        "convert.convrt\n"
        'convert.convert("a", "b", to="oic")\n'
        'convert.convert("a", "b", to="oci", tag=["a"])\n'
        'convert.digest("a", pushers=["podmann"])\n'
    )
    lines = {line.split(":")[1] for line in mypy(wrong, tmp_path) if ": error: " in line}
    assert lines == {"2", "3", "4", "5"}


def test_every_command_is_documented_by_parameter():
    for name in ("add_repositories", "convert", "diff", "digest", "identify", "inspect", "match", "open", "validate"):
        function = getattr(convert, name)
        for argument in typing.cast("typing.Any", function).__code__.co_varnames[: function.__code__.co_argcount]:
            assert f"        {argument}: " in function.__doc__, f"{name}: {argument}"
        assert "Raises:" in function.__doc__


NO_PATHS = ["a\0b", "\ud800", "folder/\ud800"]
#: Each path that a function takes.
PATHS = {
    "source of convert": lambda good, bad: convert.convert(bad, "out", to="oci"),
    "folder of convert": lambda good, bad: convert.convert(good, bad, to="oci"),
    "archive of convert": lambda good, bad: convert.convert(good, bad, to="docker-save"),
    "one of several sources": lambda good, bad: convert.convert([good, bad], "out", to="oci"),
    "template": lambda good, bad: convert.convert(good, bad + "{name}", to="docker-save"),
    "destination of --for": lambda good, bad: convert.convert(good, bad, consumers=["podman"]),
    "without": lambda good, bad: convert.convert(good, "out", to="oci", without=[bad]),
    "with": lambda good, bad: convert.convert(good, "out", to="oci", with_=[bad]),
    "open": lambda good, bad: convert.open(bad),
    "identify": lambda good, bad: convert.identify(bad),
    "inspect": lambda good, bad: convert.inspect(bad),
    "digest": lambda good, bad: convert.digest(bad),
    "validate": lambda good, bad: convert.validate(bad),
    "doctor": lambda good, bad: convert.doctor(bad),
    "first of diff": lambda good, bad: convert.diff(bad, good),
    "second of diff": convert.diff,
    "source of match": lambda good, bad: convert.match(bad, good),
    "manifest of match": convert.match,
    "source of add_repositories": lambda good, bad: convert.add_repositories(bad),
    "destination of add_repositories": convert.add_repositories,
    "tag": lambda good, bad: convert.tag(bad, "app:1"),
    "untag": lambda good, bad: convert.untag(bad, "app:1"),
    "config": lambda good, bad: convert.config(bad),
    "manifest": lambda good, bad: convert.manifest(bad),
    "source of export": lambda good, bad: convert.export(bad, "out"),
    "destination of export": convert.export,
}


@pytest.mark.parametrize("bad", NO_PATHS, ids=ascii)
@pytest.mark.parametrize("call", PATHS.values(), ids=PATHS)
def test_a_text_that_is_no_path_is_an_error_of_imgconv(tmp_path, monkeypatch, call, bad):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "source.tar"
    source.write_bytes(plain(MATCH / "docker20-html.tar.gz"))
    with pytest.raises(convert.StorageError) as caught:
        call(source, bad)
    assert caught.value.code in {"not-found", "impossible-path"}
    assert list(tmp_path.iterdir()) == [source]
