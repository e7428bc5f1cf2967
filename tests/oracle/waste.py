"""An independent count of what later layers overwrite and delete, and of dive's waste and efficiency.

Direct and slow: every layer is a dict from path to entry, every question a walk over all paths. It uses
tarfile and nothing of imgconv. Of dive's source (dive/filetree at d6c6919) it follows what docs/layers.md states.
"""

import tarfile

OPAQUE = ".wh..wh..opq"


def layer_of(stream):
    """Return what a layer's tar holds: entries, whiteouts, folders of opaque marks, size of all members."""
    entries, whiteouts, opaques, size = {}, set(), set(), 0
    with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as archive:
        for member in archive:
            content = member.size if member.isreg() else 0
            size += content
            parts = [part for part in member.name.split("/") if part not in {"", "."}]
            if not parts:
                continue
            if parts[-1] == OPAQUE:
                opaques.add(tuple(parts[:-1]))
            elif parts[-1].startswith(".wh..wh."):
                pass
            elif parts[-1].startswith(".wh."):
                whiteouts.add((*parts[:-1], parts[-1][4:]))
            else:
                kind = "dir" if member.isdir() else "file" if member.isreg() else "other"
                entries[tuple(parts)] = (kind, content)
    return entries, whiteouts, opaques, size


def above(path):
    return [path[:length] for length in range(1, len(path))]


def hidden(layers):
    """Return for each layer: overwritten files, their size, deleted files, their size."""
    counts = [[0, 0, 0, 0] for _ in layers]
    for number, (entries, *_) in enumerate(layers):
        for path, (kind, size) in entries.items():
            if kind == "dir":
                continue
            for other, whiteouts, opaques, _ in layers[number + 1 :]:
                paths = set(other) | whiteouts | opaques
                overwritten = (
                    path in other
                    or any(other.get(folder, ("dir",))[0] != "dir" for folder in above(path))
                    or path in opaques
                    or any(each[: len(path)] == path for each in paths - {path})
                )
                deleted = any(each in whiteouts for each in [path, *above(path)]) or any(
                    each in opaques for each in [(), *above(path)]
                )
                if overwritten or deleted:
                    at = 0 if overwritten else 2
                    counts[number][at] += 1
                    counts[number][at + 1] += size
                    break
    return counts


def nodes(layer):
    """Return the nodes of dive's tree of a layer: entries, and folders that only others imply."""
    entries, whiteouts, opaques, _ = layer
    found = {folder: ("implied", 0) for path in [*entries, *whiteouts] for folder in above(path)}
    for path in opaques:
        found.update(dict.fromkeys([*above(path), *([path] if path else [])], ("implied", 0)))
    return found | entries


def stacked(layers):
    tree = {}
    for layer in layers:
        for path in layer[1]:
            for gone in [each for each in tree if each[: len(path)] == path]:
                del tree[gone]
        tree.update(nodes(layer))
    return tree


def dive(layers):
    """Return waste, efficiency, the paths that several layers hold, and the parts of the layers."""
    found = {}
    for number, layer in enumerate(layers):
        tree, whiteouts = nodes(layer), layer[1]
        inner = {folder for path in [*tree, *whiteouts] for folder in above(path)}
        for path, (_, size) in tree.items():
            if path not in inner:
                found.setdefault(path, []).append((number, size))
        before = stacked(layers[:number])
        for path in whiteouts:
            if path in before:
                size = 0
                if before[path][0] == "dir":
                    size = sum(each for inside, (_, each) in before.items() if inside[: len(path)] == path)
                found.setdefault(path, []).append((number, size))
    least = sum(min(size for _, size in times) for times in found.values())
    total = sum(size for times in found.values() for _, size in times)
    wasted = {"/".join(path): times for path, times in found.items() if len(times) > 1}
    parts = [sum(size for times in wasted.values() for place, size in times if place == n) for n in range(len(layers))]
    return sum(parts), least / total if total else 1.0, wasted, parts
