"""Writes golden vectors of a program that compresses standard input to gzip on standard output (README.md).

    python make_tool_vectors.py "pigz 2.6" 1-9 pigz -{level}n -p2 > pigz.txt

The arguments are a title, the levels, and the command. The inputs are those of inputs-zlib.json, passed
as a file. Sizes and sums are those of the body, without gzip header and trailer.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).parent
#: No program here writes a name when it compresses standard input.
HEADER = 10
TRAILER = 8


def main() -> None:
    sys.path.insert(0, str(HERE.parent))
    import recipes

    title, levels, *command = sys.argv[1:]
    first, _, last = levels.partition("-")
    lines = [f"# {title}: input, its sha256, then level, size and sha256 of each output"]
    for name, recipe in json.loads((HERE / "inputs-zlib.json").read_bytes()).items():
        data = recipes.make(recipe)
        lines.append(f"{name} {hashlib.sha256(data).hexdigest()}")
        for level in range(int(first), int(last or first) + 1):
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                call = [word.replace("{level}", str(level)) for word in command]
                made = subprocess.run(call, stdin=file, capture_output=True, check=True).stdout
            assert zlib.decompress(made, 31) == data, (name, level)
            body = made[HEADER:-TRAILER]
            lines.append(f"{level} {len(body)} {hashlib.sha256(body).hexdigest()}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
