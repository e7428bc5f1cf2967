"""Check the storage of a registry: every blob read once, on all cores, and every link (docs/registry-storage.md)."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Final

from convert.archive.registry_tree import RegistryTree
from convert.commands.validate.members import report_warnings
from convert.commands.validate.outcome import Outcome
from convert.errors import InputError, StorageError
from convert.layer.blob_facts import hash_buffer, read_blob
from convert.layer.pool import Pool
from convert.limits import MAX_DOCUMENT_SIZE
from convert.model.image_set import SourceFormat
from convert.reader.checks.registry_links import RegistryLinks
from convert.reader.checks.registry_names import RegistryNames
from convert.reader.checks.stored_blobs import StoredBlobs
from convert.reader.checks.stored_manifests import StoredManifests
from convert.reader.findings import Findings, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from convert.archive.tree import Tree
    from convert.codec.compression import Compression
    from convert.plan.base import Base
    from convert.progress import Progress

#: Blobs from this size on are shown by themselves while they are read.
_SHOWN: Final = 1 << 20
#: Seconds after which a thread gives way to one that waits for the interpreter; 5 ms in CPython.
_TURN: Final = 0.0002


def check_registry(tree: Tree, findings: Findings, jobs: int, progress: Progress, base: Base | None) -> Outcome:
    """Check the storage of a registry, or one manifest of it as the layout that a conversion makes of it.

    Raises:
        InputError: the storage exceeds a limit.
        StorageError: a folder of it cannot be read.
    """
    if not isinstance(tree, RegistryTree):
        raise TypeError("this is not the storage of a registry")
    if tree.selection.is_manifest:
        from convert.commands.validate.images import check_images  # noqa: PLC0415 - start-up time

        check_links(tree, findings)
        outcome = check_images(tree, findings, jobs, progress, base)
        report_warnings(tree.warnings, findings)
        tree.check_unchanged()
        return outcome
    if check_storage(tree, findings, jobs, progress):
        return Outcome(SourceFormat.REGISTRY, holds_image=True)
    findings.add("no-images", "no repository has a manifest that can be read")
    return Outcome(SourceFormat.REGISTRY, holds_image=False)


def check_links(tree: RegistryTree, findings: Findings) -> None:
    """Check the links of the one manifest that is selected; what it holds is checked as in a layout."""
    chosen = tree.selection
    _report_odd(tree, findings)
    blobs, names = StoredBlobs(tree), RegistryNames()
    manifests = StoredManifests(tree, blobs, Findings(findings.file), lambda _: None)
    links = RegistryLinks(tree.storage, blobs, manifests, names, findings)
    links.check_one(chosen.repository, chosen.tag, chosen.digest)
    _report_disputed(blobs, findings)


def check_storage(tree: RegistryTree, findings: Findings, jobs: int, progress: Progress) -> bool:
    """Check all of a storage, or one repository; return whether it holds a manifest at all.

    Raises:
        InputError: the storage exceeds a limit.
        StorageError: a folder of it cannot be read.
    """
    chosen, storage = tree.selection, tree.storage
    _report_odd(tree, findings)
    blobs, names = StoredBlobs(tree), RegistryNames()
    with Pool(jobs) as pool:
        hashing = _Hashing(pool, blobs, findings, progress)
        manifests = StoredManifests(tree, blobs, findings, progress.advance)
        links = RegistryLinks(storage, blobs, manifests, names, findings)
        if not chosen.repository:
            blobs.list_all()
            # No document is that large, so these can be read before it is known what they are.
            hashing.begin(blobs.unread(), lambda size: size > MAX_DOCUMENT_SIZE)
        with _short_turns():
            for repository in [chosen.repository] if chosen.repository else storage.repositories():
                links.check(repository)
        hashing.begin(blobs.unread(), lambda _: True)
        hashing.wait()
    _report_missing(tree, blobs, manifests, findings)
    _report_disputed(blobs, findings)
    hashing.report()
    if not chosen.repository:
        for number in sorted(blobs.unnamed(), key=blobs.digest):
            linked = "a repository links it" if blobs.is_linked(number) else "no repository links it"
            message = f"no manifest refers to it; {linked}"
            findings.add("unreferenced", message, member=blobs.member(number))
    report_warnings(tree.warnings, findings)
    findings.add_names(names.namer(blobs, manifests.read, [found.member for found in findings.all()]))
    return any(each is not None for each in manifests.read.values())


def _report_odd(tree: RegistryTree, findings: Findings) -> None:
    def add(path: str, text: str) -> None:
        findings.add("registry-name", text, member=path)

    tree.storage.on_odd = add


def _report_missing(tree: RegistryTree, blobs: StoredBlobs, manifests: StoredManifests, findings: Findings) -> None:
    """Report each blob that a manifest names and that is not there, if the manifest still is."""
    missing: dict[int, int] = {}
    for number, manifest in manifests.read.items():
        for part in manifest.parts if manifest is not None else ():
            if part not in missing and blobs.size(part) is None and not blobs.exists(part):
                path = tree.storage.blob_path(blobs.digest(number))
                if tree.storage.has_file(path):
                    missing[part] = number
    for part, number in sorted(missing.items(), key=lambda pair: blobs.digest(pair[0])):
        message = f"is not there, {blobs.member(number)} names it"
        findings.add("missing", message, member=blobs.member(part))


def _report_disputed(blobs: StoredBlobs, findings: Findings) -> None:
    """Report the blobs that are there and that cannot be read."""
    for number, error in sorted(blobs.disputed.items(), key=lambda pair: blobs.digest(pair[0])):
        rule = "duplicate-member" if error.code == "duplicate-member" else "damaged"
        findings.add(rule, error.message, member=blobs.member(number), severity=Severity.ERROR)


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads that hash have the interpreter soon, which each needs for some microseconds between two chunks.

    While one thread checks links and documents, they would wait longer than a chunk takes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Hashing:
    """Reads blobs on all cores, the largest first, and keeps what is wrong with them."""

    def __init__(self, pool: Pool, blobs: StoredBlobs, findings: Findings, progress: Progress) -> None:
        self._pool = pool
        self._blobs = blobs
        self._findings = findings
        self._progress = progress
        self._lock = threading.Lock()
        self._begun: set[int] = set()
        self._workers: list[Future[None]] = []
        self._problems: list[tuple[int, str, str]] = []

    def begin(self, numbers: Iterable[int], wanted: Callable[[int], bool]) -> None:
        """Begin to read those of the blobs whose size is wanted; one is begun only once."""
        sizes = {
            number: size
            for number in numbers
            if number not in self._begun and (size := self._blobs.size(number)) is not None and wanted(size)
        }
        self._begun.update(sizes)
        self._progress.expect(sum(sizes.values()))
        rest = iter(sorted(sizes, key=lambda number: (-sizes[number], number)))
        self._workers += [self._pool.submit(self._work, rest) for _ in range(self._pool.jobs)]

    def wait(self) -> None:
        """Wait until all is read.

        Raises:
            Cancelled: a signal asked for the end of the run.
        """
        self._pool.wait(self._workers)

    def _work(self, rest: Iterator[int]) -> None:
        buffer = hash_buffer()
        while True:
            with self._lock:
                number = next(rest, None)
            if number is None:
                return
            self._pool.cancel.check()
            self._read(number, buffer)

    def _read(self, number: int, buffer: memoryview) -> None:
        blobs, progress = self._blobs, self._progress
        digest, size = blobs.digest(number), blobs.size(number) or 0
        shown = progress.begin(digest.hex[:12], size) if size >= _SHOWN else progress.advance

        def count(read: int) -> None:
            self._pool.cancel.check()
            shown(read)

        try:
            blob = blobs.blob(number)
            facts = read_blob(blob, [digest.algorithm], unpack=False, where=blob.where, count=count, buffer=buffer)
        except (InputError, StorageError) as error:
            if error.code == "not-found":
                # A registry deletes blobs while it runs; what still names one is reported.
                blobs.vanished(number)
            else:
                self._fail(number, "damaged", error.message)
            return
        finally:
            blobs.close(number)
        if facts.unread is not None:
            self._fail(number, "damaged", facts.unread.message)
            return
        if (got := facts.stored[digest.algorithm]) != digest:
            self._fail(number, "digest", f"content is {got}, not {digest} as its name states")
        else:
            blobs.set_compression(number, facts.compression)

    def _fail(self, number: int, rule: str, message: str) -> None:
        with self._lock:
            self._problems.append((number, rule, message))

    def report(self) -> None:
        """Report what was found, in an order that does not depend on the threads."""
        for number, actual, stated in self._blobs.other_compressions():
            message = f"is {_compressed(actual)}, a manifest states a type that is {_compressed(stated)}"
            self._problems.append((number, "layer-type", message))
        for number, rule, message in sorted(self._problems, key=lambda each: (self._blobs.digest(each[0]), each[1:])):
            self._findings.add(rule, message, member=self._blobs.member(number))


def _compressed(compression: Compression) -> str:
    return f"compressed with {compression}" if compression else "not compressed"
