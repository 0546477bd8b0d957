#!/bin/sh
# link_two_units.sh INCLUDE_DIR COMPILER...: two sources that include every header link to one program,
# without the library: no header defines what may be defined only once.
set -eu
include_dir=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$include_dir"
find mixtral -name '*.hpp' | sort | sed 's/.*/#include "&"/' > "$folder/first.cpp"
cp "$folder/first.cpp" "$folder/second.cpp"
echo 'int main() {}' >> "$folder/second.cpp"
"$@" "-I$include_dir" "$folder/first.cpp" "$folder/second.cpp" -o "$folder/program"
"$folder/program"
