"""The marks of a thin archive: which layers it leaves out, for those who receive it (docs/thin.md#marks)."""

from __future__ import annotations

from typing import Final

#: Annotation of a descriptor in `index.json` under which a thin layout leaves blobs out.
NEEDS: Final = "dev.imgconv.needs"
#: The member of the docker-save formats for the same.
NEEDS_MEMBER: Final = ".imgconv-needs.json"
#: Hex digits by which the annotation identifies a blob.
SHORT: Final = 12
