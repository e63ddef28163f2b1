#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# Every C file is as clang-format 14 would write it.
# usage: format.sh [--fix | --self-test]
set -euo pipefail
cd "$(dirname "$0")/../.."
format=${CLANG_FORMAT:-clang-format-14}

if [[ ${1-} == --self-test ]]; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    cp .clang-format "$dir"
    printf 'int f(void)\n{\n    return 1;\n}\n' >"$dir/good.c"
    printf 'int f(void) {\n  return 1; }\n' >"$dir/bad.c"
    "$format" --dry-run -Werror "$dir/good.c" || { echo "format self-test: refused a good file"; exit 1; }
    if "$format" --dry-run -Werror "$dir/bad.c" 2>/dev/null; then
        echo "format self-test: let a bad file pass"
        exit 1
    fi
    echo "format self-test: 2 cases, 0 wrong"
    exit 0
fi

mapfile -t files < <(find bus handlers tests -name '*.[ch]' -not -path '*/build/*' | sort)
if [[ ${#files[@]} -eq 0 ]]; then
    echo "format: met no file at all; is it looking in the right place?"
    exit 1
fi
if [[ ${1-} == --fix ]]; then
    exec "$format" -i "${files[@]}"
fi
if out=$("$format" --dry-run -Werror "${files[@]}" 2>&1); then
    echo "format: ${#files[@]} files, 0 faults"
    exit 0
fi
# One line a file; clang-format says one line a hunk.
grep 'error:' <<<"$out" | sort -u -t: -k1,1
echo "format: ${#files[@]} files; tests/lint/format.sh --fix mends those above"
exit 1
