#!/bin/sh
# The functions that libmixtral.so exports, those that exports.map lists and those that mixtral.h declares
# are the same. Usage: check_exports.sh LIBRARY SOURCE_DIR
set -eu
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$folder/found"
grep -o 'mixtral_[a-z_]*;' "$2/capi/exports.map" | tr -d ';' | sort > "$folder/listed"
sed -n 's/^MIXTRAL_\(API\|STATUS\) .*\(mixtral_[a-z_]*\)(.*/\2/p' "$2/capi/include/mixtral.h" |
  sort > "$folder/declared"
test "$(wc -l < "$folder/found")" -gt 10
diff "$folder/listed" "$folder/found"
diff "$folder/declared" "$folder/found"
