"""`reference`: what Docker's own parser accepts, refuses and makes of a name.

The tables hold the cases of distribution/reference's tests (v0.6:
reference_test.go, normalize_test.go, regexp_test.go) with the answers those
expect, restated as data. A differential run of 600,000 generated names against
that package (Go 1.26) differed in `@sha384:` digests alone, which imgconv does
not support.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import FormatError
from convert.model.digest import Digest
from convert.model.reference import Reference, is_tag, looks_like_image_name

F = "sha256:" + "f" * 64
ID = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"

ACCEPTED = [
    "docker/docker",
    "library/debian",
    "debian",
    "localhost/library/debian",
    "localhost/debian",
    "LOCALDOMAIN/library/debian",
    "LOCALDOMAIN/debian",
    "docker.io/docker/docker",
    "docker.io/library/debian",
    "docker.io/debian",
    "index.docker.io/docker/docker",
    "index.docker.io/library/debian",
    "index.docker.io/debian",
    "127.0.0.1:5000/docker/docker",
    "127.0.0.1:5000/library/debian",
    "127.0.0.1:5000/debian",
    "192.168.0.1",
    "192.168.0.1:80",
    "192.168.0.1:8/debian",
    "192.168.0.2:25000/debian",
    "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
    "[fc00::1]:5000/docker",
    "[fc00::1]:5000/docker/docker",
    "[fc00:1:2:3:4:5:6:7]:5000/library/debian",
    f"docker.io/{ID}",
    "Docker/docker",
    "DOCKER/docker",
    "docker-rules/docker",
    "docker---rules/docker",
    "doc/docker",
    "d/docker",
    "jess/t",
    "dock__er/docker",
    "[fd00123123123]:75050/x",
    "192.168.1.1:750050/x",
    "registry.io/foo/project--id.module--name.ver---sion--name",
    "example.com/some_separator__underscore/myimage",
    "Asdf.com/foo/bar",
    "xn--n3h.com/myimage:xn--n3h.com",
    "lowercase:Uppercase",
]

REFUSED = [
    "https://github.com/docker/docker",
    "docker/Docker",
    "-docker",
    "-docker/docker",
    "-docker.io/docker/docker",
    "docker///docker",
    "docker.io/docker/Docker",
    "docker.io/docker///docker",
    "[fc00::1]",
    "[fc00::1]:5000",
    "[2001:db8::1]:tag",
    "fc00::1:5000/debian",
    "[fe80::1%eth0]:5000/debian",
    "[fe80::1%@invalidzone]:5000/repo",
    "[2001:db8:3:4::192.0.2.33]:5000/debian",
    "[fd00:1:2::3]75050/x",
    "[fd00:1:2::3]::75050/x",
    ID,
    "docker-/docker",
    "-docker-/docker",
    "____/____",
    "_docker/_docker",
    "docker_/docker_",
    "dock..er/docker",
    "dock_.er/docker",
    "dock-.er/docker",
    "docker/",
    "this_is_not_a_valid_namespace_because_its_lenth_is_greater_than_255_" * 4 + "/docker",
    "",
    ":justtag",
    f"@{F}",
    "repo@sha256:" + "f" * 34,
    "validname@invaliddigest:" + "f" * 64,
    "repo@" + F.upper(),
    "repo@sha256:" + "F" * 64,
    "Uppercase:tag",
    "test:5000/Uppercase/lowercase:tag",
    "Foo/FarB",
    "domain/" + "a" * 256 + ":tag",
    "aa/asdf$$^/aa",
    "a^a",
    "a/a/a/a/",
    "a//a/a",
    "foo.com/",
    "foo.com:http/bar",
    "a-/a/a/a",
    "foo.com/a-/a/a",
    "foo/bar-",
    "foo/-bar",
    "do__cker:8080/docker",
    "foo_bar.com:8080/app",
    "docker./docker",
    ".docker/docker",
    "example.com/__underscore/myimage",
    "example.com/..dots/myimage",
    "example.com/nodouble..dots/myimage",
    "registry.com:8080/myapp@sha256:badbadbadbad",
    "registry.com:8080/myapp:invalid~tag",
    "registry.com:8080/myapp@bad",
    "repo:",
    "repo:tag:tag",
    "repo@",
    "repo:" + "a" * 129,
    "repo:-tag",
    "repo:.tag",
    # Go's $ and \w are ASCII and exact; Python's are not.
    "debian\n",
    "debian:1\n",
    "debian:\u0661",
    "d\u00e9bian",
    "debian:\u00e9",
    "/debian",
    " debian",
    "../debian",
    "./debian",
]

#: spelling, full name, familiar name, domain, path
MEANINGS = [
    ("localhost/fooo", "localhost/fooo", "localhost/fooo", "localhost", "fooo"),
    ("localhost/fooo/bar", "localhost/fooo/bar", "localhost/fooo/bar", "localhost", "fooo/bar"),
    ("LOCALDOMAIN/fooo", "LOCALDOMAIN/fooo", "LOCALDOMAIN/fooo", "LOCALDOMAIN", "fooo"),
    ("fooo/bar", "docker.io/fooo/bar", "fooo/bar", "docker.io", "fooo/bar"),
    ("index.docker.io/fooo/bar", "docker.io/fooo/bar", "fooo/bar", "docker.io", "fooo/bar"),
    ("ubuntu", "docker.io/library/ubuntu", "ubuntu", "docker.io", "library/ubuntu"),
    ("library/ubuntu", "docker.io/library/ubuntu", "ubuntu", "docker.io", "library/ubuntu"),
    ("docker.io/foo", "docker.io/library/foo", "foo", "docker.io", "library/foo"),
    ("nonlibrary/ubuntu", "docker.io/nonlibrary/ubuntu", "nonlibrary/ubuntu", "docker.io", "nonlibrary/ubuntu"),
    ("other/library", "docker.io/other/library", "other/library", "docker.io", "other/library"),
    ("127.0.0.1:8000/a/b", "127.0.0.1:8000/a/b", "127.0.0.1:8000/a/b", "127.0.0.1:8000", "a/b"),
    ("example.com:8000/p", "example.com:8000/p", "example.com:8000/p", "example.com:8000", "p"),
    (
        "index.docker.io/library/ubuntu-12.04-base",
        "docker.io/library/ubuntu-12.04-base",
        "ubuntu-12.04-base",
        "docker.io",
        "library/ubuntu-12.04-base",
    ),
    ("library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar", "docker.io", "library/foo/bar"),
    ("store/foo/bar", "docker.io/store/foo/bar", "store/foo/bar", "docker.io", "store/foo/bar"),
    ("Foo/bar", "Foo/bar", "Foo/bar", "Foo", "bar"),
    ("test_com/foo", "docker.io/test_com/foo", "test_com/foo", "docker.io", "test_com/foo"),
    ("test-com:8080/foo", "test-com:8080/foo", "test-com:8080/foo", "test-com:8080", "foo"),
    (
        "[2001:db8::1]:5000/repo:tag",
        "[2001:db8::1]:5000/repo:tag",
        "[2001:db8::1]:5000/repo:tag",
        "[2001:db8::1]:5000",
        "repo",
    ),
    ("test.com:5000", "docker.io/library/test.com:5000", "test.com:5000", "docker.io", "library/test.com"),
    (
        f"localhost:8080@{F}",
        f"docker.io/library/localhost:8080@{F}",
        f"localhost:8080@{F}",
        "docker.io",
        "library/localhost",
    ),
    (f"busybox:1@{F}", f"docker.io/library/busybox:1@{F}", f"busybox:1@{F}", "docker.io", "library/busybox"),
    (f"busybox@{F}", f"docker.io/library/busybox@{F}", f"busybox@{F}", "docker.io", "library/busybox"),
    # The oddities of distribution/reference, as its build prints them.
    (F, f"docker.io/library/{F}", F, "docker.io", "library/sha256"),
    ("foo_bar.com/app", "foo_bar.com/app", "foo_bar.com/app", "", "foo_bar.com/app"),
    ("docker.io/a.b/c", "docker.io/a.b/c", "a.b/c", "docker.io", "a.b/c"),
]

_LABELS = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}", fullmatch=True)
_DOMAINS = st.sampled_from(["docker.io", "localhost", "localhost:5000", "quay.io", "Reg", "10.0.0.1:80", "[::1]:5000"])
REFERENCES = st.builds(
    lambda domain, parts, tag, digest: Reference(
        domain, "/".join(["library", *parts] if domain == "docker.io" and len(parts) == 1 else parts), tag, digest
    ),
    _DOMAINS,
    st.lists(_LABELS, min_size=1, max_size=3),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.none() | st.binary().map(Digest.of),
)


@pytest.mark.parametrize("text", ACCEPTED)
def test_names_that_docker_accepts_are_accepted(text: str) -> None:
    Reference.parse(text)


@pytest.mark.parametrize("text", REFUSED)
def test_names_that_docker_refuses_are_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        Reference.parse(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(("text", "full", "familiar", "domain", "path"), MEANINGS)
def test_a_name_means_what_it_means_to_docker(text: str, full: str, familiar: str, domain: str, path: str) -> None:
    reference = Reference.parse(text)
    assert (reference.full, reference.familiar) == (full, familiar)
    assert (reference.domain, reference.path) == (domain, path)
    assert str(reference) == familiar
    assert Reference.parse(full) == reference


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "an image name is empty"),
        (ID, f"'{ID}' is an image ID, not an image name"),
        ("Busybox", "'Busybox' is not a valid image name: the repository must be in lower case"),
        ("bus ybox", "'bus ybox' is not a valid image name"),
        ("a/" * 128 + "a", f"repository name 'a/{'a/' * 49}…' has more than 255 characters"),
        ("\x1b[2j", r"'\x1b[2j' is not a valid image name"),
    ],
)
def test_a_refusal_says_why(text: str, line: str) -> None:
    with pytest.raises(FormatError) as caught:
        Reference.parse(text)
    assert str(caught.value) == line


def test_tag_and_digest_are_kept_apart() -> None:
    reference = Reference.parse(f"localhost:5000/x:1@{F}")
    assert reference == Reference("localhost:5000", "x", "1", Digest.parse(F))
    assert reference.repository == reference.familiar_repository == "localhost:5000/x"
    sha512 = "sha512:" + "0" * 128
    assert str(Reference.parse(f"x@{sha512}").digest) == sha512


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        (f"busybox@{F}", f"docker.io/library/busybox@{F}"),
        ("gcr.io/library/busybox", "gcr.io/library/busybox:latest"),
    ],
)
def test_only_a_bare_name_gets_the_default_tag(text: str, full: str) -> None:
    """As `TagNameOnly` does it."""
    assert Reference.parse(text).with_default_tag().full == full


def test_the_path_has_255_characters_and_no_more_whatever_the_domain() -> None:
    assert Reference.parse("example.com/" + "a" * 255 + ":tag").path == "a" * 255
    assert Reference.parse("a.b/" + "a/" * 127 + "a:tag-puts-this-over-max").tag == "tag-puts-this-over-max"
    with pytest.raises(FormatError, match="more than 255"):
        Reference.parse("example.com/" + "a" * 256)


@given(REFERENCES)
def test_full_names_round_trip(reference: Reference) -> None:
    assert Reference.parse(reference.full) == reference


@given(REFERENCES)
def test_familiar_names_round_trip_unless_the_path_looks_like_a_domain(reference: Reference) -> None:
    first = reference.path.partition("/")[0]
    if reference.domain != "docker.io" or not ("." in first or first == "localhost"):
        assert Reference.parse(reference.familiar) == reference


@given(st.text(st.sampled_from("ab1A./:_-@[]f\n "), max_size=12))
def test_what_is_accepted_is_stable(text: str) -> None:
    """A name that was read once is read the same from then on."""
    try:
        reference = Reference.parse(text)
    except FormatError:
        return
    assert Reference.parse(reference.full) == reference


@pytest.mark.parametrize(
    "parts",
    [
        ("docker.io", "library/x", ""),
        ("docker.io", "library/x", "a b"),
        ("docker.io", "Library/x"),
        ("docker.io", "library/x:1"),
        ("docker.io", "../x"),
        ("do cker.io", "x"),
        ("", "foo.com/x"),
        ("foo.com/x", "y"),
        ("docker.io", "a" * 256),
    ],
)
def test_no_reference_exists_that_parse_could_not_make(parts: tuple[str, ...]) -> None:
    with pytest.raises(FormatError):
        Reference(parts[0], parts[1], *parts[2:])  # type: ignore[arg-type]  # a digest is never among them


def test_a_tag_is_checked_when_it_is_put_on() -> None:
    reference = Reference.parse("busybox:1")
    assert reference.with_tag("2").familiar == "busybox:2"
    assert reference.with_tag(None) == Reference.parse("busybox") == replace(reference, tag=None)
    with pytest.raises(FormatError, match="is not a valid tag"):
        reference.with_tag("a:b")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("latest", True), ("1.0_x-Y", True), ("_", True), ("a" * 128, True), ("5000", True)]
    + [(bad, False) for bad in ("", "a" * 129, "-a", ".a", "a/b", "a:b", "a\n", "é", "a b")],
)
def test_tags(text: str, answer: bool) -> None:
    assert is_tag(text) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("busybox", True),
        ("busybox:1.36", True),
        ("quay.io/a/b:v1", True),
        (f"busybox@{F}", True),
        ("x.tar:latest", True),
        ("image.tar", False),
        ("out/image.tar.gz", False),
        ("/tmp/image", False),
        ("./image", False),
        ("../image", False),
        ("My Image", False),
        (ID, False),
        ("-", False),
        ("", False),
    ],
)
def test_a_missing_source_is_taken_for_an_image_name_only_if_it_is_no_file_name(text: str, answer: bool) -> None:
    assert looks_like_image_name(text) is answer


@pytest.mark.parametrize(
    "text", ["a" * 10**6 + "!", "a." * 10**6 + "!", "a__" * 10**6 + "/!", "a/" * 10**6, "a@" + "a." * 10**6]
)
def test_names_of_megabytes_are_refused_in_one_pass(text: str) -> None:
    """A pattern that tried every split of these would take hours."""
    with pytest.raises(FormatError) as caught:
        Reference.parse(text)
    assert len(str(caught.value)) < 250
