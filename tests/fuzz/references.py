"""References: what is accepted says itself again, and never holds what a terminal obeys."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import fuzz, one_line

from convert.errors import InputError
from convert.model import digest, reference
from convert.model.digest import Digest
from convert.model.reference import Reference


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        parsed = Reference.parse(text)
    except InputError as error:
        one_line(error)
    else:
        assert parsed.full.isprintable()
        assert parsed.full.isascii()
        assert Reference.parse(parsed.full) == parsed
        # docker.io/a.b/c loses its domain in Docker's familiar form, and so in ours.
        first = parsed.path.partition("/")[0]
        if parsed.domain != "docker.io" or not ("." in first or first == "localhost"):
            # With its tag: 64 hex digits alone are an image ID.
            named = parsed.with_default_tag()
            assert Reference.parse(named.familiar) == named
        assert parsed.with_default_tag().with_default_tag() == parsed.with_default_tag()
    try:
        named = Digest.parse(text)
    except InputError as error:
        one_line(error)
    else:
        assert str(named) == text
        assert "/" not in text
        assert "." not in named.hex
    reference.looks_like_image_name(text)


if __name__ == "__main__":
    fuzz(one, reference, digest)
