#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What the core's objects ask of the outside. The core does no I/O, takes no lock, reads no clock and
does not allocate, so its objects must not even name the functions that do.

usage: symbols.py OBJECT...      or      symbols.py --self-test (CC names the compiler)"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import lintlib

FORBIDDEN = re.compile(r"""^(
    malloc | calloc | realloc | reallocarray | free | aligned_alloc | posix_memalign | strdup | strndup
  | pthread_\w+ | mtx_\w+ | cnd_\w+ | thrd_\w+ | sem_\w+ | sched_yield
  | clock | clock_\w+ | time | gettimeofday | timespec_get | localtime\w* | gmtime\w*
  | sleep | usleep | nanosleep
  | rand | rand_r | random | srand | srandom | drand48 | getrandom | getentropy | arc4random\w*
  | read | write | pread | pwrite | readv | writev | open | openat | close | fsync | mmap | poll | select
  | fopen | fread | fwrite | fputs | puts | printf | fprintf | vfprintf | __\w*printf_chk(?<!snprintf_chk)
  | getenv | secure_getenv | setenv | raise | signal | sigaction | fork
  | rd_kafka_\w+ | nats\w+ | js_\w+ | msgpack_\w+ | dri_log\w* | dri_mutex\w* | dri_clock_now\w*
)$""", re.X)


def undefined(obj):
    nm = shutil.which("gcc-nm") or shutil.which("nm")
    text = subprocess.run([nm, "-u", obj], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1].split("@")[0] for line in text.splitlines() if line.strip()]


def check(objects):
    return [f"{os.path.basename(obj)}: asks for {name}" for obj in objects for name in undefined(obj)
            if FORBIDDEN.match(name)]


def self_test():
    compiler = os.environ.get("CC", "cc")
    cases = []
    with tempfile.TemporaryDirectory() as root:
        def case(what, body, pattern):
            source, obj = os.path.join(root, f"{what}.c"), os.path.join(root, f"{what}.o")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#include <stdlib.h>\n#include <stdio.h>\n#include <time.h>\n#include <string.h>\n"
                           "#include <pthread.h>\n#include <unistd.h>\n" + body)
            subprocess.run([compiler, "-c", "-O1", "-o", obj, source], check=True)
            cases.append((what, check([obj]), pattern))

        case("clean", "void f(char *a, const char *b, size_t n) { memcpy(a, b, n); snprintf(a, n, b); }", None)
        case("malloc", "void *f(void) { return malloc(7); }", "malloc")
        case("lock", "int f(pthread_mutex_t *m) { return pthread_mutex_lock(m); }", "pthread_mutex_lock")
        case("clock", "long f(void) { struct timespec t; clock_gettime(0, &t); return t.tv_sec; }", "clock_gettime")
        case("random", "long f(void) { return random(); }", "random")
        case("write", "long f(void) { return write(1, \"\", 0); }", "write")
        case("getenv", "char *f(void) { return getenv(\"A\"); }", "getenv")
    return lintlib.expect("symbols", cases)


if sys.argv[1:] == ["--self-test"]:
    sys.exit(self_test())
sys.exit(lintlib.report("symbols", check(sys.argv[1:]), len(sys.argv) - 1))
