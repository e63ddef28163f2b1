/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_WEBHOOK_ALLOW_H
#define DRAY_WEBHOOK_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <dray/status.h>

/* allow.h - where a webhook may go: nowhere, but for what the operator lists.
 *
 * The list is of two kinds of entries, with commas between them:
 *   hooks.example.com      a host, on port 80 and 443; *.example.com: every host below it
 *   hooks.example.com:8443 a host on one port; 127.0.0.1:8080 and [::1]:8080 as well
 *   10.1.0.0/16            a network that is not public, and that names may resolve into
 * The host of a URL must be listed. The address that it resolves to must be public, or in a listed
 * network, or be itself the listed host. The second check is made on the very address that is
 * connected to, so that a name which resolves differently the next time gains nothing.
 *
 * Life: create -> checks -> destroy; immutable in between. Threads: any.
 */

struct allow;

/** Errors: EINVALID (*ret_entry: which entry, borrows from list), ENOMEM. */
enum dray_status allow_create(const char *list, struct allow **ret_allow, const char **ret_entry);
void allow_destroy(struct allow *allow);

/** Whether a URL's host (without brackets) and port are listed. */
bool allow_host(const struct allow *allow, const char *host, uint16_t port);

/** Whether a URL with this host may be connected to at this address. */
bool allow_address(const struct allow *allow, const char *host, const struct sockaddr *address);

#endif
