"""Render records as Markdown: a table for each kind."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from record import Record

MB = 10**6
#: Length of a line on the pages.
WIDTH = 118
#: The rows of `first_screen`: case and other tool.
FIRST_SCREEN = (
    ("docker-save → oci", "skopeo"),
    ("oci → docker-save", "skopeo"),
    ("digest of a push", "crane"),
    ("oci → docker-save; docker save", "docker"),
)


def render(record: Record) -> str:
    """Return a record as Markdown, without a final newline."""
    return RENDERERS[record.kind](record)


def table(headings: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def setting(record: Record) -> str:
    """Return a paragraph about when, on which machine and with which tools a record was measured."""
    about = record.machine
    processor = f" of {about['processor']}" if "processor" in about else ""
    machine = f"{about['cores']} cores{processor}, {about['system']}, Python {about['python']}"
    parts = [f"Measured on {record.date}", machine]
    if runs := sorted({row["runs"] for row in record.rows if "imgconv_cost" in row and "runs" in row}):
        parts.append(f"medians of {' or '.join(map(str, runs))} runs, warm cache")
    parts += [f"{name}: {size / MB:.0f} MB" for name, size in record.input.items()]
    if record.tools:
        parts.append(", ".join(f"{name} {version}" for name, version in record.tools.items()))
    return _paragraph("; ".join(parts) + ".")


def _paragraph(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def cost(figures: dict[str, Any]) -> str:
    """Return wall clock, processor time and memory, as far as they were measured."""
    texts = [f"{figures['wall']:.2f} s"]
    if figures["cpu"] is not None:
        texts.append(f"{figures['cpu']:.2f} s")
    if figures["memory"] is not None:
        texts.append(f"{figures['memory'] / MB:.0f} MB")
    return ", ".join(texts)


def times(ratio: float | None) -> str:
    """Return a ratio, as far as it was measured."""
    return "" if ratio is None else f"{ratio:.2f}x"


def conversions(record: Record) -> str:
    """Render imgconv against other tools."""
    headings = ["conversion", "against", "imgconv: wall, CPU, memory", "other: wall, CPU, memory"]
    rows = []
    for row in record.rows:
        goal = ", ".join({"wall": "", "cpu": "CPU "}[name] + f"{value:g}x" for name, value in row["goal"].items())
        costs = [cost(row["imgconv_cost"]), cost(row["other_cost"])]
        rows.append([row["case"], row["other"], *costs, *(times(ratio) for ratio in row["ratio"].values()), goal])
    return setting(record) + "\n\n" + table([*headings, "speed", "CPU", "memory", "goal"], rows)


def first_screen(record: Record) -> str:
    """Render the few conversions that README.md shows; wall clock only."""
    chosen = [row for row in record.rows if (row["case"], row["other"]) in FIRST_SCREEN] or record.rows
    rows = []
    for row in chosen[: len(FIRST_SCREEN)]:
        costs = [f"{row[side]['wall']:.2f} s" for side in ("imgconv_cost", "other_cost")]
        rows.append([row["case"].partition(";")[0], row["other"], *costs, times(row["ratio"]["wall"])])
    return setting(record) + "\n\n" + table(["conversion", "against", "imgconv", "other", "speed"], rows)


def comparison(record: Record) -> str:
    """Render imgconv against an earlier version of itself."""
    headings = ["case", "now: wall, CPU, memory", "before: wall, CPU, memory", "more wall (best runs)", "CPU", "memory"]
    rows = []
    for row in record.rows:
        costs = [_exact(row["imgconv_cost"]), _exact(row["other_cost"])]
        ratios = [_changes(row, name) for name in row["ratio"]]
        rows.append([row["case"], *costs, *ratios, "same" if row["same"] else "DIFFERENT"])
    return setting(record) + "\n\n" + table([*headings, "results"], rows)


def comparison_line(row: dict[str, Any]) -> str:
    """Return the row of a comparison in one line; in parentheses the comparison of the best runs."""
    changes = ", ".join(f"{name} {_changes(row, name)}" for name in row["ratio"])
    return f"{row['case']}: {changes}" + ("" if row["same"] else ", DIFFERENT RESULTS")


def _exact(figures: dict[str, Any]) -> str:
    return f"{figures['wall']:.3f} s, {figures['cpu']:.3f} s, {figures['memory'] / MB:.1f} MB"


def _changes(row: dict[str, Any], name: str) -> str:
    return f"{_change(row['ratio'][name])} ({_change(row['best_ratio'][name])})"


def _change(ratio: float) -> str:
    """Return how much more was used now; a ratio is the figure before by that of now."""
    return f"{100 / ratio - 100:+.1f} %"


def growth(record: Record) -> str:
    """Render how cost grows."""
    directions = list(dict.fromkeys(row["direction"] for row in record.rows))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    first: dict[tuple[str, str], float] = {}
    for row in record.rows:
        each = row["imgconv_cost"]["wall"] / row["megabytes"]
        growing = each / first.setdefault((row["section"], row["direction"]), each)
        text = f"{cost(row['imgconv_cost'])}; {growing:.2f}x"
        cells.setdefault((row["section"], row["case"]), {})[row["direction"]] = text
    rows = [[section, case, *(texts.get(each, "") for each in directions)] for (section, case), texts in cells.items()]
    text = "Each cell: wall clock, processor time, memory; wall clock for each MB, relative to the section's first row."
    return f"{setting(record)}\n{text}\n\n" + table(["what grows", "case", *directions], rows)


#: The ratios of a row of encoders that the table shows.
ONE_CORE, WORKERS, BOUND = ("one core : go", "wall"), ("workers : one core", "wall"), ("workers : one core", "bound")


def encoders(record: Record) -> str:
    """Render imgconv's encoders against Go's; several rounds become a range."""
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in record.rows:
        cells.setdefault((row["profile"], row["input"]), []).append(row)
    headings = ["profile", "input", "MB/s: Go", "one core", "workers", "one core : Go", "workers : one core", "bound"]
    rows = []
    for (profile, name), rounds in cells.items():
        speeds = [
            _range([each["megabytes_per_second"][key] for each in rounds], "d") for key in ("go", "one core", "workers")
        ]
        ratios = [
            _range([each["ratio"][key][figure] for each in rounds], ".2f") for key, figure in (ONE_CORE, WORKERS, BOUND)
        ]
        rows.append([profile, name, *speeds, *ratios])
    order = {name: number for number, name in enumerate(dict.fromkeys(row["input"] for row in record.rows))}
    rows.sort(key=lambda row: (row[0], order[row[1]]))
    return setting(record) + "\n\n" + table(headings, rows)


def _range(values: list[float], form: str) -> str:
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def encoder_model(record: Record) -> str:
    """Render the simulated speed-up of one stream, a column for each number of cores."""
    cores = list(dict.fromkeys(row["cores"] for row in record.rows))
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for row in record.rows:
        text = f"{row['speed_up']:.2f}; {row['work']:.2f}; {100 * row['caller']:.0f} %; {row['repaired'] / MB:.1f} MB"
        cells.setdefault((row["profile"], row["input"]), {})[row["cores"]] = text
    headings = ["profile", "input", *(f"{count} cores" for count in cores)]
    rows = [
        [*key, *(texts.get(count, "") for count in cores)]
        for key, texts in sorted(cells.items(), key=lambda item: item[0][0])
    ]
    text = "Each cell: speed-up; work in all, relative to one core; the caller's share of it; input that was repaired."
    return f"{setting(record)}\n{text}\n\n" + table(headings, rows)


def encoder_tools(record: Record) -> str:
    """Render imgconv's encoders against pigz, gzip and busybox, on as many cores as the tool had."""
    headings = ["profile", "input", "cores", "MB/s: the tool", "imgconv", "speed", "processor time"]
    rows = [
        [row["profile"], row["input"], str(row["cores"])]
        + [f"{row['megabytes_per_second'][side]:.0f}" for side in ("tool", "imgconv")]
        + [times(row["ratio"][name]) for name in ("wall", "cpu")]
        for row in record.rows
    ]
    return setting(record) + "\n\n" + table(headings, rows)


def campaigns(record: Record) -> str:
    """Render long test runs."""
    rows = []
    for row in record.rows:
        runs = row["unit"] if row["runs"] is None else f"{row['runs']:,} {row['unit']}"
        rows.append([row["what"], f"`{row['program']}`" if row["program"] else "by hand", runs, row["result"]])
    about = _paragraph(" ".join([setting(record), *record.notes]))
    return about + "\n\n" + table(["what", "program", "runs", "result"], rows)


def all_campaigns(records: Iterator[Record]) -> str:
    """Render all campaigns, newest first."""
    return "\n\n".join(f"### {record.date}\n\n{campaigns(record)}" for record in records)


#: The columns of `thin_receivers`: the name of the receiver, and the heading.
RECEIVERS = {
    "docker": "Docker, graph driver",
    "docker-containerd": "Docker 29, containerd store",
    "containerd": "containerd, `ctr images import`",
    "podman": "podman",
    "registry": "skopeo to a registry",
}


def thin_receivers(record: Record) -> str:
    """Render what receivers do with each form of thin archive, where they have the base and where not."""
    found: dict[tuple[str, str, bool], dict[str, set[tuple[str, str]]]] = {}
    for row in record.rows:
        name, _, version = row["receiver"].partition("@")
        outcomes = found.setdefault((row["form"], name, row["base"] is None), {})
        outcomes.setdefault(row["outcome"], set()).add((version, row["base"] or ""))
    names = [name for name in RECEIVERS if any(row["receiver"].partition("@")[0] == name for row in record.rows)]
    forms = dict.fromkeys(row["form"] for row in record.rows)
    parts = [setting(record)]
    for without_base, text in ((False, "The receiver has the base:"), (True, "The receiver does not have the base:")):
        rows = [[form, *(_outcomes(found.get((form, name, without_base), {})) for name in names)] for form in forms]
        parts += [text, table(["thin form", *(RECEIVERS[name] for name in names)], rows)]
    return "\n\n".join(parts)


def _outcomes(outcomes: dict[str, set[tuple[str, str]]]) -> str:
    """Return the only outcome, or each with the forms from which the base was loaded, or else with the versions."""
    if len(outcomes) < 2:
        return "".join(outcomes)
    bases = [{base for _, base in where} for where in outcomes.values()]
    by_base = sum(map(len, bases)) == len(set().union(*bases))
    labels = [
        "base from " + " or ".join(sorted(base)) if by_base else " and ".join(sorted({version for version, _ in where}))
        for base, where in zip(bases, outcomes.values(), strict=True)
    ]
    return "; ".join(f"{text} ({label})" for text, label in zip(outcomes, labels, strict=True))


def thin_time(record: Record) -> str:
    """Render the time for a thin archive against that for reading its source."""
    texts = {"save": "docker-save", "layout": "oci", "inventory": "inventory"}
    others = {"validate": "`validate` NEW", "convert": "NEW in full, same form", "old": "`validate` OLD"}
    rows = []
    for row in record.rows:
        what = [texts[row["source"]], texts[row["without"]], row["to"], f"{row['size'] / MB:.0f} MB"]
        walls = [f"{row[cost]['wall']:.2f} s" for cost in ("imgconv_cost", "other_cost")]
        ratio = f"{row['ratio']['wall']:.2f}"
        if row["other"] != "validate" and "ratios" in row:
            ratio += f" ({row['ratios']['validate']['wall']:.2f} of `validate` NEW)"
        rows.append([*what, walls[0], others[row["other"]], walls[1], ratio])
    return setting(record) + "\n\n" + table(["NEW", "OLD", "to", "size", "time", "against", "time", "ratio"], rows)


def thin_size(record: Record) -> str:
    """Render what thin archives hold besides new layers: medians and maxima."""
    headings = ["target", "layers in it", "archives", *record.rows[0]["figures"]]
    rows = [
        [row["target"], row["kept"], str(row["archives"])]
        + [f"{figure['median']:,.0f}; {figure['maximum']:,.0f}" for figure in row["figures"].values()]
        for row in record.rows
    ]
    return setting(record) + "\n\n" + table(headings, rows)


RENDERERS = {
    "conversions": conversions,
    "comparison": comparison,
    "digest": conversions,
    "growth": growth,
    "encoders": encoders,
    "encoder-model": encoder_model,
    "encoder-tools": encoder_tools,
    "campaigns": campaigns,
    "thin-receivers": thin_receivers,
    "thin-size": thin_size,
    "thin-time": thin_time,
}
