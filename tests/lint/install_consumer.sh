#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# Installs into a temporary folder, moves that folder, and builds a module against it as a stranger
# would: once with find_package, once with pkg-config.
# usage: install_consumer.sh BUILD_DIR C_COMPILER
set -euo pipefail
build=$1 cc=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cmake --install "$build" --prefix "$dir/before" >"$dir/install.log" || { cat "$dir/install.log"; exit 1; }
# A moved tree finds a prefix that somebody wrote down.
mv "$dir/before" "$dir/after"
archive=$(find "$dir/after" -name libdray.a)
[[ -n $archive ]] || { echo "libdray.a was not installed"; exit 1; }

mkdir "$dir/src"
cat >"$dir/src/module.c" <<'END'
#include <dray/handler.h>

static enum dray_error_kind hello(struct dray_call *call)
{
    return dray_call_is_cancelled(call) ? DRAY_KIND_TIMEOUT : DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "hello.say", .version = "1.0.0", .signature = "", .name = "hello", .fn = hello},
};

DRAY_MODULE = {
    .abi = DRAY_ABI_VERSION,
    .bytes = sizeof(struct dray_module),
    .name = "hello",
    .handlers = handlers,
    .handlers_count = 1,
};
END
# Something out of the archive, whatever it holds first.
symbol=$(nm -g --defined-only "$archive" 2>/dev/null | awk '$2 == "T" && $3 ~ /^dray_/ {print $3; exit}')
[[ -n $symbol ]] || { echo "libdray.a exports no dray_ function"; exit 1; }
cat >"$dir/src/uses.c" <<END
extern void $symbol(void);
void (*hello_uses(void))(void);
void (*hello_uses(void))(void) { return $symbol; }
END

cat >"$dir/src/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(hello LANGUAGES C)
find_package(dray 0.1 REQUIRED)
add_library(hello MODULE module.c uses.c)
set_target_properties(hello PROPERTIES PREFIX "")
target_link_libraries(hello PRIVATE dray::dray)
target_link_options(hello PRIVATE -Wl,-z,defs)
END
cmake -S "$dir/src" -B "$dir/cmake" -G Ninja -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$dir/after" >"$dir/log" 2>&1 &&
    cmake --build "$dir/cmake" >>"$dir/log" 2>&1 || { cat "$dir/log"; echo "find_package: failed"; exit 1; }

pc=$(dirname "$(find "$dir/after" -name dray.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs dray)
# shellcheck disable=SC2086 # several words
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -Wl,-z,defs -o "$dir/pc.so" \
    "$dir/src/module.c" "$dir/src/uses.c" $flags || { echo "pkg-config: failed ($flags)"; exit 1; }

for module in "$dir/cmake/hello.so" "$dir/pc.so"; do
    nm -D --defined-only "$module" | grep -q ' dray_module$' ||
        { echo "$(basename "$module") does not export dray_module"; exit 1; }
done
echo "install_consumer: both ways work, with $symbol from the archive"
