#!/usr/bin/env python3
"""Checks the limits that keep code readable: no function above 60 lines, no
file above 500, no sleep in a test, no TODO without an issue number."""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTION_LINES = 60
FILE_LINES = 500
SLEEP = re.compile(r"sleep_for|SleepFor|\busleep\(|time\.sleep|\bsleep\(")
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")


def sources():
    for folder in ("core", "server", "client", "tests", "deploy"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".cu", ".py", ".proto", ".sh"):
                yield path


def line_findings(path):
    name = path.relative_to(ROOT).as_posix()
    lines = path.read_text().splitlines()
    if len(lines) > FILE_LINES:
        yield f"{name}: {len(lines)} lines, the limit is {FILE_LINES}"
    if name == "tests/lint/check_sizes.py":
        return
    for number, line in enumerate(lines, 1):
        if name.startswith("tests/") and SLEEP.search(line):
            yield f"{name}:{number}: a sleep in a test"
        if TODO.search(line):
            yield f"{name}:{number}: TODO without an issue number, TODO(#n)"


def function_findings(paths):
    cpp = "\n".join(str(p) for p in paths if p.suffix in (".h", ".cc", ".cu"))
    tags = subprocess.run(
        ["ctags", "--languages=C++", "--language-force=C++", "--kinds-C++=f",
         "--fields=+ne", "--output-format=json", "-L", "-", "-f", "-"],
        input=cpp, capture_output=True, text=True, check=True)
    for line in tags.stdout.splitlines():
        tag = json.loads(line)
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length > FUNCTION_LINES:
            name = pathlib.Path(tag["path"]).relative_to(ROOT)
            yield (f"{name}:{tag['line']}: {tag['name']}() has {length} lines,"
                   f" the limit is {FUNCTION_LINES}")


def main():
    paths = list(sources())
    findings = [f for path in paths for f in line_findings(path)]
    findings += function_findings(paths)
    print("\n".join(findings), end="\n" if findings else "")
    print(f"sizes: {len(paths)} files, {len(findings)} findings")
    return 1 if findings or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
