#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# usage: no_processes.sh [--may-spawn FILE] FILE...      or      no_processes.sh --self-test
# Fails when a binary, module or object of ours asks for what makes a process: librdkafka does not survive
# fork, and a child would hold the sockets of nats.c, which sets CLOEXEC nowhere.
# --may-spawn: this one may call posix_spawn, and nothing else of it. That is the trial of a module
# (docs/adr/0018), which runs nothing before exec and gives the child none of our descriptors; style.py
# keeps it to that file.
set -eu

forbidden='(v?fork|_Fork|system|popen|posix_spawnp?|clone3?|daemon|forkpty|wordexp|exec[lv]p?e?|fexecve|execveat)'

excepted=' no exception '

may_spawn() {
    excepted="$1: "
    if nm -A -u "$1" | grep -E " U $forbidden(@.*)?\$" | grep -vE ' U posix_spawn(@.*)?$' >&2; then
        return 1
    fi
}

check() {
    found=$(nm -A -u "$@" | grep -E " U $forbidden(@.*)?\$" | grep -vF "$excepted") || return 0
    echo "$found" >&2
    return 1
}

if [ "$1" = --self-test ]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    for call in 'fork()' 'vfork()' 'system("true")' 'popen("true", "r")' 'execl("/bin/true", "true", (char *)0)' \
        'posix_spawn(0, "/bin/true", 0, 0, 0, 0)'; do
        printf '#define _GNU_SOURCE\n#include <spawn.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nvoid f(void) { (void)!%s; }\n' \
            "$call" >"$folder/bad.c"
        "${CC:-cc}" -w -c -o "$folder/bad.o" "$folder/bad.c"
        if check "$folder/bad.o" 2>/dev/null; then
            echo "no_processes.sh: does not see $call" >&2
            exit 1
        fi
    done
    may_spawn "$folder/bad.o" # the last one: posix_spawn
    check "$folder/bad.o"
    printf '#include <unistd.h>\nvoid f(void) { (void)!fork(); }\n' >"$folder/fork.c"
    "${CC:-cc}" -w -c -o "$folder/fork.o" "$folder/fork.c"
    if may_spawn "$folder/fork.o" 2>/dev/null; then
        echo "no_processes.sh: takes fork for posix_spawn" >&2
        exit 1
    fi
    printf 'int forks(void); int f(void) { return forks(); }\n' >"$folder/good.c"
    "${CC:-cc}" -c -o "$folder/good.o" "$folder/good.c"
    check "$folder/good.o"
    echo "no_processes.sh finds what it must find"
    exit 0
fi
if [ "$1" = --may-spawn ]; then
    may_spawn "$2"
    shift
fi
check "$@"
