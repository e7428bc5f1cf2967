"""The schemas of reports name every format of a source."""

import json

import pytest
from support import ROOT

from convert.model.image_set import SourceFormat

SCHEMAS = sorted((ROOT / "schemas").glob("report-*.json"))


def enums(value):
    """Yield every list of values in a schema."""
    if isinstance(value, dict):
        if isinstance(value.get("enum"), list):
            yield value["enum"]
        for each in value.values():
            yield from enums(each)
    elif isinstance(value, list):
        for each in value:
            yield from enums(each)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_where_one_format_of_a_source_may_stand_all_may(path):
    for values in enums(json.loads(path.read_text())):
        # docker-save@29 is written only.
        if SourceFormat.DOCKER_V1 in values and "docker-save@29" not in values:
            assert {each.value for each in SourceFormat} <= set(values)
