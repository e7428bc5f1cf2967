"""Read each blob and layer once, on all cores, and compare it with every document that names it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError
from convert.layer.blob_facts import BlobFacts, read_blob, read_blobs
from convert.layer.pool import Pool
from convert.limits import MAX_LAYER_NAMES
from convert.model import mediatype
from convert.model.digest import Digest
from convert.reader.findings import Severity, refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Blob
    from convert.progress import Progress
    from convert.reader.checked_documents import Checked


_BLOB: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)\Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a document states about a blob, and where.

    `diff_ids` are those of which the blob has to be one. `rule` is what is broken
    where digest or size are others; a claim under `layer-sources` describes a
    form that need not be the one that is there, unless the layer is `foreign`:
    then readers refuse another form, and the finding is an error. `layer` is true
    for a file system layer, which is a tar.
    """

    named_by: str
    place: str | None = None
    digest: Digest | None = None
    size: int | None = None
    diff_ids: tuple[Digest, ...] = ()
    media_type: str | None = None
    rule: str | None = None
    layer: bool = False
    foreign: bool = False

    @property
    def by(self) -> str:
        """Where it is stated."""
        return f"{self.named_by} at {self.place}" if self.place else self.named_by


@dataclass(slots=True, eq=False)
class _Job:
    """One blob and the claims about it."""

    blob: Blob
    member: str
    progress: Progress
    claims: dict[Claim, None] = field(default_factory=dict)

    def read(self) -> BlobFacts:
        digests = [digest for claim in self.claims for digest in (*claim.diff_ids, claim.digest) if digest is not None]
        algorithms = sorted({"sha256", *(digest.algorithm for digest in digests)})
        unpack = any(claim.diff_ids or claim.layer for claim in self.claims)
        name = digests[0].hex[:12] if digests else self.member
        count = self.progress.begin(name, self.blob.size or 0)
        return read_blob(self.blob, algorithms, unpack=unpack, where=self.member, count=count)


class Contents:
    """Collects claims about blobs, then reads them all."""

    def __init__(self, checked: Checked, progress: Progress) -> None:
        """Nothing is read before `check`, which counts the bytes of the blobs."""
        self._progress = progress
        self._checked = checked
        self._findings = checked.findings
        self._jobs: dict[Blob, _Job] = {}
        self._unnamed: list[str] = []

    def claim(self, blob: Blob, member: str, claim: Claim) -> None:
        """Add what a document states about a blob."""
        self._jobs.setdefault(blob, _Job(blob, member, self._progress)).claims.setdefault(claim)

    def claim_own_names(self) -> None:
        """Claim the digests in the names of blobs whose digest no document gives; report unnamed blobs.

        To be called when every document was read.
        """
        for name in self._checked.tree.names():
            if not _BLOB.match(name.removeprefix("./")) or (blob := self._checked.find(name)) is None:
                continue
            job = self._jobs.get(blob)
            if job is None:
                self._unnamed.append(name)
            elif not any(claim.digest is not None for claim in job.claims) and (claim := _own_name(name)) is not None:
                self.claim(blob, name, claim)
        for name in self._unnamed:
            self._findings.add("unreferenced", "no document names it", member=name)

    def check(self, jobs: int) -> None:
        """Read every blob with `jobs` threads and report what differs from its claims.

        Raises:
            StorageError: reading failed.
        """
        self._progress.expect(sum(blob.size or 0 for blob in self._jobs))
        with Pool(jobs) as pool:
            work = itertools.chain(self._jobs.values(), self._unnamed_jobs())
            for job, facts in read_blobs(work, pool):
                self._report(job, facts)

    def _unnamed_jobs(self) -> Iterator[_Job]:
        """Yield the unnamed blobs, of which there may be hundreds of thousands."""
        for name in self._unnamed:
            blob, claim = self._checked.find(name), _own_name(name)
            if blob is not None and claim is not None:
                self._progress.expect(blob.size or 0)
                yield _Job(blob, name, self._progress, {claim: None})

    def _report(self, job: _Job, read: BlobFacts) -> None:
        add = self._findings.add
        if read.unread is not None:
            add("damaged", read.unread.message, member=job.member)
            return
        if read.damage is not None:
            add("layer-damaged", read.damage.message, member=job.member)
        self._layer(job, read)
        for claim in job.claims:
            claimed = mediatype.layer_compression(claim.media_type or "")
            if claimed is not None and claimed != read.compression:
                if claim.rule is None:
                    actual = f"compressed with {read.compression}" if read.compression else "not compressed"
                    add("layer-type", f"is {actual}, {claim.by} states {claim.media_type}", member=job.member)
                elif not (claim.foreign and read.compression):
                    continue
            weight = Severity.ERROR if claim.foreign else None
            if claim.size is not None and claim.size != read.size:
                message = f"holds {read.size} bytes, {claim.by} states {claim.size}"
                add(claim.rule or "size", message, member=job.member, severity=weight)
            if claim.digest is not None and (got := read.stored[claim.digest.algorithm]) != claim.digest:
                message = f"content is {got}, not {claim.digest} as {claim.by} states"
                add(claim.rule or "digest", message, member=job.member, severity=weight)
            if claim.diff_ids and read.damage is None:
                self._diff_id(job, read, claim)

    def _layer(self, job: _Job, read: BlobFacts) -> None:
        """Report what is wrong with a layer, whichever document names it."""
        add, tar = self._findings.add, read.tar
        if tar.broken:
            add("layer-tar", f"{tar.broken}; no engine unpacks it", member=job.member)
        if tar.disputed:
            add("layer-header", f"has a header that tools read differently: {tar.disputed}", member=job.member)
        if tar.repeats:
            names = ", ".join(shown(path) for path in tar.repeated)
            more = f" and others, {tar.repeats} in all" if tar.repeats > len(tar.repeated) else ""
            message = f"names a path more than once ({names}{more}); {refused('layer-path-twice')}"
            add("layer-path-twice", message, member=job.member)
        if tar.unchecked:
            message = f"has more than {MAX_LAYER_NAMES} names; those behind them were not compared with the others"
            add("layer-not-compared", message, member=job.member)
        if read.trailing:
            where = f"behind the end of its {read.compression} stream"
            message = f"has {read.trailing} bytes {where}; {refused('layer-trailing')}"
            add("layer-trailing", message, member=job.member)

    def _diff_id(self, job: _Job, read: BlobFacts, claim: Claim) -> None:
        if any(read.plain[wanted.algorithm] == wanted for wanted in claim.diff_ids):
            return
        verb = "unpacks to" if read.compression else "is"
        got = read.plain[claim.diff_ids[0].algorithm]
        wanted = f"the DiffID {claim.diff_ids[0]}" if len(claim.diff_ids) == 1 else "other DiffIDs"
        self._findings.add("diff-id", f"{verb} {got}, {claim.by} has {wanted}", member=job.member)


def _own_name(name: str) -> Claim | None:
    """Return what the name of a blob states about it."""
    match = _BLOB.match(name.removeprefix("./"))
    try:
        return Claim("its name", digest=Digest(match[1], match[2])) if match else None
    except FormatError:
        return None
