"""Compiles every public C++ header alone, and checks which files each one reads.

A header may read our headers and what the standard library consists of; those in simd/, quant/ and kernels/
may read xsimd too.

check_headers.py INCLUDE_DIR COMPILER...
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

INCLUDE_DIR = pathlib.Path(sys.argv[1]).resolve()
COMPILE = [*sys.argv[2:], "-x", "c++", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE_DIR}"]
# <immintrin.h> comes with the compiler; simd/ and xsimd use it.
STANDARD = "#include <bits/stdc++.h>\n#include <immintrin.h>\n"
MAY_READ_XSIMD = ("simd/", "quant/", "kernels/")


def files_read(source):
    """Compiles `source`; returns the real paths of all files that it includes."""
    run = subprocess.run([*COMPILE, "-fsyntax-only", "-H", "-"], input=source, text=True,
                         capture_output=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr)
    return {os.path.realpath(path) for path in re.findall(r"^\.+ (.*)$", run.stderr, re.MULTILINE)}


def complaint(header, standard):
    try:
        files = files_read(f'#include "mixtral/{header}"\n')
    except RuntimeError as error:
        return f"{header} does not compile alone:\n{error}"
    foreign = {file for file in files - standard if not file.startswith(f"{INCLUDE_DIR}/mixtral/")}
    if header.startswith(MAY_READ_XSIMD):
        foreign = {file for file in foreign if "/xsimd/" not in file}
    return f"{header} includes {sorted(foreign)}" if foreign else None


def main():
    headers = sorted(str(path.relative_to(INCLUDE_DIR / "mixtral"))
                     for path in INCLUDE_DIR.glob("mixtral/**/*.hpp"))
    if not headers:
        sys.exit(f"no headers in {INCLUDE_DIR}")
    standard = files_read(STANDARD)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = list(filter(None, pool.map(lambda header: complaint(header, standard), headers)))
    print(f"{len(headers)} headers, {len(complaints)} complaints")
    sys.exit("\n".join(complaints) or None)


main()
