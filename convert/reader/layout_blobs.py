"""The blobs of an OCI layout, compared with the descriptors that name them (image-spec image-layout.md)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from convert.errors import AbsentBlobError, FormatError, InputError
from convert.model import mediatype
from convert.reader.manifest import check_data

if TYPE_CHECKING:
    from convert.model.blob import Blob, Extent
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.reader.document import Reading


class DataBlob:
    """A blob that its descriptor embeds in `data` (image-spec descriptor.md)."""

    __slots__ = ("_raw", "where")

    def __init__(self, raw: bytes, where: str) -> None:
        """Keep `raw`, which was verified against the descriptor."""
        self._raw = raw
        self.where = where

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._raw)

    def open(self) -> BinaryIO:
        """Start reading at the first byte."""
        return io.BytesIO(self._raw)

    def extent(self) -> Extent | None:
        """In memory, so in no file."""
        return None


def blob_name(digest: Digest) -> str:
    """Return the member that holds a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


class LayoutBlobs:
    """Finds the blobs of one layout, and compares each with its descriptors."""

    #: The document that names the first manifests.
    top = "index.json"

    def __init__(self, reading: Reading) -> None:
        """Nothing was compared yet."""
        self._reading = reading
        #: Size and data of the descriptors that were compared with their blobs.
        self._compared: set[tuple[Digest, int, bytes | None]] = set()
        #: The size that descriptors give an absent blob; all have to agree.
        self._sizes: dict[Digest, int] = {}

    def member(self, described: Descriptor) -> str:
        """Return the member that holds what a descriptor names."""
        return blob_name(described.digest)

    def compare(self, described: Descriptor, named_by: str) -> None:
        """Compare the size and data of one more descriptor with what was read already.

        Raises:
            FormatError, DigestMismatchError: they differ.
        """
        facts = (described.digest, described.size, described.data)
        if facts not in self._compared:
            self.required(described, named_by)
            self._compared.add(facts)

    def check_subject(self, described: Descriptor | None, named_by: str) -> Descriptor | None:
        """Compare a `subject` with the blob that it names, which may be absent; return it.

        Raises:
            FormatError, DigestMismatchError: they differ.
        """
        if described is not None and self.find(described) is not None:
            self.compare(described, named_by)
        return described

    def find(self, described: Descriptor) -> Blob | None:
        """Return the blob of a descriptor, or the content that it embeds; None if there is neither.

        Raises:
            DigestMismatchError: the embedded content is other content.
            FormatError: descriptors give an absent blob several sizes.
        """
        member = self.member(described)
        check_data(described, file=self._reading.file, member=member)
        blob = self._reading.tree.find(member)
        if blob is None and (size := self._sizes.setdefault(described.digest, described.size)) != described.size:
            raise FormatError(
                f"is not in the source, and descriptors give it {size} bytes and {described.size}",
                code="descriptors-disagree",
                file=self._reading.file,
                member=member,
            )
        if blob is None and described.data is not None:
            return DataBlob(described.data, member)
        return blob

    def layer(self, described: Descriptor, named_by: str) -> Blob | None:
        """Return the blob of a layer; report why it cannot be used and return None."""
        try:
            return self.required(described, named_by)
        except AbsentBlobError as error:
            self._reading.absent(error)
        except InputError as error:
            self._reading.fault(error)
        return None

    def required(self, described: Descriptor, named_by: str) -> Blob | None:
        """Return the blob; None only for one that may be elsewhere.

        Raises:
            FormatError: it is missing, or has another size.
            DigestMismatchError: the content that the descriptor embeds is other content.
        """
        blob = self.find(described)
        if blob is None:
            if mediatype.may_be_absent(described.media_type, described.urls):
                return None
            raise AbsentBlobError(
                f"is missing, though {named_by} names it ({described.media_type})",
                file=self._reading.file,
                member=self.member(described),
            )
        if blob.size is not None and blob.size != described.size:
            raise FormatError(
                f"holds {blob.size} bytes, its descriptor in {named_by} gives {described.size}",
                code="size-mismatch",
                file=self._reading.file,
                member=self.member(described),
            )
        return blob

    def document(self, described: Descriptor, named_by: str = "") -> tuple[bytes, str]:
        """Return the verified bytes of a document and the name of its member.

        Raises:
            FormatError, DigestMismatchError: it is missing, or other content.
        """
        member, named_by = self.member(described), named_by or self.top
        blob = self.required(described, named_by)
        if isinstance(blob, DataBlob) and described.data is not None:
            return described.data, member
        if blob is None:
            raise FormatError(
                f"is missing, though {named_by} names it", code="missing-blob", file=self._reading.file, member=member
            )
        return self._reading.read_named(member, described.digest, described.size), member
