/*
 * What the match finders of Go 1.27's levels 1 to 6 have in common.
 *
 * All cut the input every 65,535 bytes and parse a block from its first byte to its last,
 * with hash tables of positions as their only memory of what came before. They differ in
 * how many tables they keep, what they enter into them, and how they choose among
 * candidates; each has a file of its own. The tables are kept across blocks; a match may
 * begin in an earlier block but never look beyond the end of the present one.
 *
 * Positions are counted from the first byte of the block: negative ones lie before it. In a
 * table they are stored with the block's `origin` added, so that entries need no change
 * when the next block comes. An entry of 0 is always too far away to be used.
 */
#ifndef IMGCONV_GO127_FAST_H
#define IMGCONV_GO127_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "encoder.h"
#include "go127_coder.h"
#include "match.h"

enum {
    FAST_BLOCK = 65535,
    FAST_REACH = 32768, /* matches begin less than this (in places: no more) before */
    FAST_PENALTY = 7,
    /* No candidate is looked up in the last bytes of a block. */
    FAST_MARGIN = 11,
    FAST_FIRST_ORIGIN = 2 * FAST_REACH,
    /* When origins get here, tables are renumbered. Go does so near 2^31; nothing but
     * entries out of reach is lost by it, so the bytes do not depend on when. */
    FAST_LAST_ORIGIN = 1 << 26,
    /* Level 4 looks at older input than it can refer to: see there. */
    FAST_HISTORY_4 = FAST_REACH + 4 * FAST_BLOCK,
};

/* A table entry with the one it has displaced. */
typedef struct {
    uint32_t current;
    uint32_t previous;
} entry_pair;

/* A level's parser. Its tables, single entries before pairs, stand at the end. */
typedef struct {
    int level;
    uint32_t origin; /* of the next block */
    block_room room; /* where the next block's parse goes */
    uint32_t tables[];
} fast_parser;

/* A block being parsed. */
typedef struct {
    const uint8_t *data;
    int32_t length;
    int32_t floor;   /* the lowest position there is: 0 or negative */
    uint32_t origin;
    int32_t emitted; /* everything before is in `sequence`s already */
    sequence *sequences;
    size_t count;
    uint8_t *literal_bytes;
    size_t literals;
} fast_parse;

/* Multiplicative hashes of the first 4, 5 or 7 bytes; the factors fix the bytes. */
static inline uint32_t hash4(uint64_t v, unsigned bits) {
    return (uint32_t)v * UINT32_C(2654435761) >> (32 - bits);
}

static inline uint32_t hash5(uint64_t v, unsigned bits) {
    return (uint32_t)((v << 24) * UINT64_C(889523592379) >> (64 - bits));
}

static inline uint32_t hash7(uint64_t v, unsigned bits) {
    return (uint32_t)((v << 8) * UINT64_C(58295818150454627) >> (64 - bits));
}

static inline void push(entry_pair *pair, uint32_t entry) {
    pair->previous = pair->current;
    pair->current = entry;
}

/* How many of the eight bytes before a and b are equal, from the last one backwards. */
static inline unsigned equal_before(const uint8_t *a, const uint8_t *b) {
    uint64_t difference = load64(a - 8) ^ load64(b - 8);
#if defined(__GNUC__) || defined(__clang__)
    return difference == 0 ? 8 : (unsigned)__builtin_clzll(difference) >> 3;
#else
    unsigned n = 0;
    while (n < 8 && (difference >> (56 - 8 * n) & 0xff) == 0)
        n++;
    return n;
#endif
}

/* How far `entry` lies before position s. Positions behind s give a huge number. */
static inline uint32_t distance_to(const fast_parse *p, int32_t s, uint32_t entry) {
    return p->origin + (uint32_t)s - entry;
}

/* Whether four bytes equal to the low ones of v stand `distance` before s; only distances up
 * to `reach` may be looked at. */
static inline bool matches_at(const fast_parse *p, int32_t s, uint64_t v, uint32_t distance,
                              uint32_t reach) {
    /* One branch for the caller instead of two: which of the conditions fails is as
     * unforeseeable as whether one does. */
    bool near = distance <= reach;
    uint32_t there = load32(p->data + s - (near ? distance : 0));
    return near & (there == (uint32_t)v);
}

/* How long position t repeats at s, not counting beyond the block or `most`. */
static inline int32_t run_up_to(const fast_parse *p, int32_t s, int32_t t, int32_t most) {
    int32_t left = p->length - s;
    return (int32_t)match_length(p->data + s, p->data + t, (size_t)(left < most ? left : most));
}

static inline int32_t run(const fast_parse *p, int32_t s, int32_t t) {
    return (int32_t)match_length(p->data + s, p->data + t, (size_t)(p->length - s));
}

/* Some levels look at no more than 254 bytes behind the first four to compare candidates. */
enum { FAST_SHORT_RUN = 254 };

typedef struct {
    int32_t at;   /* where it is written ... */
    int32_t from; /* ... what it repeats ... */
    int32_t length;
} fast_match;

/* Let the match begin earlier where the bytes before agree, as far as no sequence has them. */
static inline void extend_back(const fast_parse *p, fast_match *m) {
    int32_t room = m->at - p->emitted;
    if (room > m->from - p->floor)
        room = m->from - p->floor;
    int32_t n = 0;
    if (m->from - p->floor >= 8) {
        n = (int32_t)equal_before(p->data + m->at, p->data + m->from);
        if (n > room)
            n = room;
    }
    if (n == 8 || m->from - p->floor < 8)
        while (n < room && p->data[m->from - n - 1] == p->data[m->at - n - 1])
            n++;
    m->at -= n;
    m->from -= n;
    m->length += n;
}

/* Most runs are short: copying BLOCK_COPY bytes at once saves counting them. */
static inline void copy_literals(fast_parse *p, size_t n) {
    const uint8_t *from = p->data + p->emitted;
    uint8_t *to = p->literal_bytes + p->literals;
    if (n <= BLOCK_COPY && p->length - p->emitted >= BLOCK_COPY)
        memcpy(to, from, BLOCK_COPY);
    else
        memcpy(to, from, n);
    p->literals += n;
}

/* Write the literals up to the match, and the match in pieces that DEFLATE can say. The
 * last piece must not be shorter than 3, so the one before it may be less than the most. */
static inline void emit(fast_parse *p, const fast_match *m) {
    uint32_t literals = (uint32_t)(m->at - p->emitted);
    uint16_t offset = (uint16_t)(m->at - m->from - 1);
    int32_t left = m->length;

    copy_literals(p, literals);
    while (left > 258) {
        int32_t piece = left > 258 + 3 ? 258 : 258 - 3;
        p->sequences[p->count++] = (sequence){literals, (uint16_t)(piece - 3), offset};
        literals = 0;
        left -= piece;
    }
    p->sequences[p->count++] = (sequence){literals, (uint16_t)(left - 3), offset};
    p->emitted = m->at + m->length;
}

/* What a parse begins with. By value: a parse that has no address can live in registers. */
static inline fast_parse begin_parse(fast_parser *parser, const block_input *block) {
    return (fast_parse){
        .data = block->data,
        .length = (int32_t)block->length,
        .floor = block->position < FAST_REACH ? -(int32_t)block->position : -FAST_REACH,
        .origin = parser->origin,
        .sequences = parser->room.sequences,
        .literal_bytes = parser->room.literals,
    };
}

/* ---- The match finders --------------------------------------------------------------- */

/* Parse a block of at least 128 bytes. */
fast_parse go127_parse1(fast_parser *parser, const block_input *block);
fast_parse go127_parse2(fast_parser *parser, const block_input *block);
fast_parse go127_parse3(fast_parser *parser, const block_input *block);
fast_parse go127_parse4(fast_parser *parser, const block_input *block);
fast_parse go127_parse5(fast_parser *parser, const block_input *block);
fast_parse go127_parse6(fast_parser *parser, const block_input *block);

enum {
    TABLE_BITS_1 = 15,
    TABLE_BITS_2 = 17,
    PAIRS_BITS_3 = 16,
    /* Levels 4 to 6: one table for short matches, one for long ones. */
    TABLE_BITS_4 = 15,
    LONG_BITS_4 = 15,
    TABLE_BITS_5 = 15,
    PAIRS_BITS_5 = 15,
    TABLE_BITS_6 = 15,
    PAIRS_BITS_6 = 15,
};

#endif
