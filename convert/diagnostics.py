"""Codes of errors, warnings and dropped items, and warnings as values.

A code names one kind of fault and never changes; messages may. The same fault has the
same code wherever it is found. docs/codes.md shows the table, with what a user can do.
The findings of `imgconv validate` have the names of its rules for codes (docs/validate.md).

Longer than 400 lines: one table of all codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from convert.limits import MAX_WARNINGS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Code(NamedTuple):
    """What a code stands for.

    `kind` is the exit status of an error, `"warning"` or `"dropped"`.
    """

    kind: int | str
    meaning: str


#: Requests that cannot be met: exit status 2.
_REQUEST: Final = {
    "usage": "The command line or the arguments of a function do not fit together.",
    "missing-argument": "A required option or argument is missing.",
    "empty-argument": "SOURCE, DEST or the name of another file is empty, or nothing follows a prefix such as `dir:`.",
    "incompatible-options": "Two options or arguments exclude each other, or one needs another.",
    "invalid-option-value": "An option has a value that it does not take.",
    "unknown-format": "`--to` names no format that imgconv writes.",
    "unknown-profile": "The compression profile does not exist.",
    "unknown-pusher": "`--as` names no pusher.",
    "not-loadable": "No format and no change makes the result load in every consumer of `--for`.",
    "unknown-consumer": "`--for` names no consumer for which there are rules.",
    "unknown-graph-format": "The name of a graph's file has an unsupported ending.",
    "invalid-platform": "A platform is not OS/ARCHITECTURE[/VARIANT].",
    "invalid-tag": "`--tag` is not an image name with a tag and without a digest.",
    "no-match": "No image, platform or name fits the request, or more than one does.",
    "engine-has-no-id": "An engine shows no ID for the image.",
    "no-image-selected": "The source, or what is selected of it, holds no image.",
    "no-such-image": "`--image` fits no image of the source.",
    "ambiguous-image": "`--image` fits more than one image.",
    "no-such-platform": "The selection holds no image for a platform.",
    "ambiguous-platform": "Several images of an index are for one platform.",
    "edit-without-match": "`--drop`, `--untag` or `--rename` matches nothing in the source.",
    "invalid-rename": "`--rename` is not OLD=NEW, or gives a name that is not valid.",
    "invalid-template": "DEST is a template with an unknown field, a single brace, or a result that is too long.",
    "template-collision": "Two results of a template would be one file.",
    "too-many-results": "A template would give more results than one run writes.",
    "destination-is-archive": "`--force` does not replace an archive with the result of several SOURCEs.",
    "last-name": "`untag` would take the last name of an image that only its names lead to.",
    "several-images": "A command is about one image, and the source holds several.",
    "no-manifest": "The source has no manifest of the image.",
    "tag-for-several-images": "`--tag` names one image, and several are selected.",
    "several-manifests": "One manifest is asked for, and several are selected.",
    "several-platforms": "A name stands for an index of several platforms, and the format holds one image for it.",
    "name-on-two-images": "One name stands for two images, and the format or the tool can keep only one.",
    "pusher-cannot-read": "The tool of `--as` cannot push this source.",
    "pusher-needs-sha256": "The tool of `--as` knows only sha256, and the image uses another digest.",
    "nothing-to-push": "The source has no image that the tool of `--as` pushes.",
    "layer-not-present": "The tool of `--as` needs the bytes of a layer that is not in the source.",
    "not-representable": "The target format cannot hold what was asked of it.",
    "nothing-to-write": "The source holds no image for the target format.",
    "layers-cannot-unpack": "The layers of something selected are not tars, and the format needs tars.",
    "layer-not-distributable": "The bytes of a non-distributable layer are needed and not in the source.",
    "layer-sources-mismatch": "`LayerSources` describe a layer other than the one that a push uploads.",
    "unknown-layer-compression": "A layer has a compression that no media type names.",
    "zstd-in-docker-manifest": "A Docker schema 2 manifest cannot hold zstd layers.",
    "unknown-manifest-type": "A manifest has a media type that imgconv does not know.",
    "history-does-not-fit": "The history does not fit the layers, as chain-free v1 IDs require.",
    "v1-id-on-two-layers": "One v1 ID would name two layers.",
    "output-too-large": "A document of the result would exceed the size that documents may have.",
    "archive-closed": "A layer is read after its archive was closed.",
    "target-cannot-be-thin": "The format cannot leave out layers, so `--without` does not fit it.",
    "inventory-without-blobs": "The inventories of `--without` list no blobs, which the format needs.",
    "no-manifest-json": "The archive or format has no `manifest.json`, so it takes no `repositories`.",
    "target-without-manifests": "The format carries no manifest, and the request is about one.",
    "nothing-to-compare": "Neither source has an image to compare.",
    "compressed-source": "A compressed archive cannot be changed in place.",
    "invalid-registry-selection": "What follows the root of a registry storage is not a repository, tag or digest.",
    "registry-storage": "The command changes an archive in place, and the source is the storage of a registry.",
    "folder-not-supported": "The source is a folder, and the command needs a tar.",
    "nothing-for-repositories": "No image of the archive has a name and a layer.",
    "terminal-input": "Standard input is a terminal.",
    "terminal-output": "Standard output is a terminal, and an archive would be written to it.",
    "layout-to-stdout": "A layout folder cannot be written to standard output.",
    "stream-cannot-be-verified": "`--verify-output` needs a result that can be read back.",
    "destination-exists": "The destination exists.",
    "destination-is-folder": "The destination is a folder, and a file is written.",
    "destination-not-folder": "The destination is not a folder, and a layout folder is written.",
    "destination-is-link": "The destination is a symbolic link.",
    "destination-not-regular": "The destination is a device, a pipe or a socket.",
    "destination-not-layout": "The destination holds something other than an image layout, or a `dir:` folder.",
    "destination-busy": "Another imgconv is writing to the destination.",
    "destination-overlaps-source": "The destination is the source, or one is inside the other.",
    "destination-overlaps-output": "Two outputs of a command are one file.",
    "destination-spelled-as-transport": "DEST has the form of a transport such as `oci:PATH`.",
    "destination-spelled-as-compressed": "DEST ends in a suffix of compressed files, and the archive is not one.",
    "pattern-without-match": "A pattern of a batch fits no file.",
    "too-many-items": "A batch or a list of it is larger than the limit.",
    "invalid-journal": "The file of `--journal` holds something other than rows that this version knows.",
    "journal-busy": "Another run writes to the journal.",
    "missing-package": "A package that the request needs is not installed.",
    "layout-to-url": "A layout folder cannot be written to a URL.",
    "ambiguous-url": "Two URLs differ only in credentials or queries, which the journal does not hold.",
    "limit-not-supported": "The system has no way to enforce the limit.",
    "worker-version": "A Dask worker has another version of imgconv, or none.",
}

#: Faults of the source: exit status 3.
_SOURCE: Final = {
    "invalid-input": "The source is not what the request needs.",
    "not-an-image": "The source has no document that lists images.",
    "image-in-folder": "The image is in a folder of the source, not at its top.",
    "root-file-system": "The source is the file system of a container or a system, not an image.",
    "not-an-archive": "The source is not a tar, a compressed tar or a folder.",
    "empty-archive": "The source is empty.",
    "missing-index": "A layout has no `index.json`.",
    "no-image": "The source is well formed and holds no image.",
    "not-registry-storage": "The source of `registry:` is not the storage of a registry.",
    "no-repositories": "The storage of a registry holds no repositories.",
    "no-tags": "No repository of a storage has a tag.",
    "missing-link": "A link in the storage of a registry is missing.",
    "invalid-link": "A link in the storage of a registry holds no digest.",
    "invalid-document": "A document does not follow its format.",
    "truncated": "The source ends too early.",
    "digest-mismatch": "Bytes do not match the digest that names them.",
    "diff-id-mismatch": "A layer does not unpack to its DiffID.",
    "blob-digest-mismatch": "A layer or another blob does not match the digest or size of its descriptor.",
    "document-digest-mismatch": "A manifest, an index or a config does not match its digest.",
    "size-mismatch": "A blob or document has another size than its descriptor states.",
    "unsafe-input": "The source exceeds a limit or leaves its bounds.",
    "unsupported": "The source uses something that imgconv does not read.",
    "source-changed": "The source changed while it was read.",
    "special-file": "SOURCE is a device or a socket.",
    "not-a-file": "A member that is read as a file is a folder, a link or a device.",
    "missing-member": "A file that the format requires is not in the source.",
    "missing-layer": "A layer that a document names is not in the source.",
    "invalid-inventory": "A file given to `--without` is neither an archive nor an inventory of a known form.",
    "inventory-too-large": "An inventory is larger than 16 MiB, or lists too many digests.",
    "base-other-compression": "What `--with` gives holds a layer in another compression than the manifest names.",
    "missing-blob": "A blob that a descriptor names is not in the source.",
    "duplicate-member": "Members of one name differ.",
    "ambiguous-member": "Tools find different members under a name.",
    "sparse-member": "A member is stored as a sparse file.",
    "unsafe-member-name": "A name that is read is empty or has `..`.",
    "link-outside": "A link leads out of the archive.",
    "link-loop": "Links lead in a circle, or there are too many in a row.",
    "member-name-too-long": "A name of a member exceeds the limit.",
    "member-names-too-large": "The names of all members together exceed the limit.",
    "member-path-too-deep": "A name or link, or all long ones together, have more parts than the limit.",
    "too-many-members": "The archive or folder has more members or levels than the limit.",
    "tar-checksum-mismatch": "A tar header has a wrong checksum.",
    "invalid-tar-size": "A size in a tar header is not a number, or impossible.",
    "refused-tar-header": "No engine reads past a tar header of a layer, as one with a time that is not a number.",
    "ambiguous-tar-header": "Tools read a tar header differently.",
    "damaged-pax-header": "A PAX header is damaged.",
    "nul-in-tar-header": "A name in an extended tar header contains NUL.",
    "tar-header-too-large": "Extended tar headers exceed the limit.",
    "compressed-too-often": "The archive is compressed several times over.",
    "expands-too-much": "The archive expands more than the limit allows.",
    "damaged-compression": "A compressed stream is damaged.",
    "decompression-memory": "A compressed stream needs more memory than the limit.",
    "too-many-compressed-parts": "A compressed stream consists of too many small parts.",
    "layer-too-large": "A layer unpacks to more than the limit.",
    "layer-compressed-twice": "A layer unpacks to compressed data.",
    "document-too-large": "A document exceeds the limit.",
    "documents-too-large": "The documents of the source together exceed the limit.",
    "empty-document": "A document is empty.",
    "invalid-json": "A document is not valid JSON.",
    "json-byte-order-mark": "A document starts with a byte order mark.",
    "json-not-utf-8": "A document is not UTF-8.",
    "json-lone-surrogate": "A text in a document has half of a surrogate pair.",
    "json-too-deep": "A document is nested deeper than the limit.",
    "json-too-many-values": "A document, or all of them together, have more values than the limit.",
    "json-number-too-large": "A number in a document is too large or too long.",
    "duplicate-json-key": "A key occurs twice in one JSON object.",
    "ambiguous-json-key": "Two keys of one JSON object differ only in letter case, and Go reads them as one.",
    "wrong-json-type": "A value in a document has the wrong type.",
    "invalid-time": "A time is not valid RFC 3339.",
    "invalid-port": "A port in a config is not valid.",
    "invalid-digest": "A text is not a valid digest.",
    "unsupported-digest-algorithm": "A digest uses an algorithm other than sha256 and sha512.",
    "digest-not-sha256": "go-containerregistry reads only sha256, and a document uses another digest.",
    "negative-size": "A descriptor has a negative size.",
    "invalid-image-name": "A text is not a valid image name.",
    "invalid-v1-id": "A v1 ID is not 64 hexadecimal digits.",
    "v1-parent-loop": "A v1 image is its own ancestor.",
    "layer-count-mismatch": "The manifest and the config of an image state different numbers of layers.",
    "media-type-mismatch": "A document states a media type of another kind than its descriptor.",
    "ambiguous-document": "A document is both a manifest and an index (CVE-2021-41190).",
    "descriptors-disagree": "Descriptors state different sizes for one blob.",
    "index-without-manifests": "`index.json` has no list of manifests.",
    "unsupported-layout-version": "`oci-layout` states a version other than 1.0.0.",
    "unsupported-dir-version": "A `dir:` folder has a version that no skopeo reads.",
    "index-too-deep": "Indexes are nested deeper than the limit.",
    "too-many-manifests": "Indexes list more manifests than the limit.",
    "too-many-images": "The source has more images than the limit.",
    "too-many-layers": "An image, or all images together, have more layers than the limit, or repeat them too often.",
    "too-many-names": "The images have more names than the limit.",
    "too-many-history-entries": "A config has more entries of history than the limit.",
    "too-many-faults": "The source has more faults than are reported.",
    "not-a-manifest": "The MANIFEST of `match` is not an image manifest.",
    "damaged-sparse-map": "The map of a sparse file in a layer is damaged.",
    "layer-path-conflict": "A member of a layer needs a folder where something else is, or would replace the root.",
    "layer-link-missing": "A hard link in a layer leads to nothing.",
    "layer-member-type": "A member of a layer is of a type that engines do not unpack.",
    "layer-not-a-tar": "A layer is not a tar, so its files cannot be compared.",
    "report-too-large": "The document for `--json`, or an output of `batch`, would exceed the limit.",
    "graph-too-large": "The graph would have more boxes than the limit.",
    "repositories-not-replaceable": "The existing `repositories` or v1 directories are wrong and cannot be replaced.",
    "destination-blob-differs": "The destination holds other bytes under a digest that an added image names.",
}

#: Failures of the system or of the result: exit status 4.
_SYSTEM: Final = {
    "storage": "The system refused to read or write.",
    "not-found": "A file or folder does not exist.",
    "permission-denied": "The system denied access.",
    "disk-full": "The file system or the quota is full.",
    "too-many-open-files": "The limit of open files is reached.",
    "device-error": "The device failed to read or write.",
    "destination-folder-missing": "The folder of the destination does not exist.",
    "impossible-path": "A text is not a path: it holds NUL or half of a surrogate pair.",
    "destination-changed": "The destination was moved, replaced or changed during the run.",
    "output-mismatch": "The result does not read back as it was written (`--verify-output`).",
    "worker-died": "The process that worked on a source ended before it was done.",
    "timeout": "A source took longer than `--timeout`.",
    "memory": "A source needed more memory than `--memory` or the system allows.",
    "engine-lost": "The processes or the Dask scheduler of a batch are lost.",
}

#: Accepted with a warning.
_WARNINGS: Final = {
    "too-many-warnings": "There are more warnings than are kept.",
    "link-one-step-too-high": "A link has one `..` too many, as Docker 1.12's release candidates wrote it.",
    "registry-ignored": "Something in the storage of a registry has an invalid name, or is not a file or folder.",
    "ignored-member": "A member with an unsafe name, or a device, is ignored.",
    "repeated-member": "Members of one name are alike.",
    "member-size-ignored": "A member that has no content states a size.",
    "missing-padding": "The archive ends before the padding of its last member.",
    "no-end-of-archive": "The archive has no end-of-archive blocks, or only one.",
    "bytes-after-archive": "Bytes follow the end of the archive.",
    "json-key-spelling": "A key differs in letter case from its field; only Go programs accept that.",
    "duplicate-name": "A name refers to two images.",
    "repo-tag-without-tag": "A RepoTag has no tag.",
    "signatures-not-read": "A `dir:` folder holds signatures, which are not read.",
    "missing-layout-file": "A layout has no `oci-layout`.",
    "config-without-diff-ids": "A config has no DiffIDs, so its manifest is carried as an artifact.",
    "schema-version-missing": "A manifest or an index has no `schemaVersion`.",
    "media-type-differs": "A document and its descriptor state the Docker and the OCI type of one kind.",
    "names-differ": "`index.json` and `manifest.json` name an image differently.",
    "name-only-in-index": "A name without a tag stays in `index.json` and cannot be a RepoTag.",
    "name-moved": "A name of the layout now refers to another image.",
    "result-address": "How skopeo and podman address the result.",
    "result-commands": "How crane and Docker take the result.",
    "docker-manifests": "The layout holds Docker manifests, which some tools do not read.",
    "zstd-layers": "The result has zstd layers, which older tools do not read.",
    "absent-platforms": "An index names platforms that are not in the source.",
    "too-many-layers-for-docker": "An image has more layers than Docker's graph drivers load.",
    "config-without-platform": "A config names no os or no architecture, as image-spec requires.",
    "layer-called-gzip": "The pusher describes layers as gzip that are not.",
    "layer-sources-as-given": "The pusher takes descriptors from `LayerSources` as they are.",
    "absent-layers": "Layers that documents name are not in the source: it is a thin or sparse archive, or incomplete.",
    "layers-kept-unread": "The layers of an image cannot be unpacked, so they are copied as they are.",
    "layers-kept-uncompressed": "A manifest that is kept has uncompressed layers.",
    "pusher-needs-tar": "The tool of `--as` does not unpack the source; the digests are those of the tar inside.",
    "pusher-condition": "The digests hold under a condition of the tool of `--as`.",
    "chosen-for-consumers": "The format and the changes that `--for` chose.",
    "loads-in": "A consumer of `--for` loads the result, under these names.",
    "digest-changed": "A manifest, an index or a layer has another digest in the result.",
    "v1-files-replaced": "Files of a v1 directory were wrong and are replaced.",
    "repositories-replaced": "The existing `repositories` was wrong and is replaced.",
    "repositories-unchanged": "The existing `repositories` is correct, so nothing is written.",
    "config-not-found": "No image of the source has the config that the manifest of `match` names.",
    "manifest-not-found": "No known tool writes a manifest that the index of `match` names.",
    "no-containerd-id": "The ID that containerd shows is not known.",
    "histories-not-shown": "Histories are too large to be shown together.",
    "paths-not-shown": "The paths of largest files are too long to be shown together.",
    "files-not-listed": "Layers have more files than are listed, or names that are too long.",
    "images-not-compared": "The layers of some images have too many files to be compared.",
    "layer-type-corrected": "A layer's media type did not fit its bytes; the new manifest has the right one.",
}

#: In the source and not in the result, or an option without effect.
_DROPPED: Final = {
    "dropped-manifest": "Manifests of a registry's repository that have no tag are not read.",
    "dropped-name": "A name is not in the result.",
    "dropped-annotations": "Annotations are not in the result.",
    "dropped-artifact": "Something other than an image is not in the result.",
    "dropped-artifact-type": "An `artifactType` is not in the result.",
    "dropped-attestation": "An attestation is not in the result.",
    "dropped-image": "An image is not in the result.",
    "dropped-index": "An index is not in the result.",
    "dropped-layer": "The bytes of a layer are not in the result.",
    "dropped-non-distributable": "The mark of a non-distributable layer is not in the result.",
    "dropped-parent": "A `Parent` is not in the result.",
    "dropped-subject": "A `subject` is not in the result.",
    "dropped-urls": "The addresses of a layer are not in the result.",
    "compress-without-effect": "`--compress` compresses no layer.",
}
#: Every code, in the order of the table in docs/codes.md.
CODES: Final = {
    code: Code(kind, meaning)
    for kind, texts in ((2, _REQUEST), (3, _SOURCE), (4, _SYSTEM), ("warning", _WARNINGS), ("dropped", _DROPPED))
    for code, meaning in texts.items()
}


class Diagnostic(str):
    """A line about something that is accepted or done with a warning: its text, a code and data.

    `data` holds what the text names, such as `member`, `name` or `digest`.
    """

    __slots__ = ("code", "data")

    code: str
    data: dict[str, Any]

    def __new__(cls, text: str, *, code: str, **data: Any) -> Self:
        """Return the line."""
        line = super().__new__(cls, text)
        line.code, line.data = code, data
        return line

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Return the arguments from which `copy` and `pickle` create it again."""
        return (str(self),), {"code": self.code, **self.data}

    def within(self, member: str) -> Diagnostic:
        """Return this diagnostic as one about a member, which its line then names first."""
        return Diagnostic(f"{member}: {self}", code=self.code, **{"member": member, **self.data})

    def entry(self) -> dict[str, Any]:
        """Return the entry of `--json` (schemas/defs.json, "diagnostic")."""
        return {"code": self.code, "message": str(self)}


class Dropped(Diagnostic):
    """A line about something that the result does not hold, with the facts that `--json` gives.

    `what` is its kind, `of` the name or digest of what it belonged to, `number` how
    many there were.
    """

    __slots__ = ("number", "of", "what")

    what: str
    of: str
    number: int

    def __new__(cls, text: str, *, what: str, of: str, number: int = 1, code: str = "") -> Self:
        """Return the line; its code is `dropped-` and `what` unless another is given."""
        line = super().__new__(cls, text, code=code or f"dropped-{what}", of=of, number=number)
        line.what, line.of, line.number = what, of, number
        return line

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Return the arguments from which `copy` and `pickle` create it again."""
        return (str(self),), {"what": self.what, "of": self.of, "number": self.number, "code": self.code}

    def within(self, member: str) -> Dropped:
        """Return this line as one about a member or source, which it then names first."""
        return Dropped(f"{member}: {self}", what=self.what, of=self.of, number=self.number, code=self.code)

    def facts(self) -> dict[str, Any]:
        """Return the entry of `--json` (schemas/report-convert.json, "dropped")."""
        return {"code": self.code, "what": self.what, "of": self.of, "count": self.number, "message": str(self)}


class Diagnostics(list[Diagnostic]):
    """A bounded list of unique warnings.

    A hostile archive can be wrong in as many ways as it has members. Neither the
    time of a look-up nor the memory that is used grows with their number.
    """

    __slots__ = ("_seen",)

    def __init__(self, diagnostics: Iterable[Diagnostic] = ()) -> None:
        """Start with `diagnostics`."""
        super().__init__()
        self._seen: set[str] = set()
        self.extend(diagnostics)

    def __reduce__(self) -> tuple[type[Self], tuple[list[Diagnostic]]]:
        """Return how `copy` and `pickle` create it again."""
        return type(self), (list(self),)

    def __contains__(self, text: object) -> bool:
        """Return whether a text is in the list, or would not be added because the list is full."""
        return text in self._seen or len(self) > MAX_WARNINGS

    def append(self, diagnostic: Diagnostic, /) -> None:
        """Add a diagnostic whose text is not there yet; past the limit, one that states so."""
        if diagnostic in self:
            return
        if len(self) == MAX_WARNINGS:
            text = f"more than {MAX_WARNINGS} warnings; the others are not shown"
            diagnostic = Diagnostic(text, code="too-many-warnings")
        self._seen.add(diagnostic)
        super().append(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic], /) -> None:
        """Add each."""
        for diagnostic in diagnostics:
            self.append(diagnostic)

    def __iadd__(self, diagnostics: Iterable[Diagnostic], /) -> Self:  # type: ignore[override,misc] # a list takes any iterable too
        """Add each."""
        self.extend(diagnostics)
        return self
