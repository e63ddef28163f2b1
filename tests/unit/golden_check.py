#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Holds our wire formats against Python's msgpack, both ways.

Each golden/<name>.json says what golden/<name>.msgpack holds ({"$bin": base64} for bytes, {"$golden":
name} for the bytes of another sample; letters and park records are golden/<name>.headers). Checked for each:
  - Python unpacks the committed bytes to the described value;
  - what Python packs from the description, our decoder takes, and our encoder makes the committed
    bytes of it; so our decoder reads Python, and our encoder writes what Python reads;
  - our JSON of Python's bytes is the description.

usage: golden_check.py WIRE_TOOL [--write]    (--write makes the committed bytes anew)
"""
import base64
import json
import pathlib
import struct
import subprocess
import sys

try:
    import msgpack
except ImportError:
    print("skipped: Python's msgpack is not installed")
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
FORMATS = {
    "envelope": "envelope", "envelope_small": "envelope", "envelope_fid": "envelope",
    "result_ok": "result", "result_error": "result", "result_window": "result", "change": "change", "route": "route",
    "route_retry": "route", "status": "status", "control": "control", "control_unsigned": "control",
}
HEADERS = ("letter", "park")
tool = sys.argv[1]
is_write = "--write" in sys.argv[2:]
failures = []


def run(arguments, data):
    done = subprocess.run([tool] + arguments, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        return ("refused: " + done.stderr.decode()).encode()
    return done.stdout


def expect(name, what, got, want):
    if got != want:
        failures.append(f"{name}: {what}\n  got   {got!r}\n  wants {want!r}")


def from_json(value):
    if isinstance(value, dict):
        if list(value) == ["$bin"]:
            return base64.b64decode(value["$bin"])
        if list(value) == ["$golden"]:
            return (GOLDEN / (value["$golden"] + ".msgpack")).read_bytes()
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


def headers_pack(headers):
    out = b""
    for name, value in headers:
        name = name.encode()
        out += struct.pack("<H", len(name)) + name
        out += struct.pack("<I", 0xFFFFFFFF) if value is None else (
            struct.pack("<I", len(value.encode())) + value.encode())
    return out


def headers_unpack(data):
    headers, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<H", data, at)
        name = data[at + 2:at + 2 + size].decode()
        at += 2 + size
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        if size == 0xFFFFFFFF:
            headers.append([name, None])
        else:
            headers.append([name, data[at:at + size].decode()])
            at += size
    return headers


def check(name, form):
    described = from_json(json.loads((GOLDEN / f"{name}.json").read_text()))
    path = GOLDEN / f"{name}.msgpack"
    packed = msgpack.packb(described, use_bin_type=True)
    ours = run(["recode", form], packed)
    if is_write:
        path.write_bytes(ours)
    golden = path.read_bytes()
    expect(name, "our encoding of what Python packed", ours, golden)
    expect(name, "our encoding of our own bytes", run(["recode", form], golden), golden)
    # routes stand in changes as their bytes, unknown keys and all
    expect(name, "Python's reading of our bytes",
           msgpack.unpackb(golden, raw=False, strict_map_key=True), described)
    text = run(["json"], packed)
    expect(name, "our JSON of Python's bytes", from_json(json.loads(text)), described)
    expect(name, "our bytes of our JSON", run(["msgpack"], text), packed)


def check_headers(name):
    described = json.loads((GOLDEN / f"{name}.json").read_text())
    path = GOLDEN / f"{name}.headers"
    original = GOLDEN / f"{name}_original.headers"
    first = headers_pack(described["headers"])
    ours = run(["recode", name], first)
    if is_write:
        path.write_bytes(ours)
        original.write_bytes(headers_pack(described["original"]))
    golden = path.read_bytes()
    expect(name, "our headers of Python's", ours, golden)
    expect(name, "Python's reading of our headers", headers_unpack(golden), described["headers"])
    expect(name, "the original's headers", original.read_bytes(),
           headers_pack(described["original"]))


for sample, sample_form in FORMATS.items():
    check(sample, sample_form)
for sample in HEADERS:
    check_headers(sample)
for failure in failures:
    print(failure)
print(f"{len(FORMATS) + len(HEADERS)} samples, {len(failures)} differences")
sys.exit(1 if failures else 0)
