"""`imgconv profiles`: every name of the contract, and who makes such bytes."""

import jsonschema
import pytest

from convert.jsonio import schema

PGZIP = ("1.18.2", "1.15.10", "1.15.0", "1.14.0", "1.12.3", "1.12.2", "1.11.13", "1.10.2")
NAMES = [
    *(f"{go}-{level}" for go in ("go1.26", "go1.27") for level in (*range(1, 10), "huffman", "store")),
    *(f"go1.6-{level}" for level in range(1, 10)),
    *(f"pgzip{release}-{level}" for release in PGZIP for level in range(1, 7)),
    *(f"pgzip{release}-{level}-256k" for release in ("1.10.2", "1.9.8") for level in range(1, 7)),
    *(f"pigz-{level}" for level in range(1, 10)),
    *(f"gzip-{level}-rsyncable" for level in range(1, 10)),
    "busybox",
    *(f"zstd-{level}" for level in range(1, 20)),
    "none",
]


def findings(document, name):
    return list(jsonschema.Draft202012Validator(schema.load(name)).iter_errors(document))


def test_all_profiles_are_listed_in_text_and_json(imgconv):
    lines = imgconv("profiles").out.splitlines()
    done = imgconv("profiles", "--json")
    assert findings(done.json, "report-profiles") == []
    assert [profile["name"] for profile in done.json["profiles"]] == NAMES
    assert [line.split(",")[0].split()[0] for line in lines] == NAMES


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("crane", "go1.26-1"),
        ("docker", "go1.26-6"),
        ("crane@go1.27", "go1.27-1"),
        ("docker@go1.27", "go1.27-6"),
        ("pgzip", "pgzip1.18.2-5"),
        ("podman@6", "pgzip1.18.2-5"),
        ("buildah@1.44", "pgzip1.18.2-5"),
        ("podman", "pgzip1.15.10-5"),
        ("skopeo", "pgzip1.15.10-5"),
        ("buildah", "pgzip1.15.10-5"),
        ("zstd", "zstd-3"),
    ],
)
def test_aliases_are_those_of_the_contract(imgconv, alias, name):
    found = [
        profile["name"] for profile in imgconv("profiles", "--json").json["profiles"] if alias in profile["aliases"]
    ]
    assert found == [name]


def test_the_default_is_what_crane_writes(imgconv):
    assert [profile["name"] for profile in imgconv("profiles", "--json").json["profiles"] if profile["default"]] == [
        "go1.26-1"
    ]
