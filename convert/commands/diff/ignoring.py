"""Compare two images but for what `--ignore` names: times, owners, the order of members (docs/contract.md#commands)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from convert.commands.diff.json_diff import first_differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.commands.diff.layer_pairs import LayerPairs
    from convert.report.comparison import Comparison

#: The values of `--ignore`.
IGNORABLE: Final = ("timestamps", "owner", "order")


def compared_ignoring(one: Comparison, ignore: Sequence[str], layer_pairs: LayerPairs) -> Comparison:
    """Return a comparison that also states whether the images are the same but for what is ignored.

    Layers that differ are read, until one differs in more.

    Raises:
        InputError: a layer is damaged.
        NotRepresentableError: a layer is not in its archive.
    """
    if one.a is None or one.b is None:
        return one
    views = [_without(side.image.config.view, ignore) for side in (one.a, one.b)]
    config, config_more = first_differences(*views)
    layers = all(
        pair.same_content or (pair.a is not None and pair.b is not None and layer_pairs.alike(pair.a, pair.b))
        for pair in one.layers
    )
    own, more = (config, config_more) if layers else (one.config, one.config_more)
    return dataclasses.replace(
        one,
        config=own,
        config_more=more,
        ignored=tuple(ignore),
        alike_layers=layers,
        alike=layers and not config,
    )


def _without(view: Mapping[str, Any], ignore: Sequence[str]) -> dict[str, Any]:
    """Return a config without what is ignored; layers are compared by themselves, so without DiffIDs."""
    kept = {key: value for key, value in view.items() if key != "rootfs"}
    if "timestamps" in ignore:
        kept.pop("created", None)
        history = kept.get("history")
        if isinstance(history, list):
            kept["history"] = [
                {key: value for key, value in item.items() if key != "created"} if isinstance(item, dict) else item
                for item in history
            ]
    return kept
