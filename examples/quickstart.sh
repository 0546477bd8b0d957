#!/usr/bin/env bash
# Builds the `mixtral` command and lets the shipped model write. Debian 12, as root or with sudo; on
# other systems it names the packages to install.
#
# quickstart.sh [PROMPT]
set -euo pipefail
cd "$(dirname "$0")/.."
{
  scripts/install_packages.sh build
  cmake --preset release -DMIXTRAL_BUILD_TESTS=OFF -DMIXTRAL_BUILD_EXAMPLES=OFF
  cmake --build --preset release --target mixtral_command
} >&2
prompt=${1:-Once upon a time}
printf '%s' "$prompt"
build/release/bin/mixtral generate examples/models/pocket-mixtral -p "$prompt" -n 200
