"""Findings as values, and the rules that they break."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from convert.errors import printable, quoted, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from convert.model.image_set import SourceFormat


#: Names of the storage of a registry that a line shows.
_MOST_NAMES: Final = 3


class Severity(Enum):
    """How much a finding weighs.

    Errors are what some tool refuses or misreads. Warnings are what tools accept
    and may take differently. Notes state what is unusual but valid; they never
    count against an archive.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is checked: its id, what it weighs as a rule, and what it asks for.

    `refused_by` names the tools that refuse an archive that breaks it, as far as
    known; None where no tool is known to, or it depends on the fault.
    """

    id: str
    severity: Severity
    text: str
    refused_by: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in which an archive breaks a rule.

    `file` is the source as the user named it, `member` the member or blob inside,
    `place` where in a document (`[0].Layers`); each is None if there is none.
    `refused_by` names the tools that refuse the archive for it, as far as
    known. In the storage of a registry, `names` are the first of the `name_count` tags that it
    affects, or repositories where no tag is affected. No text holds control characters.
    """

    rule: str
    severity: Severity
    file: str
    member: str | None
    place: str | None
    message: str
    refused_by: str | None = None
    names: tuple[str, ...] = ()
    name_count: int = 0

    def __str__(self) -> str:
        """Return one line: `file: names: member: place: message [rule]`."""
        places = [
            *([quoted(self.file, column=False)] if self.file else []),
            *([self.names_text] if self.names else []),
            *([quoted(self.member, column=False)] if self.member else []),
            *([self.place] if self.place else []),
        ]
        weight = "" if self.severity is Severity.ERROR else f"{self.severity.value}: "
        return ": ".join([*places, f"{weight}{self.message} [{self.rule}]"])

    @property
    def names_text(self) -> str:
        """The first names, and how many there are more."""
        shown = self.names[:_MOST_NAMES]
        more = self.name_count - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")

    @property
    def inside(self) -> str:
        """Names, member and place: where it is in the source."""
        return ": ".join(part for part in (self.names_text, self.member, self.place) if part)

    @property
    def counts(self) -> bool:
        """Whether the source fails the check because of it."""
        return self.severity is not Severity.NOTE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one source.

    `format` is its format, None if it is not an image. `status` is the exit status:
    0, 1 for findings that count, 3 if it is not an image, 4 if it could
    not be read at all; `error` states why then. `inspected` is the document of `inspect`
    for a page, None without the option or where no image could be read.
    """

    file: str
    format: SourceFormat | None
    findings: tuple[Finding, ...]
    status: int
    error: str | None = None
    inspected: dict[str, Any] | None = None


def _rules(severity: Severity, **texts: str) -> Iterable[Rule]:
    return (
        Rule(rule, severity, text, REFUSED_BY.get(rule))
        for name, text in texts.items()
        for rule in (name.replace("_", "-"),)
    )


#: Who refuses an archive that breaks a rule. Tried with dockerd 20.10 and 29 (graph driver), containerd 1.6,
#: podman 4.3, skopeo 1.9 and 1.22, umoci 0.4.7 and crane 0.21; versions stand where they differ.
REFUSED_BY: Final = {
    "not-an-image": "every tool",
    "damaged": "every tool",
    "ambiguous": "dockerd from 20.10.11, containerd from 1.4.12",
    "digest": "containerd, podman, skopeo, umoci",
    "size": "containerd",
    "diff-id": "dockerd, containerd, umoci",
    "layer-damaged": "every engine",
    "layer-tar": "every engine",
    "layer-count": "dockerd",
    "missing": "every tool that needs the content",
    "inline-only": "containerd, podman, skopeo, umoci",
    "run-config": "dockerd from 29, containerd, podman, umoci, crane",
    "history-too-long": "dockerd with a graph driver",
    "repo-tag": "dockerd",
    "layout-version": "umoci, containerd",
    "layout-blobs": "umoci",
    "unreadable": "imgconv",
    "layer-path-twice": "dockerd with a graph driver, podman",
    "layer-trailing": "podman, umoci, crane",
    "docker-zstd": "containerd and containers/image, each some of the types",
    "many-layers": "dockerd with a graph driver",
    "run-env": "umoci",
    "ref-name": "podman, skopeo, umoci",
    "registry-link": "the registry, which does not serve it",
    "registry-tag": "the registry, which does not serve it",
    "registry-revision": "the registry, which does not serve it",
    "registry-layer": "the registry, which does not serve it",
}


#: Every rule, by id; docs/validate.md has them as a table.
RULES: Final = {
    rule.id: rule
    for rule in (
        *_rules(
            Severity.ERROR,
            not_an_image="A source is an image archive or layout.",
            damaged="A source can be read to its end: tar headers, compression and links are valid.",
            json="A document is JSON that all tools read alike: UTF-8, no byte order mark, nothing after the value.",
            duplicate_key="No key occurs twice in one JSON object.",
            schema="A document matches its schema.",
            ambiguous="No document is both a manifest and an index (CVE-2021-41190).",
            digest="Content matches the digest that identifies it.",
            size="Content has the size that its descriptor states.",
            diff_id="A layer unpacks to its DiffID.",
            layer_damaged="A compressed layer unpacks without an error.",
            layer_tar="A layer is a tar that does not end inside a member.",
            layer_count="An image has as many layers as its config has DiffIDs.",
            missing="What a document refers to is in the source.",
            inline_only="Content that a descriptor embeds in `data` is also in the source as a blob.",
            unsafe="No name or link leads outside the archive, in a circle, or to a folder or device.",
            media_type="A document has the media type that its descriptor states.",
            repo_tag="A RepoTag is a valid reference with a tag.",
            layout_version="`oci-layout` states version 1.0.0.",
            index_manifest="`index.json` and `manifest.json` in one archive agree.",
            layout_blobs="A layout has a folder `blobs`.",
            run_config="`Cmd`, `Entrypoint` and `Shell` are arrays of strings.",
            history_too_long="The history has no more entries with a layer than there are layers.",
            registry_link="A link of a registry's storage holds the digest that its path states.",
            registry_tag="A tag of a registry leads to a manifest of its repository.",
            registry_revision="A repository links every manifest that its indexes list.",
            registry_layer="A repository links every config and layer that its manifests name.",
            v1_id="A v1 layer ID is 64 hex digits and agrees with its config.",
            unreadable="imgconv can read every image.",
        ),
        *_rules(
            Severity.WARNING,
            duplicate_member="No member occurs twice; with different content it is an error.",
            tar="A tar has end-of-archive blocks and no unusual headers.",
            history="The history has an entry for each layer, or is empty.",
            layer_type="A layer's media type matches the compression of its bytes.",
            layer_path_twice="A layer names no path twice, after `./`, `//` and `..` are resolved.",
            layer_header="A layer has no header that tools interpret differently.",
            layer_trailing="Nothing follows the compressed stream of a layer.",
            docker_zstd="No zstd layer has a Docker media type: schema 2 defines none.",
            many_layers="An image has no more than 125 layers.",
            run_env="Each entry of `Env` is a name, `=` and a value.",
            empty_json="Content of type `application/vnd.oci.empty.v1+json` is `{}`.",
            duplicate_name="A name refers to one image.",
            ref_name="A ref.name follows the grammar of image-spec.",
            repositories="`repositories` lists the tags of `manifest.json` with the top v1 ID of each.",
            v1_chain="Each v1 `json` states its own folder as ID and the layer below as parent.",
            v1_version="Each v1 folder has a `VERSION` file that contains 1.0.",
            layer_sources="`LayerSources` describes layers correctly; a false one for a foreign layer is an error.",
            needs_mark="The mark of a thin archive lists exactly what the archive lacks.",
            platform="A descriptor's platform equals that of the config.",
            registry_name="A folder in the storage of a registry is that of a repository, a tag or a digest.",
            registry_tag_index="A tag of a registry also lists its manifest in its own index.",
            referrers="The tag `sha256-HEX` lists exactly the manifests of its repository that refer to `sha256:HEX`.",
            no_images="The top-level documents list an image; a source without any image is an error.",
        ),
        *_rules(
            Severity.NOTE,
            absent_child="A platform that an index lists is not in the source: normal after `docker save`.",
            filled="A layer that the source lacks is in what `--with` gives, and verified.",
            left_out="A thin archive leaves out a layer, and its mark says so.",
            absent_layer="A non-distributable layer is not in the source; its descriptor states where to get it.",
            layer_not_compared="A layer has more names than are compared with each other.",
            registry_stale_link="A repository links a blob that is gone and that none of its manifests names.",
            absent_subject="The manifest to which an artifact refers is not in the source.",
            unreferenced="No document refers to a blob.",
            config_name="A config's member name is a digest, but not that of its content; member names are labels.",
            letter_case="A key differs only in letter case, which only Go programs accept.",
            no_repositories="`manifest.json` has tags, and `repositories` is absent; only Docker before 1.10 needs it.",
            v1_scheme="v1 IDs are neither Docker's (in UTC) nor skopeo's; other engines and time zones have others.",
            parent="`Parent` refers to an image that is not in the source; engines ignore it.",
            no_diff_ids="An image config has no DiffIDs; some tools store signatures this way.",
            no_architecture="A Docker config names no architecture; an OCI config must.",
            docker_type="A document and its descriptor use different families of media types, Docker's and OCI's.",
        ),
    )
}

#: Findings that count, and as many notes, kept of one source.
MAX_FINDINGS: Final = 1000

# `manifests[0].annotations["a b"]`: the places that `convert.jsonio.schema` writes.
_PLACED: Final = re.compile(r'((?:\.?[A-Za-z_][A-Za-z0-9_-]*|\[\d+\]|\["(?:[^"\\]|\\.)*"\])+): (.+)', re.DOTALL)


def refused(rule: str) -> str:
    """Return the end of a message that names who refuses an archive that breaks `rule`."""
    return f"refused by {RULES[rule].refused_by}"


def shown(text: str | None) -> str:
    """Return a text from a source as it stands in a message: in double quotes, as JSON has it; `none` for None."""
    return "none" if text is None else json.dumps(text, ensure_ascii=False)


def split_place(text: str) -> tuple[str | None, str]:
    """Split a schema's finding into the place in the document and what is wrong there."""
    match = _PLACED.fullmatch(text)
    return (match[1], match[2]) if match else (None, text)


@dataclass(slots=True)
class Findings:
    """Collects what is found in one source, each thing once, in the order it was found.

    After `MAX_FINDINGS` that count, and after as many notes, one more states that
    there are others.
    """

    file: str
    _found: dict[Finding, None] = field(default_factory=dict)
    _blamed: set[str | None] = field(default_factory=set)
    _numbers: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    def add(
        self,
        rule: str,
        message: str,
        *,
        member: str | None = None,
        place: str | None = None,
        severity: Severity | None = None,
        refused_by: str | None = None,
        names: Sequence[str] = (),
        name_count: int | None = None,
    ) -> None:
        """Add a finding; without `severity` and `refused_by` those of its rule hold.

        `names` are those that it affects, or the first of `name_count`.
        """
        weight = severity or RULES[rule].severity
        if self._numbers[weight is not Severity.NOTE] > MAX_FINDINGS:
            # A hostile archive has hundreds of thousands.
            return
        found = Finding(
            rule,
            weight,
            printable(self.file),
            _clean(member),
            _clean(place),
            printable(shortened(message)),
            refused_by or RULES[rule].refused_by,
            tuple(printable(name) for name in names),
            len(names) if name_count is None else name_count,
        )
        number = self._numbers[found.counts]
        if found in self._found or number > MAX_FINDINGS:
            return
        if number == MAX_FINDINGS:
            what = "findings" if found.counts else "notes"
            message = f"more than {MAX_FINDINGS} {what}; the others are not listed"
            found = Finding(found.rule, found.severity, found.file, None, None, message)
        self._numbers[found.counts] += 1
        self._found[found] = None
        if found.severity is Severity.ERROR:
            self._blamed.add(found.member)

    def excuse(self, rule: str, members: Collection[str], *, other: str, message: str) -> None:
        """Replace findings of a rule about some members by those of another rule, with its severity."""
        wanted = {_clean(member) for member in members}
        if not wanted:
            return
        self._blamed.clear()
        for found in list(self._found):
            if found.rule == rule and found.member in wanted:
                del self._found[found]
                self._numbers[found.counts] -= 1
            elif found.severity is Severity.ERROR:
                self._blamed.add(found.member)
        for member in members:
            self.add(other, message, member=member)

    def all(self) -> tuple[Finding, ...]:
        """Return everything found so far."""
        return tuple(self._found)

    def add_names(self, names_of: Callable[[str], tuple[Sequence[str], int] | None]) -> None:
        """Give each finding without names those that `names_of` returns for its member, and their number."""
        named: dict[Finding, None] = {}
        for found in self._found:
            known = names_of(found.member) if found.member and not found.names else None
            if known is not None:
                names = tuple(printable(name) for name in known[0])
                found = replace(found, names=names, name_count=known[1])  # noqa: PLW2901
            named[found] = None
        self._found = named

    def blames(self, member: str | None) -> bool:
        """Return whether an error about this member was found."""
        return _clean(member) in self._blamed

    def has_rule(self, rule: str) -> bool:
        """Return whether a rule was found to be broken."""
        return any(found.rule == rule for found in self._found)

    def has_errors(self) -> bool:
        """Return whether any error was found."""
        return bool(self._blamed)


def _clean(text: str | None) -> str | None:
    return printable(shortened(text)) if text else None
