/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Partitions: each is read by one replica at a time, which has a lease on it.
 *
 * The bucket DRAY_LEASES has one record for each partition and one for each replica. A lease is
 * taken, renewed, noted and given up by writing its record under the condition that the record is
 * still the one that we saw (Nats-Expected-Last-Subject-Sequence), and a write counts when it comes
 * back to us through the log of the bucket: so there is one source of truth, and no acknowledgement
 * of a write can be lost. The log is read by a pull consumer of our own, as every log is; nats.c's
 * KV watchers are not used (leaks and time-outs before 3.13).
 *
 * Time is never compared between machines. The owner counts from when it sent what came back, and
 * stops a tenth before the end; the others count from when they saw the record last change, which
 * was later.
 *
 * Order is kept across owners because each owner makes a consumer of its own, which begins behind
 * the acknowledgement floor of the one before: whatever that had been given and has not settled
 * comes first, in order, before anything newer, and what it still gets is no concern of ours.
 * Waiting for the old consumer's ack wait instead would let newer messages pass. The price is that
 * what was settled above the floor runs again; its results are deduplicated. The name of the
 * consumer has a number, which is the sequence of the lease's record, so that a late
 * acknowledgement of an owner before cannot reach it. (nats-server 2.9 would raise the floor over
 * messages that are out: it believes the consumer sequence in an acknowledgement of a message that
 * it does not know.) Which consumer counts, and a floor that holds when it is gone, stand in the
 * record: consumer made, record written, the old one deleted, in that order, so that a crash
 * between any two of them leaves a consumer too many, which the server forgets after a day.
 *
 * Every replica computes the same shares: the live ones in the order of their names get n / m
 * partitions each, the first n mod m one more. Who has more gives the surplus up: REVOKED, finish,
 * unassign, release. */

#define MARGIN_PARTS  10u /* of the lease that is not used */
#define RENEW_PARTS   3u
#define AGAIN_PARTS   6u /* a write that did not come back is repeated */
#define STEP_MIN_NS   UINT64_C(20000000)
#define STEP_MAX_NS   UINT64_C(500000000)
#define BUCKET        "DRAY_LEASES"
#define STREAM        "KV_" BUCKET
#define EXPECT_NAME   "Nats-Expected-Last-Subject-Sequence"
#define REPLY_BYTES   (64u * 1024u)
#define DUPLICATES_NS UINT64_C(120000000000)
#define MEMBER_GONE   "gone"

/* --- records -------------------------------------------------------------------------------- */

/** The next word of a line, in place; NULL: none. */
static char *next_word(char **rest)
{
    char *word = strsep(rest, " ");
    return word != NULL && word[0] != '\0' ? word : NULL;
}

static bool read_number(char **rest, uint64_t *ret_number)
{
    const char *word = next_word(rest);
    char *end = NULL;
    if (word == NULL || isdigit((unsigned char)word[0]) == 0) {
        return false;
    }
    *ret_number = strtoull(word, &end, 10);
    return *end == '\0';
}

static bool read_word(char **rest, char *ret_text, size_t bytes)
{
    const char *word = next_word(rest);
    if (word == NULL || strlen(word) >= bytes) {
        return false;
    }
    (void)snprintf(ret_text, bytes, "%s", word);
    return true;
}

bool dri_nats_record_parse(struct dray_slice text, struct dri_nats_record *ret_record)
{
    char line[DRI_NATS_RECORD_BYTES], state[8], *rest = line;
    struct dri_nats_record record;
    memset(&record, 0, sizeof(record));
    if (text.len >= sizeof(line)) {
        return false;
    }
    memcpy(line, text.at, text.len);
    line[text.len] = '\0';
    if (!read_word(&rest, state, sizeof(state)) ||
        !read_word(&rest, record.owner, sizeof(record.owner)) ||
        !read_number(&rest, &record.lease_ms) || !read_number(&rest, &record.nonce) ||
        !read_number(&rest, &record.consumer) || !read_number(&rest, &record.floor) ||
        !read_word(&rest, record.created, sizeof(record.created)) || rest != NULL) {
        return false;
    }
    record.is_held = strcmp(state, "held") == 0;
    if (!record.is_held && strcmp(state, "free") != 0) {
        return false;
    }
    *ret_record = record;
    return true;
}

void dri_nats_record_format(const struct dri_nats_record *record,
                            char ret_text[DRI_NATS_RECORD_BYTES])
{
    (void)snprintf(ret_text, DRI_NATS_RECORD_BYTES,
                   "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s",
                   record->is_held ? "held" : "free", record->owner, record->lease_ms,
                   record->nonce, record->consumer, record->floor, record->created);
}

uint32_t dri_nats_lease_share(uint32_t partitions, uint32_t members, uint32_t place)
{
    return partitions / members + (place < partitions % members ? 1 : 0);
}

static uint64_t lease_ns(const struct dri_nats *self)
{
    return self->settings.lease_ms * UINT64_C(1000000);
}

bool dri_nats_lease_is_ours(const struct dri_nats_slot *slot)
{
    return slot->lease.is_held && dri_clock_mono_ns() < slot->lease.until_ns;
}

static struct dri_nats_slot *slot_of(struct dri_nats *self, uint32_t partition)
{
    return &self->slots[self->leases.slot_first + partition];
}

/* --- writing -------------------------------------------------------------------------------- */

/** Writes a record if it is still the one that we saw. */
static bool write_record(struct dri_nats *self, const char *subject, const char *text,
                         uint64_t expected)
{
    natsMsg *message = NULL;
    char number[24];
    if (self->wire == NULL ||
        natsMsg_Create(&message, subject, NULL, text, (int)strlen(text)) != NATS_OK) {
        return false;
    }
    (void)snprintf(number, sizeof(number), "%" PRIu64, expected);
    bool was_sent = natsMsgHeader_Set(message, EXPECT_NAME, number) == NATS_OK &&
                    natsConnection_PublishMsg(self->wire->nc, message) == NATS_OK;
    natsMsg_Destroy(message);
    return was_sent;
}

static bool write_lease(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now,
                        bool is_held)
{
    struct dri_nats_lease *lease = &slot->lease;
    struct dri_nats_record record = lease->record;
    char subject[DRI_NATS_SUBJECT_BYTES + 16], text[DRI_NATS_RECORD_BYTES];
    record.is_held = is_held;
    record.nonce = ++self->leases.nonce;
    record.lease_ms = self->settings.lease_ms;
    (void)snprintf(record.owner, sizeof(record.owner), "%s", is_held ? self->leases.owner : "-");
    if (slot->consumer_number != 0) {
        record.consumer = slot->consumer_number;
        record.floor = slot->ack_floor;
        (void)snprintf(record.created, sizeof(record.created), "%.47s", slot->stream_created);
    } else if (record.created[0] == '\0') {
        (void)snprintf(record.created, sizeof(record.created), "-");
    }
    dri_nats_record_format(&record, text);
    (void)snprintf(subject, sizeof(subject), "%s.p.%d", self->leases.prefix, slot->partition);
    if (!write_record(self, subject, text, lease->record_seq)) {
        return false;
    }
    lease->nonce = record.nonce;
    lease->sent_ns = now.mono_ns;
    return true;
}

bool dri_nats_lease_note(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    return dri_nats_lease_is_ours(slot) && write_lease(self, slot, now, true);
}

static void announce(struct dri_nats *self, struct dri_now now, const char *text)
{
    char subject[DRI_NATS_SUBJECT_BYTES + DRI_NATS_OWNER_BYTES];
    (void)snprintf(subject, sizeof(subject), "%.500s.m.%s", self->leases.prefix,
                   self->leases.member);
    if (dri_nats_link_send(self, subject, NULL, text, strlen(text))) {
        self->leases.announced_ns = now.mono_ns;
    }
}

/* --- reading -------------------------------------------------------------------------------- */

static void see_member(struct dri_nats *self, const char *id, struct dray_slice text,
                       struct dri_now now)
{
    struct dri_nats_leases *leases = &self->leases;
    uint32_t i = 0;
    while (i < leases->members_count && strcmp(leases->members[i].id, id) != 0) {
        i++;
    }
    if (dray_slice_equal_text(text, MEMBER_GONE)) {
        if (i < leases->members_count) {
            leases->members[i] = leases->members[--leases->members_count];
        }
        return;
    }
    char number[24];
    if (text.len == 0 || text.len >= sizeof(number) || i == DRI_NATS_MEMBERS_MAX) {
        return;
    }
    memcpy(number, text.at, text.len);
    number[text.len] = '\0';
    struct dri_nats_member *member = &leases->members[i];
    leases->members_count += i == leases->members_count ? 1 : 0;
    (void)snprintf(member->id, sizeof(member->id), "%s", id);
    member->seen_ns = now.mono_ns;
    member->lease_ns = strtoull(number, NULL, 10) * UINT64_C(1000000);
}

static void let_slot_go(struct dri_nats *self, struct dri_nats_slot *slot)
{
    slot->lease.is_held = slot->lease.is_leaving = false;
    dri_nats_slot_vacate(self, slot);
}

static void lose_lease(struct dri_nats *self, struct dri_nats_slot *slot, const char *why)
{
    DRI_LOG(DRI_LOG_WARN, "NATS-LEASE-LOST", why, DRI_TEXT("partition", slot->topic),
            DRI_TEXT("owner", slot->lease.record.owner));
    let_slot_go(self, slot);
}

/** Our own write has come back. */
static void see_own(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    struct dri_nats_lease *lease = &slot->lease;
    if (lease->nonce != lease->record.nonce) {
        return; /* an older one of ours; the one after it is on its way */
    }
    lease->nonce = 0;
    if (!lease->record.is_held) {
        return;
    }
    lease->until_ns = lease->sent_ns + lease_ns(self) - lease_ns(self) / MARGIN_PARTS;
    if (now.mono_ns >= lease->until_ns) {
        return; /* it took too long to be of any use */
    }
    lease->is_held = true;
    dri_nats_slot_noted(self, slot, now);
}

static void see_lease(struct dri_nats *self, struct dri_nats_slot *slot, struct dray_slice text,
                      uint64_t seq, struct dri_now now)
{
    struct dri_nats_lease *lease = &slot->lease;
    struct dri_nats_record record;
    if (seq <= lease->record_seq) {
        return;
    }
    lease->record_seq = seq;
    lease->changed_ns = now.mono_ns;
    if (!dri_nats_record_parse(text, &record)) {
        memset(&record, 0, sizeof(record)); /* somebody's hand: as if there were none */
        (void)snprintf(record.owner, sizeof(record.owner), "-");
    }
    lease->record = record;
    bool is_own = strcmp(record.owner, self->leases.owner) == 0;
    if (is_own) {
        see_own(self, slot, now);
    } else if (lease->is_held) {
        lose_lease(self, slot, "another replica has the partition");
    }
}

static void see(struct dri_nats *self, const struct dri_nats_waiting *waiting, struct dri_now now)
{
    const struct dri_nats_leases *leases = &self->leases;
    const char *subject = natsMsg_GetSubject(waiting->message);
    size_t len = strlen(leases->prefix);
    if (strncmp(subject, leases->prefix, len) != 0 || subject[len] != '.' ||
        subject[len + 1] == '\0' || subject[len + 2] != '.') {
        return;
    }
    const char *name = subject + len + 3;
    int bytes = natsMsg_GetDataLength(waiting->message);
    struct dray_slice text =
        dray_slice_of(natsMsg_GetData(waiting->message), bytes < 0 ? 0 : (size_t)bytes);
    if (subject[len + 1] == 'm' && strlen(name) < DRI_NATS_OWNER_BYTES) {
        see_member(self, name, text, now);
    } else if (subject[len + 1] == 'p') {
        char *end = NULL;
        unsigned long number = strtoul(name, &end, 10);
        if (end != name && *end == '\0' && number < leases->partitions) {
            see_lease(self, slot_of(self, (uint32_t)number), text, waiting->stream_seq, now);
        }
    }
}

/** The bucket was made anew: nothing that we know of it is so any more. */
static void forget(struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->leases.partitions; i++) {
        struct dri_nats_slot *slot = slot_of(self, i);
        if (slot->lease.is_held) {
            lose_lease(self, slot, "the bucket of leases is gone");
        }
        memset(&slot->lease, 0, sizeof(slot->lease));
    }
    self->leases.members_count = 0;
}

/* --- shares --------------------------------------------------------------------------------- */

static void count_members(struct dri_nats *self, struct dri_now now, uint32_t *ret_members,
                          uint32_t *ret_place)
{
    struct dri_nats_leases *leases = &self->leases;
    uint32_t members = 1, place = 0;
    for (uint32_t i = leases->members_count; i-- > 0;) {
        const struct dri_nats_member *member = &leases->members[i];
        int order = strcmp(member->id, leases->member);
        if (order != 0 && now.mono_ns - member->seen_ns >= member->lease_ns) {
            leases->members[i] = leases->members[--leases->members_count];
        } else {
            members += order != 0 ? 1 : 0;
            place += order < 0 ? 1 : 0;
        }
    }
    *ret_members = members;
    *ret_place = place;
}

static bool is_takeable(const struct dri_nats_lease *lease, const char *owner, struct dri_now now)
{
    if (lease->nonce != 0 || lease->is_held) {
        return false;
    }
    bool is_over = now.mono_ns - lease->changed_ns >= lease->record.lease_ms * UINT64_C(1000000);
    return lease->record_seq == 0 || !lease->record.is_held || is_over ||
           strcmp(lease->record.owner, owner) == 0;
}

/** Begins at a place of our own, so that two replicas do not want the same ones first. */
static void take_some(struct dri_nats *self, struct dri_now now, uint32_t wanted, uint32_t from)
{
    const struct dri_nats_leases *leases = &self->leases;
    for (uint32_t i = 0; i < leases->partitions && wanted > 0; i++) {
        struct dri_nats_slot *slot = slot_of(self, (from + i) % leases->partitions);
        if (is_takeable(&slot->lease, leases->owner, now) && write_lease(self, slot, now, true)) {
            wanted--;
        }
    }
}

static void give_some(struct dri_nats *self, struct dri_now now, uint32_t surplus)
{
    for (uint32_t i = self->leases.partitions; i-- > 0 && surplus > 0;) {
        struct dri_nats_slot *slot = slot_of(self, i);
        if (slot->lease.is_held && !slot->lease.is_leaving) {
            surplus--;
            slot->lease.is_leaving = true;
            dri_nats_slot_revoke(self, slot, now);
        }
    }
}

static void balance(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_leases *leases = &self->leases;
    uint32_t members = 1, place = 0, asked = 0;
    count_members(self, now, &members, &place);
    leases->held = 0;
    for (uint32_t i = 0; i < leases->partitions; i++) {
        const struct dri_nats_lease *lease = &slot_of(self, i)->lease;
        leases->held += lease->is_held && !lease->is_leaving ? 1 : 0;
        asked += !lease->is_held && lease->nonce != 0 ? 1 : 0;
    }
    uint32_t share = dri_nats_lease_share(leases->partitions, members, place);
    if (leases->held > share) {
        give_some(self, now, leases->held - share);
    } else if (leases->held + asked < share) {
        take_some(self, now, share - leases->held - asked, place * leases->partitions / members);
    }
}

/* --- the turn ------------------------------------------------------------------------------- */

/** What is out for too long did not come back; what ends is lost; what is due is renewed. */
static void look_after(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    struct dri_nats_lease *lease = &slot->lease;
    uint64_t since = now.mono_ns - lease->sent_ns;
    if (lease->is_held && now.mono_ns >= lease->until_ns) {
        lose_lease(self, slot, "the lease could not be renewed in time");
    }
    if (lease->nonce != 0 && since >= lease_ns(self) / AGAIN_PARTS) {
        lease->nonce = 0;
        if (lease->is_held) {
            (void)write_lease(self, slot, now, true);
        }
    } else if (lease->is_held && lease->nonce == 0 && since >= lease_ns(self) / RENEW_PARTS) {
        (void)write_lease(self, slot, now, true);
    }
}

static uint64_t step_ns(const struct dri_nats *self)
{
    uint64_t step = lease_ns(self) / 20;
    return step > STEP_MAX_NS ? STEP_MAX_NS : step < STEP_MIN_NS ? STEP_MIN_NS : step;
}

void dri_nats_leases_step(struct dri_nats *self, struct dri_now now)
{
    struct dri_nats_leases *leases = &self->leases;
    if (leases->partitions == 0) {
        return;
    }
    struct dri_nats_slot *log = &self->slots[leases->slot_log];
    if (log->has_lost) {
        forget(self);
    }
    log->has_lost = log->has_assigned = log->has_caught_up = false;
    struct dri_nats_waiting waiting;
    while (dri_nats_pull_take(log, &waiting)) {
        see(self, &waiting, now);
        natsMsg_Destroy(waiting.message);
    }
    if (now.mono_ns < leases->step_at_ns) {
        return;
    }
    leases->step_at_ns = now.mono_ns + step_ns(self);
    for (uint32_t i = 0; i < leases->partitions; i++) {
        look_after(self, slot_of(self, i), now);
    }
    if (self->wire == NULL || log->state != DRI_NATS_READY || !log->is_caught_up) {
        return;
    }
    if (leases->announced_ns == 0 ||
        now.mono_ns - leases->announced_ns >= lease_ns(self) / RENEW_PARTS) {
        char text[16];
        (void)snprintf(text, sizeof(text), "%u", self->settings.lease_ms);
        announce(self, now, text);
    }
    if (!self->is_closing) {
        balance(self, now);
    }
}

uint64_t dri_nats_leases_deadline(const struct dri_nats *self)
{
    return self->leases.partitions == 0 ? UINT64_MAX : self->leases.step_at_ns;
}

void dri_nats_leases_link_down(struct dri_nats *self)
{
    for (uint32_t i = 0; i < self->leases.partitions; i++) {
        struct dri_nats_slot *slot = slot_of(self, i);
        slot->lease.nonce = 0;
        slot->lease.sent_ns = 0; /* write at once when there is a connection again */
        dri_nats_slot_hold(self, slot);
    }
}

void dri_nats_lease_release(struct dri_nats *self, struct dri_nats_slot *slot, struct dri_now now)
{
    if (dri_nats_lease_is_ours(slot)) {
        (void)write_lease(self, slot, now, false);
        DRI_LOG(DRI_LOG_INFO, "NATS-LEASE-FREE", "partition given up",
                DRI_TEXT("partition", slot->topic));
    }
    let_slot_go(self, slot);
    self->leases.step_at_ns = now.mono_ns;
}

void dri_nats_leases_close(struct dri_nats *self, struct dri_now now)
{
    for (uint32_t i = 0; i < self->leases.partitions; i++) {
        if (slot_of(self, i)->lease.is_held) {
            dri_nats_lease_release(self, slot_of(self, i), now);
        }
    }
    if (self->leases.announced_ns != 0) {
        announce(self, now, MEMBER_GONE);
    }
}

/* --- the bucket ----------------------------------------------------------------------------- */

static enum dray_status make_bucket(struct dri_nats_inquiry *inquiry)
{
    char body[1024];
    /* Source: ADR-8, as the nats command line would make it. */
    (void)snprintf(body, sizeof(body),
                   "{\"name\":\"" STREAM "\",\"subjects\":[\"$KV." BUCKET ".>\"],"
                   "\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"new\","
                   "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,"
                   "\"max_msg_size\":-1,\"max_msgs_per_subject\":1,\"num_replicas\":%u,"
                   "\"duplicate_window\":%" PRIu64 ",\"allow_rollup_hdrs\":true,"
                   "\"deny_delete\":true,\"allow_direct\":true}",
                   inquiry->self->settings.replicas, DUPLICATES_NS);
    dri_nats_inquire(inquiry, "STREAM.CREATE." STREAM, body);
    return inquiry->reply.status;
}

enum dray_status dri_nats_leases_open(struct dri_nats *self, bool can_create, uint64_t deadline_ns,
                                      char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats_inquiry inquiry = {
        .self = self, .deadline_ns = deadline_ns, .buffer_bytes = REPLY_BYTES};
    if (self->leases.partitions == 0) {
        return DRAY_OK;
    }
    inquiry.buffer = dri_zalloc(REPLY_BYTES);
    if (inquiry.buffer == NULL) {
        return DRAY_ENOMEM;
    }
    dri_nats_inquire(&inquiry, "STREAM.INFO." STREAM, NULL);
    enum dray_status status = inquiry.reply.status;
    if (status == DRAY_ENOTFOUND && can_create) {
        status = make_bucket(&inquiry);
        if (status == DRAY_EINVALID) { /* another replica's, made with other words */
            dri_nats_inquire(&inquiry, "STREAM.INFO." STREAM, NULL);
            status = inquiry.reply.status;
        }
    }
    if (status != DRAY_OK) {
        dri_nats_say(ret_text, "nats: the bucket " BUCKET " of nats.partitions is not there: %s",
                     inquiry.reply.description);
    }
    dri_free(inquiry.buffer);
    return status;
}
