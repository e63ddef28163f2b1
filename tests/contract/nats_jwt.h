/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TEST_NATS_JWT_H
#define DRAY_TEST_NATS_JWT_H

#include <stddef.h>

/* nats_jwt.h - what nk and nsc make: NKeys, and an operator with one account and one user. */

struct nats_nkey {
    char seed[64];
    char key[64];
    unsigned char secret[64];
};

/** kind: 'U' user, 'A' account, 'O' operator. */
void nats_nkey_make(struct nats_nkey *nkey, char kind);

/** A line for the server's configuration (operator mode, JetStream for the account), and the text
 * of the user's creds file. */
void nats_operator_make(char *ret_config, size_t config_bytes, char *ret_creds, size_t creds_bytes);

#endif
