"""Writes inputs*.json: the recipes (../recipes.py) of the golden vectors, by name."""

import json
from pathlib import Path

WINDOW = 32768
BLOCK = 65535

recipes: dict[str, list[list[str | int]]] = {"empty": []}

# Every size at which some encoder changes its mind: the shortest match, the rests that are
# stored or coded without matches (16, 32, 127), margins, the window, blocks, and where the
# sliding window of levels 2 to 9 moves (65,275 and every 32 KiB from there).
small = [
    1,
    2,
    3,
    4,
    5,
    8,
    11,
    12,
    13,
    15,
    16,
    17,
    18,
    31,
    32,
    33,
    34,
    127,
    128,
    129,
    255,
    258,
    259,
    262,
    263,
    1024,
    1025,
]
for n in small:
    recipes[f"text-{n}"] = [["text", n, n]]
    recipes[f"noise-{n}"] = [["noise", n, n, 256]]
    recipes[f"zeros-{n}"] = [["fill", 0, n]]
    recipes[f"few-{n}"] = [["noise", n, n, 3]]
edges = [WINDOW, BLOCK, 65275, 65275 + WINDOW, 2 * WINDOW, 3 * WINDOW, 2 * BLOCK, 5 * BLOCK]
for edge in edges:
    for n in (edge - 1, edge, edge + 1, edge + 16, edge + 200):
        recipes[f"text-{n}"] = [["text", edge, n]]
        recipes[f"zeros-{n}"] = [["fill", 0, n]]
        recipes[f"noise-{n}"] = [["noise", 1, 9000, 256], ["cycle", n]]
for values in (2, 4, 16, 64, 200, 256):
    recipes[f"noise-of-{values}"] = [["noise", values, 150000, values]]
# Tokens, not bytes, fill a block of levels 2 to 9.
for n in (16383, 16384, 16385, 32767, 32769):
    recipes[f"literals-{n}"] = [["noise", 7, n, 256]]
    recipes[f"literals-{n}-and-match"] = [["noise", 7, n, 256], ["copy", 300, 40]]
# As far as a match can reach, one less, one more; and near the window's cut.
for distance in (1, 2, 3, 4, 4095, 4096, 4097, WINDOW - 262, WINDOW - 1, WINDOW, WINDOW + 1):
    recipes[f"reach-{distance}"] = [
        ["noise", distance, max(distance, 40000), 256],
        ["copy", distance, 5],
        ["noise", 5, 100, 256],
        ["copy", distance, 4],
        ["noise", 6, 30000, 256],
        ["copy", distance, 700],
        ["noise", 8, 50, 256],
        ["copy", distance, 40000],
    ]
recipes["text"] = [["text", 1, 400000]]
recipes["code"] = [["code", 2, 400000]]
recipes["tar"] = [["tar", 3, 150]]
recipes["packed"] = [["packed", 4, 300000]]
recipes["packed-in-tar"] = [["tar", 5, 20], ["packed", 6, 150000], ["tar", 7, 20]]
recipes["repeats-far"] = [["code", 8, 30000], ["text", 9, 2500], ["copy", 32500, 200000], ["edit", 32700, 200000, 97]]
recipes["repeats-near"] = [["text", 10, 5000], ["edit", 4000, 150000, 31], ["edit", 700, 100000, 11]]
recipes["repeats-just-too-far"] = [["packed", 11, 33000], ["edit", 33000, 150000, 5000]]
recipes["zeros-and-noise"] = [
    ["fill", 0, 100000],
    ["noise", 12, 70000, 256],
    ["fill", 255, 100000],
    ["noise", 13, 10, 256],
]
recipes["zeros-4m"] = [["fill", 0, 4500000]]
recipes["mixed-2m"] = [
    ["tar", 14, 30],
    ["code", 15, 200000],
    ["packed", 16, 100000],
    ["text", 17, 150000],
    ["fill", 32, 60000],
    ["edit", 20000, 100000, 50],
    ["cycle", 2000003],
]
recipes["cycle-65535"] = [["packed", 18, 65535], ["cycle", 400000]]
recipes["cycle-65536"] = [["packed", 19, 65536], ["cycle", 400000]]
recipes["cycle-9001"] = [["code", 20, 9001], ["cycle", 700001]]

# Each of these notices a decision of go1.27 that nothing above depends on; found by changing
# the encoder and looking for an input whose output changes with it.
recipes["history-left-32766"] = [["text", 783, 622581]]
recipes["history-left-32767"] = [
    ["noise", 764, 195, 17],
    ["code", 24, 65535],
    ["noise", 176, 70, 256],
    ["text", 138, 556782],
]
recipes["reach-of-the-older"] = [
    ["code", 921, 2800],
    ["text", 623, 2585],
    ["text", 723, 65535],
    ["text", 200, 2323],
    ["edit", 32767, 65535, 186],
    ["noise", 520, 119471, 256],
]
recipes["entered-at-the-end"] = [
    ["code", 446, 65535],
    ["fill", 164, 65535],
    ["noise", 388, 1123, 200],
    ["fill", 198, 72966],
]
recipes["flat-1026"] = [["fill", 173, 65535], ["noise", 540, 1026, 256]]
recipes["nearly-flat"] = [["noise", 253, 26245, 256], ["noise", 531, 40316, 180]]
recipes["rest-of-33"] = [["fill", 169, 2805], ["fill", 246, 62763]]
recipes["matchless"] = [["text", 714, 1957], ["noise", 832, 65535, 252], ["noise", 221, 156360, 256]]
recipes["guessed-header"] = [["noise", 852, 105, 8]]

# pgzip: the sizes of blocks, of pieces, of what a whole piece leaves for its last block (4 and 16 bytes), and the rests
# that are stored or coded without matches, at the end of a block and of a piece.
PIECES = (1 << 18, 1 << 20)
pieces: dict[str, list[list[str | int]]] = {"empty": []}
for n in (1, 2, 12, 13, 15, 16, 17, 31, 32, 33, 34, 126, 127, 128, 129, 250, 1024, 1025):
    pieces[f"text-{n}"] = [["text", n, n]]
    pieces[f"noise-{n}"] = [["noise", n, n, 256]]
    pieces[f"few-{n}"] = [["noise", n, n, 3]]
for n in (BLOCK - 16, BLOCK - 1, BLOCK, *(BLOCK + rest for rest in (1, 16, 32, 33, 127, 128)), 2 * BLOCK, 5 * BLOCK):
    pieces[f"text-{n}"] = [["text", n, n]]
    pieces[f"code-{n}"] = [["code", n, n]]
    pieces[f"noise-{n}"] = [["noise", 1, 9000, 256], ["cycle", n]]
for edge in PIECES:
    for rest in (-17, -16, -15, -1, 0, 1, 4, 15, 16, 17, 32, 33, 127, 128, BLOCK, BLOCK + 16):
        n = edge + rest
        pieces[f"edited-{n}"] = [["text", 1, 20000], ["code", 2, 12000], ["edit", 31000, n - 32000, 61]]
    for rest in (-1, 0, 1, 16, 128):
        n = edge + rest
        pieces[f"noise-{n}"] = [["noise", 2, 32000, 256], ["cycle", n]]
        pieces[f"zeros-{n}"] = [["fill", 0, n]]
# Across the end of a piece: matches as far as its dictionary reaches, and further.
for distance in (1, 16383, 16384, 16385, 32767, 32768):
    pieces[f"reach-{distance}"] = [
        ["packed", 3, 30000],
        ["text", 4, 10000],
        ["edit", 39000, (1 << 20) - 40000 - 50, 3001],
        ["copy", distance, 300],
        ["noise", 5, 100, 256],
        ["copy", distance, 40000],
    ]
pieces["tar"] = [["tar", 3, 500]]
pieces["code"] = [["code", 2, 1200000]]
pieces["packed"] = [["packed", 4, 300000]]
pieces["repeats-far"] = [["code", 8, 30000], ["text", 9, 2500], ["copy", 32500, 200000], ["edit", 32700, 1500000, 97]]
pieces["repeats-near"] = [["text", 10, 5000], ["edit", 4000, 150000, 31], ["edit", 700, 1200000, 11]]
pieces["zeros-3m"] = [["fill", 0, 3 << 20]]
for name in ("mixed-2m", "zeros-and-noise", "packed-in-tar", "cycle-65536", "nearly-flat", "flat-1026", "rest-of-33"):
    pieces[name] = recipes[name]
for name in ("matchless", "guessed-header", "entered-at-the-end", "reach-of-the-older", "history-left-32767"):
    pieces[name] = recipes[name]

# zlib, GNU gzip, busybox and pigz: where the window moves (65,274 and every 32 KiB from there), the last matches of an
# input, blocks by tokens (8,191, 16,383 and 32,767), and pigz's blocks of 128 KiB.
classic: dict[str, list[list[str | int]]] = {"empty": []}
for n in (1, 2, 3, 4, 5, 258, 259, 262, 263, 4095, 4096, 4097):
    classic[f"text-{n}"] = [["text", n, n]]
    classic[f"noise-{n}"] = [["noise", n, n, 256]]
    classic[f"few-{n}"] = [["noise", n, n, 3]]
for edge in (32768, 65274, 65536, 98304, 131072, 163840, 262144, 393216, 1 << 20):
    for n in (edge - 16, edge - 1, edge, edge + 1, edge + 2, edge + 16):
        classic[f"edited-{n}"] = [["text", 1, 9000], ["code", 2, 8000], ["edit", 15000, n - 17000, 61]]
    for n in (edge - 1, edge, edge + 1):
        classic[f"noise-{n}"] = [["noise", 2, 30000, 256], ["cycle", n]]
        classic[f"zeros-{n}"] = [["fill", 0, n]]
# A string at 65,274 that was 32,506 bytes before, the largest distance; its hash occurs nowhere else.
for n in (65300, 65400, 65535, 65536, 65537, 80000):
    classic[f"window-{n}"] = [
        ["noise", 1, 32768, 16],
        ["fill", 16, 12],
        ["noise", 2, 32494, 16],
        ["copy", 32506, 12],
        ["noise", 3, n - 65286, 16],
    ]
# A match across the end of what is known, by which the longest of several is chosen.
for n in (65100, 65400, 98000, 130900, 131000):
    classic[f"end-{n}"] = [["text", 4, 3000], ["edit", 2900, n - 3300, 40], ["copy", 2000, 150], ["copy", 151, 150]]
for values in (2, 4, 16, 64, 200, 256):
    classic[f"noise-of-{values}"] = [["noise", values, 200000, values]]
for distance in (1, 2, 3, 4095, 4096, 4097, 32505, 32506, 32507, 32768):
    classic[f"reach-{distance}"] = [
        *recipes["reach-4"][:-1],
        ["edit", max(300, distance), 60000, 997],
        ["copy", distance, 3],
        ["noise", 9, 40, 256],
        ["copy", distance, 9000],
    ]
# Sums of 4096 bytes that are a multiple of 4096 always, often, or never.
for value in (1, 16, 255):
    classic[f"fill-{value}"] = [["fill", value, 150001]]
classic["sums-often"] = [["noise", 3, 2048, 2], ["cycle", 9000], ["edit", 4096, 90000, 17], ["edit", 2048, 60000, 5]]
classic["sums-of-few"] = [["noise", 4, 4096, 2], ["cycle", 120000], ["noise", 5, 90000, 2]]
for name in ("text", "code", "tar", "packed", "packed-in-tar", "repeats-far", "repeats-near", "repeats-just-too-far"):
    classic[name] = recipes[name]
for name in ("zeros-and-noise", "mixed-2m", "cycle-65536", "cycle-9001", "nearly-flat", "matchless"):
    classic[name] = recipes[name]

files = {"inputs.json": recipes, "inputs-pgzip.json": pieces, "inputs-zlib.json": classic}
for file, some in files.items():
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(recipe)}" for name, recipe in some.items())
    Path(__file__).with_name(file).write_text("{\n" + lines + "\n}\n")
