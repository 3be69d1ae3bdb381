#!/usr/bin/env python3
"""Checks that each header compiles alone: every .h of the project becomes a
translation unit of its own, compiled with the flags of compile_commands.json.

Usage: check_headers.py BUILD_DIR
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("core", "server", "client", "tests")


def flags_of(build):
    """Compiler, include paths and definitions of some file of the project;
    the union over all files of the include paths."""
    commands = json.loads((build / "compile_commands.json").read_text())
    flags = []
    for command in commands:
        words = iter(shlex.split(command["command"]))
        for word in words:
            if word == "-isystem":
                word = "-isystem" + next(words)
            if word.startswith(("-I", "-isystem")) and word not in flags:
                flags.append(word)
    return flags


def compile_alone(header, flags):
    name = header.relative_to(ROOT).as_posix()
    result = subprocess.run(
        ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", *flags,
         "-DBASIN_ISA=isa_baseline", "-x", "c++", "-"],
        input=f'#include "{name}"\n', capture_output=True, text=True,
        check=False)
    return name, result.returncode, result.stderr


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    flags = flags_of(build)
    headers = [h for f in FOLDERS for h in sorted((ROOT / f).rglob("*.h"))]
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, code, errors in pool.map(
                lambda h: compile_alone(h, flags), headers):
            if code != 0:
                failures += 1
                print(f"{name} does not compile alone:\n{errors}")
    print(f"headers: {len(headers)} compiled alone, {failures} failed")
    return 1 if failures or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
