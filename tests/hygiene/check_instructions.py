"""Checks that only the kernels' own objects use instructions that an x86-64 CPU may lack.

check_instructions.py OBJDUMP OBJECT...
"""

import pathlib
import re
import subprocess
import sys

OBJDUMP, *OBJECTS = sys.argv[1:]

WIDE = re.compile(r".*_avx(2|2_vnni|512)\.")  # such objects run only where the CPU has what they need

# AVX and what came after it is encoded with VEX or EVEX: mnemonics in v, and registers ymm, zmm, k.
NEEDS_AVX = re.compile(r"\t(v(?!err|erw)[a-z0-9]+\b|.*%(ymm|zmm|k)[0-7])")


def offence(path):
    """The first instruction of `path` that needs AVX."""
    listing = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", path], check=True, text=True,
                             capture_output=True).stdout
    return next((line.strip() for line in listing.splitlines() if NEEDS_AVX.search(line)), None)


def main():
    wide = [path for path in OBJECTS if WIDE.match(pathlib.Path(path).name)]
    baseline = [path for path in OBJECTS if path not in wide]
    if len(wide) < 2:
        sys.exit(f"expected at least the kernels for AVX2 and AVX-512, found {wide}")
    found = [f"{path}: {line}" for path in baseline if (line := offence(path))]
    found += [f"{path} uses no AVX: this check sees nothing" for path in wide if not offence(path)]
    print(f"{len(baseline)} objects, {len(found)} complaints")
    sys.exit("\n".join(found) or None)


main()
