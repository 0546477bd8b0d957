#!/usr/bin/env bash
# Installs what the tests need, builds and runs them all. Debian 12, as root or with sudo; on other
# systems it names the packages to install. Where everything is installed it needs no network.
#
# Three builds: with clang and the address and undefined-behaviour sanitizers (and the fuzzers, for a few
# seconds each), with the thread sanitizer, and the release build with every test
# and the micro-benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/build/venv
requirements=(tests/goldens/requirements.txt tests/server/requirements.txt)

# step NAME: tells how far the run is.
step() { printf '\n=== %s (%d s) ===\n' "$1" "$SECONDS"; }

step "packages"
scripts/install_packages.sh build test bench
# The distribution's Python: another one first in the path need not have its packages.
if ! cat "${requirements[@]}" | cmp -s - "$venv/installed.txt"; then
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${requirements[@]/#/-r}"
  cat "${requirements[@]}" >"$venv/installed.txt"
fi

failed=()
# run_tests PRESET [CTEST ARGUMENTS...]: goes on when tests fail, so that one run tells all.
run_tests() {
  ctest --preset "$1" --parallel "$(nproc)" "${@:2}" || failed+=("$1")
}

step "asan-ubsan"
cmake --preset asan-ubsan -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
  -DMIXTRAL_BUILD_FUZZERS=ON -DMIXTRAL_BUILD_CLI=OFF -DMIXTRAL_BUILD_EXAMPLES=OFF
cmake --build --preset asan-ubsan --target all fuzzers
run_tests asan-ubsan

step "tsan"
cmake --preset tsan -DMIXTRAL_BUILD_CLI=OFF -DMIXTRAL_BUILD_EXAMPLES=OFF
cmake --build --preset tsan --target test_thread_pool test_determinism test_generate
run_tests tsan --tests-regex '^(thread_pool|determinism|generate)$'

step "release"
cmake --preset release -DMIXTRAL_BUILD_TESTS=ON -DMIXTRAL_BUILD_EXAMPLES=ON \
  -DMIXTRAL_BUILD_BENCHMARKS=ON -DMIXTRAL_TEST_PYTHON="$venv/bin/python"
cmake --build --preset release
run_tests release

if ((${#failed[@]} > 0)); then
  echo "Failed: ${failed[*]}" >&2
  exit 1
fi
