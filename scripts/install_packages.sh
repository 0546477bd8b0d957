#!/bin/sh
# install_packages.sh build|test|bench...: installs those of the Debian packages that are missing, as root or
# through sudo. Where there is no apt, it says which packages to look for and goes on.
set -eu

build="g++ cmake ninja-build pkg-config nlohmann-json3-dev libxsimd-dev libsentencepiece-dev
  libxxhash-dev libdnnl-dev libopenblas-dev libeigen3-dev libcli11-dev libedit-dev
  libcpp-httplib-dev libsnappy-dev libzstd-dev zlib1g-dev libutf8proc-dev"
test="catch2 clang libclang-rt-14-dev python3 python3-venv ca-certificates"
bench="libbenchmark-dev"

wanted=
for group in "$@"; do
  case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    bench) wanted="$wanted $bench" ;;
    *) echo "unknown group of packages: $group" >&2 && exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null; then
  echo "This is not Debian. Please install what these Debian 12 packages hold:" $wanted >&2
  exit 0
fi

missing=
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Neither root nor sudo. Please install:$missing" >&2
    exit 1
  fi
  as_root=sudo
fi
# Without a network the packages may still be in apt's cache.
$as_root apt-get update || echo "apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
