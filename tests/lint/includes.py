#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The arrows between the layers (docs/adr/0001). Include paths alone cannot keep them: the
distribution's headers are in /usr/include, which every file sees."""

import os
import re
import tempfile

import lintlib

LIBC = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal
stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings time""".split())
# What the core may use of the C library: nothing that does I/O, takes time or allocates. Atomics only for
# the one flag of a flight that a lane reads (is_recalled); symbols.py keeps locks out.
PURE = {f"{n}.h" for n in """inttypes limits stdalign stdarg stdatomic stdbool stddef stdint string
stdnoreturn""".split()}
HEADER = PURE | {"stdio.h"}
POSIX = {f"{n}.h" for n in LIBC} | {f"{n}.h" for n in """dirent dlfcn elf execinfo fcntl fnmatch getopt
glob grp ifaddrs libgen link malloc netdb poll pthread pwd regex sched semaphore spawn sysexits syslog
termios ucontext unistd unwind wchar wordexp byteswap endian pty""".split()}
POSIX_DIRS = ("sanitizer/", "sys/", "netinet/", "arpa/", "net/", "linux/", "asm/")

# Foreign library -> the files that may include it.
FOREIGN = {
    r"msgpack(\.h|/)": r"bus/wire/",
    r"librdkafka/": r"bus/transport/kafka[a-z_]*\.[ch]$",
    r"nats(\.h$|/)": r"bus/transport/nats[a-z_]*\.[ch]$",
    r"urcu": r"bus/(base|run)/",
    r"sodium": r"bus/(wire|run)/|bus/transport/nats[a-z_]*\.[ch]$",
    r"xxhash\.h$": r"bus/(base|run)/",
    r"microhttpd\.h$": r"bus/observe/",
    r"yaml\.h$": r"bus/(cli|run)/",
    r"curl/": r"bus/cli/",
    r"cmocka\.h$": r"tests/support/test\.h$",
}

# Layer -> the layers whose headers it may include. "transport.h" is that one header of transport.
ARROWS = {
    "base": {"base"},
    "wire": {"wire", "base"},
    "core": {"core", "base", "wire"},
    "transport": {"transport", "base"},
    "observe": {"observe", "base"},
    "run": {"run", "core", "base", "wire", "transport.h", "observe"},
    "cli": {"cli", "run", "base", "wire", "transport.h", "observe"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def owner(path):
    parts = path.split("/")
    if parts[0] == "bus" and len(parts) > 2:
        return "public" if parts[1] == "include" else parts[1]
    if parts[0] == "handlers" and len(parts) > 2:
        return "sdk" if parts[1] == "sdk" else "handler"
    return "tests" if parts[0] in ("tests", "handlers") else None


def layer_of(name, path, layer, root):
    """Which layer a quoted include means, or an error text."""
    first = name.split("/")[0]
    if "/" in name and first in ARROWS:
        return first, None
    if os.path.exists(os.path.join(root, os.path.dirname(path), name)):
        return layer, None
    homes = [l for l in ARROWS if os.path.exists(os.path.join(root, "bus", l, name))]
    if len(homes) > 1:
        return None, f'"{name}" is in {" and ".join(homes)}: say which, "{homes[0]}/{name}"'
    if not homes:
        return None, None if name.startswith("gen/") else f'"{name}" is in no layer'
    return homes[0], None


def judge_angle(name, path, layer):
    if name.startswith("dray/"):
        return None
    for pattern, where in FOREIGN.items():
        if re.match(pattern, name):
            allowed = re.match(where, path) or layer == "handler" and "cmocka" not in name \
                or layer == "tests" and "cmocka" not in name
            return None if allowed else f"<{name}> is allowed only in {where}"
    if layer == "core":
        return None if name in PURE else f"<{name}>: the core does no I/O, time, threads or allocation"
    if layer in ("public", "sdk") and path.endswith(".h"):
        return None if name in HEADER else f"<{name}>: public headers are plain declarations"
    if layer in ("handler", "tests") or name in POSIX or name.startswith(POSIX_DIRS):
        return None
    return f"<{name}> is unknown: give it a line in tests/lint/includes.py"


def judge_quote(name, path, layer, root):
    if layer == "tests" or layer == "handler":
        return None
    if layer in ("public", "sdk"):
        local = os.path.exists(os.path.join(root, os.path.dirname(path), name))
        return None if layer == "sdk" and local else f'"{name}": only <dray/...> here'
    target, error = layer_of(name, path, layer, root)
    if error or target is None:
        return error
    allowed = ARROWS[layer]
    if target in allowed or target == "transport" and "transport.h" in allowed \
            and os.path.basename(name) == "transport.h":
        return None
    return f'"{name}" is of {target}, and {layer} may include only {" ".join(sorted(allowed))}'


def check(root):
    faults, paths = [], lintlib.files(".c", ".h", root=root, folders=("bus", "handlers", "tests"))
    for path in paths:
        layer = owner(path)
        text = lintlib.strip(lintlib.read(path, root), strings=False)
        if layer not in ARROWS and layer not in ("public", "sdk", "handler", "tests"):
            faults.append(f"{path}:1: is in no layer")
            continue
        for match in INCLUDE.finditer(text):
            kind, name = match.groups()
            fault = judge_angle(name, path, layer) if kind == "<" else judge_quote(name, path, layer, root)
            if fault:
                faults.append(f"{path}:{text.count(chr(10), 0, match.start(1)) + 1}: {fault}")
    return faults, len(paths)


def self_test():
    cases = []

    def case(what, tree, pattern):
        with tempfile.TemporaryDirectory() as root:
            for path, text in tree.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            cases.append((what, check(root)[0], pattern))

    case("clean", {"bus/core/a.c": '#include <stdint.h>\n#include <dray/api.h>\n#include "b.h"\n',
                   "bus/base/b.h": ""}, None)
    case("clean run", {"bus/run/a.c": '#include "transport.h"\n#include <pthread.h>\n',
                       "bus/transport/transport.h": ""}, None)
    case("broker in core", {"bus/core/a.c": "\n#include <librdkafka/rdkafka.h>\n"}, r"a\.c:2: .*kafka")
    case("clock in core", {"bus/core/a.c": "#include <time.h>\n"}, "no I/O")
    case("kafka in nats.c", {"bus/transport/nats.c": "#include <librdkafka/rdkafka.h>\n"}, "only in")
    case("base looks up", {"bus/base/a.c": '#include "core/c.h"\n', "bus/core/c.h": ""}, "is of core")
    case("core sees transport", {"bus/core/a.c": '#include "transport.h"\n',
                                 "bus/transport/transport.h": ""}, "is of transport")
    case("run sees kafka.h", {"bus/run/a.c": '#include "kafka.h"\n', "bus/transport/kafka.h": ""},
         "is of transport")
    case("two homes", {"bus/cli/a.c": '#include "x.h"\n', "bus/run/x.h": "", "bus/wire/x.h": ""}, "say which")
    case("msgpack in run", {"bus/run/a.c": "#include <msgpack.h>\n"}, "only in")
    case("internal from public", {"bus/include/dray/a.h": '#include "mem.h"\n'}, "only <dray")
    case("sdk sees bus", {"handlers/sdk/a.c": '#include "base/mem.h"\n'}, "only <dray")
    case("cmocka direct", {"tests/unit/a.c": "#include <cmocka.h>\n"}, "only in")
    case("commented out", {"bus/core/a.c": "/* #include <time.h> */\n"}, None)
    case("unknown", {"bus/run/a.c": "#include <event.h>\n"}, "unknown")
    return lintlib.expect("includes", cases)


lintlib.main("includes", check, self_test)
