"""Read each blob and layer once, on all cores, and compare it with every document that names it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.layer.blob_facts import read_blob, read_blobs
from convert.layer.pool import Pool
from convert.limits import MAX_LAYER_NAMES
from convert.model import mediatype
from convert.reader.findings import Severity, refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.layer.blob_facts import BlobFacts
    from convert.model.blob import Blob
    from convert.progress import Progress
    from convert.reader.checks.claims import Claim, ClaimedBlob, Claims
    from convert.reader.findings import Findings


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One blob to be read; `progress` counts its bytes."""

    claimed: ClaimedBlob
    progress: Progress

    @property
    def blob(self) -> Blob:
        return self.claimed.blob

    def read(self) -> BlobFacts:
        """Read the blob for what the claims are compared with."""
        claims, member = self.claimed.claims, self.claimed.member
        digests = [digest for claim in claims for digest in (*claim.diff_ids, claim.digest) if digest is not None]
        algorithms = sorted({"sha256", *(digest.algorithm for digest in digests)})
        unpack = any(claim.diff_ids or claim.layer for claim in claims)
        count = self.progress.begin(digests[0].hex[:12] if digests else member, self.blob.size or 0)
        return read_blob(self.blob, algorithms, unpack=unpack, where=member, count=count)


def check_contents(claims: Claims, findings: Findings, jobs: int, progress: Progress) -> None:
    """Read every blob with `jobs` threads and report what differs from its claims.

    Raises:
        StorageError: reading failed.
    """
    named = claims.named()
    progress.expect(sum(claimed.blob.size or 0 for claimed in named))
    work = itertools.chain((_Job(claimed, progress) for claimed in named), _unnamed_jobs(claims, progress))
    with Pool(jobs) as pool:
        for job, facts in read_blobs(work, pool):
            _report(findings, job.claimed, facts)


def _unnamed_jobs(claims: Claims, progress: Progress) -> Iterator[_Job]:
    for claimed in claims.unnamed():
        progress.expect(claimed.blob.size or 0)
        yield _Job(claimed, progress)


def _report(findings: Findings, claimed: ClaimedBlob, read: BlobFacts) -> None:
    add = findings.add
    if read.unread is not None:
        add("damaged", read.unread.message, member=claimed.member)
        return
    if read.damage is not None:
        add("layer-damaged", read.damage.message, member=claimed.member)
    _check_layer(findings, claimed, read)
    for claim in claimed.claims:
        stated = mediatype.layer_compression(claim.media_type or "")
        if stated is not None and stated != read.compression:
            if claim.rule is None:
                actual = f"compressed with {read.compression}" if read.compression else "not compressed"
                add("layer-type", f"is {actual}, {claim.by} states {claim.media_type}", member=claimed.member)
            elif not (claim.foreign and read.compression):
                continue
        weight = Severity.ERROR if claim.foreign else None
        if claim.size is not None and claim.size != read.size:
            message = f"holds {read.size} bytes, {claim.by} states {claim.size}"
            add(claim.rule or "size", message, member=claimed.member, severity=weight)
        if claim.digest is not None and (got := read.stored[claim.digest.algorithm]) != claim.digest:
            message = f"content is {got}, not {claim.digest} as {claim.by} states"
            add(claim.rule or "digest", message, member=claimed.member, severity=weight)
        if claim.diff_ids and read.damage is None:
            _check_diff_id(findings, claimed, read, claim)


def _check_layer(findings: Findings, claimed: ClaimedBlob, read: BlobFacts) -> None:
    """Report what is wrong with a layer, whichever document names it."""
    add, tar = findings.add, read.tar
    if tar.broken:
        add("layer-tar", f"{tar.broken}; no engine unpacks it", member=claimed.member)
    if tar.disputed:
        add("layer-header", f"has a header that tools read differently: {tar.disputed}", member=claimed.member)
    if tar.repeats:
        names = ", ".join(shown(path) for path in tar.repeated)
        more = f" and others, {tar.repeats} in all" if tar.repeats > len(tar.repeated) else ""
        message = f"names a path more than once ({names}{more}); {refused('layer-path-twice')}"
        add("layer-path-twice", message, member=claimed.member)
    if tar.unchecked:
        message = f"has more than {MAX_LAYER_NAMES} names; those behind them were not compared with the others"
        add("layer-not-compared", message, member=claimed.member)
    if read.trailing:
        where = f"behind the end of its {read.compression} stream"
        message = f"has {read.trailing} bytes {where}; {refused('layer-trailing')}"
        add("layer-trailing", message, member=claimed.member)


def _check_diff_id(findings: Findings, claimed: ClaimedBlob, read: BlobFacts, claim: Claim) -> None:
    if any(read.plain[wanted.algorithm] == wanted for wanted in claim.diff_ids):
        return
    verb = "unpacks to" if read.compression else "is"
    got = read.plain[claim.diff_ids[0].algorithm]
    wanted = f"the DiffID {claim.diff_ids[0]}" if len(claim.diff_ids) == 1 else "other DiffIDs"
    findings.add("diff-id", f"{verb} {got}, {claim.by} has {wanted}", member=claimed.member)
