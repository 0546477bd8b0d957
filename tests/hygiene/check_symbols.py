"""Checks what the library's own objects refer to and export to each other.

check_symbols.py NM CXXFILT OBJECT...
"""

import pathlib
import re
import subprocess
import sys

NM, CXXFILT, *OBJECTS = sys.argv[1:]

# A library has no business ending its host or writing to its streams. std::terminate is absent from
# the list: the compiler calls it where an exception would leave a noexcept function.
FORBIDDEN = re.compile(
    r"(abort|_?exit|_Exit|quick_exit|raise|kill|__assert_fail"
    r"|v?printf|__v?printf_chk|puts|putchar|perror|psignal|stdout|stderr|v?syslog"
    r"|std::(w?cout|w?cerr|w?clog)|std::ios_base::Init::.*)")

# Objects built for more than the oldest CPU, and what a symbol's name must hold so that the linker
# never takes it for one that other code calls.
ARCH_OF = {"avx2": re.compile(r"\b(Avx2|avx2)\b"),
           "vnni": re.compile(r"\bAvx2Vnni\b"),
           "avx512": re.compile(r"\b(Avx512|avx512\w*)\b")}


# Pointers that the compiler emits for its exception tables, and the formats' constant tables.
NO_CODE = re.compile(r"^DW\.ref\.|::kFields$")


def symbols(path):
    """(type letter, demangled name) of each symbol."""
    table = subprocess.run([NM, "--format=posix", path], check=True, text=True, capture_output=True)
    names = subprocess.run([CXXFILT], input=table.stdout, check=True, text=True, capture_output=True)
    for line in names.stdout.splitlines():
        # The demangled name may hold blanks: "name T value size", "name U".
        match = re.fullmatch(r"(.+) ([A-Za-z])(?: [0-9a-f]+)* *", line)
        if match:
            yield match[2], match[1]


def complaints(path):
    arch = ARCH_OF.get(pathlib.Path(path).name.split(".")[0].split("_")[-1])
    for kind, name in symbols(path):
        if kind == "U" and FORBIDDEN.fullmatch(re.sub(r"@.*", "", name)):
            yield f"{path} refers to {name}"
        if arch and kind in "WVu" and not arch.search(name) and not NO_CODE.search(name):
            yield f"{path} exports the shared symbol {name}, which names no instruction set"


def main():
    if not OBJECTS:
        sys.exit("no objects")
    found = [complaint for path in OBJECTS for complaint in complaints(path)]
    print(f"{len(OBJECTS)} objects, {len(found)} complaints")
    sys.exit("\n".join(found) or None)


main()
