#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
#
# usage: nats_forbidden.sh OBJECT...
# Fails when an object calls what corrupts, blocks or forgets in the nats.c of a distribution: fetch
# (heap overflow in 3.4.1), the js_ calls (blocking, or lost by a reconnect), drains (replies lost
# before 3.11), nextMsg (swallows messages whose header says Status: 503), KV watchers, flushes that wait.
forbidden='natsSubscription_(Fetch|FetchRequest|NextMsg|Drain|DrainTimeout)|natsConnection_(Drain|DrainTimeout|Flush|FlushTimeout|Request.*)|js_.*|kv.*|natsMsg_(Ack|Nak|Term|InProgress).*'
found=$(nm -u "$@" | grep -E "^ +U ($forbidden)\$")
if [ -z "$(nm -u "$@" | grep -E ' natsConnection_PublishMsg$')" ]; then
    echo "none of these objects is the NATS transport" >&2
    exit 1
fi
if [ -n "$found" ]; then
    echo "$found" >&2
    exit 1
fi
