"""What bench/conversions.py measures: one case for each row of its tables."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Commands as templates. Words in braces are replaced: {several}, {single}, {layout}, {layout1} and {crane}
#: by the corpus, {out} by where the result goes, {tag} and {name} by the image's names, and {imgconv},
#: {skopeo}, {crane_tool}, {umoci} and {docker} by the tools.
CONVERT = "{imgconv} --progress none -q"
SKOPEO = "{skopeo} --insecure-policy copy -q"


@dataclass(frozen=True, slots=True)
class Case:
    """One command of imgconv, and the command of another tool that does the same."""

    name: str
    imgconv: str
    #: The tool to compare with ("" if none does the same), and its command.
    peer: str = ""
    other: str = ""
    #: The ratios that the project set itself as goals: `wall`, `cpu`.
    goal: dict[str, float] = field(default_factory=dict)
    #: Run before each of imgconv's runs and not counted.
    before: str = ""
    #: Run once before all.
    once: str = ""
    #: The corpus whose DiffIDs both results must have; "" where no result is written, or results differ.
    same: str = ""
    #: Whether both must print the same.
    same_output: bool = False
    #: Whether the peer's command only asks another process to do the work: then only its wall clock counts.
    only_wall: bool = False
    #: How often a sample runs the command when two versions are compared: short commands need more.
    times: int = 1
    #: Whether the case is omitted when two versions are compared, because another has the same command.
    peer_only: bool = False


CASES = (
    Case(
        "docker-save → oci",
        CONVERT + " {several} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{several} oci:{out}:x",
        goal={"wall": 2.0, "cpu": 1.6},
        same="several",
    ),
    Case(
        "docker-save, one layer → oci",
        CONVERT + " {single} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{single} oci:{out}:x",
        goal={"wall": 1.8},
        same="single",
    ),
    # skopeo of Debian 12 writes the very bytes of this profile.
    Case(
        "docker-save, one layer → oci, as skopeo",
        CONVERT + " {single} --to oci --as skopeo {out}",
        "skopeo",
        SKOPEO + " docker-archive:{single} oci:{out}:x",
        goal={"wall": 1.6, "cpu": 1.8},
        same="single",
    ),
    Case(
        "oci → docker-save",
        CONVERT + " {layout} --to docker-save {out}",
        "skopeo",
        SKOPEO + " oci:{layout} docker-archive:{out}",
        goal={"wall": 3.5},
        same="several",
    ),
    Case(
        "oci, one layer → docker-save",
        CONVERT + " {layout1} --to docker-save {out}",
        "skopeo",
        SKOPEO + " oci:{layout1} docker-archive:{out}",
        same="single",
    ),
    Case(
        "crane tarball → oci",
        CONVERT + " {crane} --to oci {out}",
        "skopeo",
        SKOPEO + " docker-archive:{crane} oci:{out}:x",
        goal={"wall": 6.0},
        same="several",
    ),
    Case(
        "oci → oci",
        CONVERT + " {layout} --to oci {out}",
        "skopeo",
        SKOPEO + " oci:{layout} oci:{out}:x",
        goal={"wall": 1.3},
        same="several",
    ),
    Case(
        "digest of a push",
        "{imgconv} digest {several} --as crane@go1.26",
        "crane",
        "{crane_tool} digest --tarball {several}",
        same_output=True,
    ),
    Case(
        "digest of a push, one layer",
        "{imgconv} digest {single} --as crane@go1.26",
        "crane",
        "{crane_tool} digest --tarball {single}",
        same_output=True,
    ),
    # umoci does not convert. Unpacking verifies the same digests and is the closest that it does.
    Case(
        "oci → docker-save; umoci: unpack",
        CONVERT + " {layout} --to docker-save {out}",
        "umoci",
        "{umoci} unpack --rootless --image {layout}:{tag} {out}",
        peer_only=True,
    ),
    Case(
        "oci → docker-save; docker save",
        CONVERT + " {layout} --to docker-save {out}",
        "docker",
        "{docker} save -o {out} {name}",
        once="{docker} load -q -i {several}",
        only_wall=True,
        peer_only=True,
    ),
    Case(
        "second tag: --append against the first",
        CONVERT + " {several} --to oci --append --tag bench/again:2 {out}",
        "imgconv",
        CONVERT + " {several} --to oci {out}",
        goal={"wall": 20.0},
        before=CONVERT + " {several} --to oci {out}",
    ),
    Case(
        "from a file against from a pipe",
        CONVERT + " {several} --to oci {out}",
        "imgconv",
        "sh -c 'cat {several} | " + CONVERT + " - --to oci {out}'",
        same="several",
        peer_only=True,
    ),
)

#: Cases that no other tool has; they are measured when two versions of imgconv are compared.
VERSION_CASES = (
    Case("docker-save from a pipe → oci", "sh -c 'cat {several} | " + CONVERT + " - --to oci {out}'", same="several"),
    Case("docker-save → docker-oci", CONVERT + " {several} --to docker-oci {out}"),
    Case("docker-save → oci, --compress go1.27-1", CONVERT + " {several} --to oci --compress go1.27-1 {out}"),
    Case("--version", "{imgconv} --version", times=5),
    Case("id, docker-save", "{imgconv} id {several}", times=5),
    Case("id, oci", "{imgconv} id {layout}", times=5),
    Case("inspect, docker-save", "{imgconv} inspect {several}", times=3),
    Case("inspect, oci, --verify", "{imgconv} inspect --verify {layout}"),
    Case("validate, docker-save", "{imgconv} validate {several}"),
    Case("validate, oci", "{imgconv} validate {layout}"),
)
