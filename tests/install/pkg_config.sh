#!/bin/sh
# pkg_config.sh SOURCE PROGRAM LIBDIR MODEL PACKAGE COMPILER...: builds SOURCE with the flags that
# pkg-config gives for PACKAGE, and runs it on MODEL.
set -eu
source=$1 program=$2 libdir=$3 model=$4 package=$5
shift 5
export PKG_CONFIG_PATH="$libdir/pkgconfig"
# shellcheck disable=SC2046 # the flags are separate words
"$@" "$source" -o "$program" $(pkg-config --cflags --libs "$package")
LD_LIBRARY_PATH="$libdir" "$program" "$model"
