/*
 * What the parsers of Go 1.27's levels 1 to 6 have in common.
 *
 * All cut the input every 65,535 bytes and parse a block from its first byte to its last, with
 * hash tables of positions as their only memory of earlier input. They differ in the tables, in
 * what they enter into them, and in how they choose among candidates; see levelN.c. Tables are
 * kept across blocks; a match may begin in an earlier block but never ends behind the current one.
 *
 * Positions are counted across blocks, so that entries stay valid when the next block comes: the
 * first byte, of the stream or of the input from which a guess starts, is at FAST_FIRST_ORIGIN,
 * and so an entry of 0 is always too far away to be used. Occasionally they are renumbered.
 */
#ifndef IMGCONV_GO127_FAST_H
#define IMGCONV_GO127_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "deflate/match.h"
#include "deflate/tokens.h"
#include "parallel/block_encoder.h"

enum {
    FAST_BLOCK = 65535,
    FAST_MAX_DISTANCE = 32768, /* some searches accept less than this */
    FAST_PENALTY = 7,
    /* In the last bytes of a block, candidates are not looked up. */
    FAST_MARGIN = 11,
    FAST_FIRST_ORIGIN = 2 * FAST_MAX_DISTANCE,
    /* When the origin gets here, tables are renumbered. Go does so near 2^31; only entries that
     * are too far away are dropped, so the bytes do not depend on when. */
    FAST_LAST_ORIGIN = 1 << 26,
    /* Level 4 reads older input than a match can refer to: see level4.c. */
    FAST_HISTORY_4 = FAST_MAX_DISTANCE + 4 * FAST_BLOCK,
};

/* A table entry and the one it replaced. */
typedef struct {
    uint32_t current;
    uint32_t previous;
} entry_pair;

typedef struct fast_parse fast_parse;
typedef struct fast_parser fast_parser;

/* Parse a block of at least FAST_SHORTEST_ENTERED bytes. */
typedef fast_parse fast_search(fast_parser *parser, const block_input *block);

/* A level's parser. Its tables are at the end, single entries before pairs. */
struct fast_parser {
    int level;
    unsigned more_bits; /* by which hashes are longer than in Go */
    fast_search *search;
    uint32_t origin;     /* of the next block */
    block_buffer buffer; /* for the next block */
    size_t history;      /* what Go's buffer holds before the next block; only level 4 reads it */
    uint32_t tables[];
};

/* The parse of a block. */
struct fast_parse {
    uintptr_t base; /* the address of position 0, which may not exist */
    size_t end;
    size_t lowest;  /* the lowest position that is readable */
    size_t emitted; /* everything before is in `sequences` */
    sequence *sequences;
    size_t count;
    uint8_t *literal_bytes;
    size_t literals;
};

static inline const uint8_t *bytes_at(const fast_parse *p, size_t position) {
    return (const uint8_t *)(p->base + position);
}

static inline uint64_t load_at(const fast_parse *p, size_t position) {
    return load64(bytes_at(p, position));
}

/* Multiplicative hashes of the first 4, 5 or 7 bytes; the factors fix the bytes. */
static inline uint32_t hash4(uint64_t v, unsigned bits) {
    return (uint32_t)v * UINT32_C(2654435761) >> (32 - bits);
}

/* The one of levels 1 and 3 before they hashed 5 bytes. */
static inline uint32_t old_hash4(uint64_t v, unsigned bits) {
    return (uint32_t)v * UINT32_C(0x1e35a7bd) >> (32 - bits);
}

static inline uint32_t hash5(uint64_t v, unsigned bits) {
    return (uint32_t)((v << 24) * UINT64_C(889523592379) >> (64 - bits));
}

static inline uint32_t hash7(uint64_t v, unsigned bits) {
    return (uint32_t)((v << 8) * UINT64_C(58295818150454627) >> (64 - bits));
}

static inline void push(entry_pair *pair, size_t position) {
    pair->previous = pair->current;
    pair->current = (uint32_t)position;
}

/* The number of equal bytes before a and b, counted backwards, up to eight. */
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

/* The distance of `entry` before position s. Entries behind s give a huge number. */
static inline uint32_t distance_to(size_t s, uint32_t entry) {
    return (uint32_t)s - entry;
}

/* Whether the low four bytes of v, which are at s, repeat `distance` before; see repeats(). */
static inline bool repeats_at(const fast_parse *p, size_t s, uint64_t v, uint32_t distance,
                              uint32_t max_distance) {
    return repeats(bytes_at(p, s), (uint32_t)v, distance, max_distance);
}

/* The number of equal bytes at s and t, up to the end of the block and to `most`. */
static inline size_t run_up_to(const fast_parse *p, size_t s, size_t t, size_t most) {
    size_t left = p->end - s;
    return match_length(bytes_at(p, s), bytes_at(p, t), left < most ? left : most);
}

static inline size_t run(const fast_parse *p, size_t s, size_t t) {
    return match_length(bytes_at(p, s), bytes_at(p, t), p->end - s);
}

/* Some levels compare candidates by at most 254 bytes behind the first four. */
enum { FAST_SHORT_RUN = 254 };

typedef struct {
    size_t at;
    size_t from; /* the earlier position */
    size_t length;
} fast_match;

/* Extend the match backwards over equal bytes that are in no sequence yet. */
static inline void extend_back(const fast_parse *p, fast_match *m) {
    size_t most = m->at - p->emitted;
    size_t before = m->from - p->lowest;
    if (most > before)
        most = before;
    size_t n = 0;
    if (before >= 8) {
        n = equal_before(bytes_at(p, m->at), bytes_at(p, m->from));
        if (n > most)
            n = most;
    }
    if (n == 8 || before < 8)
        while (n < most && *bytes_at(p, m->from - n - 1) == *bytes_at(p, m->at - n - 1))
            n++;
    m->at -= n;
    m->from -= n;
    m->length += n;
}

/* Most runs are short: copying a fixed number of bytes is faster. */
static inline void copy_literals(fast_parse *p, size_t n) {
    const uint8_t *from = bytes_at(p, p->emitted);
    uint8_t *to = p->literal_bytes + p->literals;
    if (n <= BLOCK_COPY && p->end - p->emitted >= BLOCK_COPY)
        memcpy(to, from, BLOCK_COPY);
    else
        memcpy(to, from, n);
    p->literals += n;
}

/* ---- Releases ------------------------------------------------------------------ */

/*
 * The searches of Go 1.27 are those of klauspost/compress from 1.18.0 on. Earlier releases differ
 * in these rules; each is a constant in the functions that the compiler makes of a search.
 */
typedef struct {
    bool hashes_four; /* levels 1 to 3 hash 4 bytes, not 5; level 3 also enters other positions */
    bool sparse3;     /* level 3 as it was before 1.14.3 ... */
    bool far3; /* ... and before 1.10.2: all distances, and the latest match behind another */
    unsigned more_bits; /* by which the hashes are longer */
    bool true_length;   /* level 4 compares the lengths of both candidates, without Go's error */
    bool tries_end;     /* levels 5 and 6 try a match from its end ... */
    unsigned end_skip;  /* ... where so many bytes at its beginning need not be equal */
    bool cuts_at_255;   /* a match longer than 258 is cut into parts of 255 only */
} search_rules;

static const search_rules search_now = {.tries_end = true, .end_skip = 2};
static const search_rules search_1_15_0 = {
    .hashes_four = true, .true_length = true, .tries_end = true};
static const search_rules search_1_14_0 = {.hashes_four = true,
                                           .sparse3 = true,
                                           .true_length = true,
                                           .tries_end = true,
                                           .cuts_at_255 = true};
static const search_rules search_1_10_2 = {
    .hashes_four = true, .sparse3 = true, .true_length = true, .cuts_at_255 = true};
enum { FAST_MORE_BITS_1_9_8 = 1 };
static const search_rules search_1_9_8 = {.hashes_four = true,
                                          .sparse3 = true,
                                          .far3 = true,
                                          .more_bits = FAST_MORE_BITS_1_9_8,
                                          .true_length = true,
                                          .cuts_at_255 = true};

/* The functions for all releases, made of `search`, the search of a level. */
#define SEARCH_IN_RELEASES(level, search)                                                          \
    fast_parse go127_parse##level(fast_parser *parser, const block_input *block) {                 \
        return search(parser, block, search_now);                                                  \
    }                                                                                              \
    fast_parse go127_parse##level##_1_15_0(fast_parser *parser, const block_input *block) {        \
        return search(parser, block, search_1_15_0);                                               \
    }                                                                                              \
    fast_parse go127_parse##level##_1_14_0(fast_parser *parser, const block_input *block) {        \
        return search(parser, block, search_1_14_0);                                               \
    }                                                                                              \
    fast_parse go127_parse##level##_1_10_2(fast_parser *parser, const block_input *block) {        \
        return search(parser, block, search_1_10_2);                                               \
    }                                                                                              \
    fast_parse go127_parse##level##_1_9_8(fast_parser *parser, const block_input *block) {         \
        return search(parser, block, search_1_9_8);                                                \
    }

/* Add the literals up to the match, and the match, split into lengths that DEFLATE supports. The
 * last part must not be shorter than 3, so the one before it may be shorter than 258. */
static inline void emit(fast_parse *p, const fast_match *m, search_rules rules) {
    uint32_t literals = (uint32_t)(m->at - p->emitted);
    uint16_t offset = (uint16_t)(m->at - m->from - 1);
    size_t left = m->length;

    copy_literals(p, literals);
    while (left > 258) {
        size_t part = left > 258 + 3 && !rules.cuts_at_255 ? 258 : 258 - 3;
        p->sequences[p->count++] = (sequence){literals, (uint16_t)(part - 3), offset};
        literals = 0;
        left -= part;
    }
    p->sequences[p->count++] = (sequence){literals, (uint16_t)(left - 3), offset};
    p->emitted = m->at + m->length;
}

/* Returned by value: a parse whose address is not taken can stay in registers. */
static inline fast_parse begin_parse(const fast_parser *parser, const block_input *block) {
    size_t before =
        block->position < FAST_MAX_DISTANCE ? (size_t)block->position : FAST_MAX_DISTANCE;
    return (fast_parse){
        .base = (uintptr_t)block->data - parser->origin,
        .end = parser->origin + block->length,
        .lowest = parser->origin - before,
        .emitted = parser->origin,
        .sequences = parser->buffer.sequences,
        .literal_bytes = parser->buffer.literals,
    };
}

/* ---- Parsing blocks ------------------------------------------------------------ */

enum {
    FAST_SHORT_BLOCK = 128,     /* a shorter last block is written as literals ... */
    FAST_STORED_BLOCK = 32,     /* ... and up to this length stored */
    FAST_SHORTEST_ENTERED = 13, /* shorter input is not searched, and not entered into tables */
};

/* `more_bits` is that of the search's rules. */
size_t go127_fast_size(int level, unsigned more_bits);
void go127_fast_init(fast_parser *parser, int level, unsigned more_bits, fast_search *search);

/* Parse a block into the buffer. A block of less than FAST_SHORT_BLOCK bytes must be the last. */
void go127_fast_parse(fast_parser *parser, const block_input *block, block_buffer buffer,
                      parsed_block *parsed);

/* Enter a dictionary into the tables, as if it had been a block. The buffer holds nothing after. */
void go127_fast_enter(fast_parser *parser, const uint8_t *data, size_t n, block_buffer buffer);

/* ---- The searches -------------------------------------------------------------- */

fast_search go127_parse1, go127_parse2, go127_parse3, go127_parse4, go127_parse5, go127_parse6;
/* As in earlier releases, by the first one of each. */
fast_search go127_parse1_1_15_0, go127_parse1_1_14_0, go127_parse1_1_10_2, go127_parse1_1_9_8;
fast_search go127_parse2_1_15_0, go127_parse2_1_14_0, go127_parse2_1_10_2, go127_parse2_1_9_8;
fast_search go127_parse3_1_15_0, go127_parse3_1_14_0, go127_parse3_1_10_2, go127_parse3_1_9_8;
fast_search go127_parse4_1_15_0, go127_parse4_1_14_0, go127_parse4_1_10_2, go127_parse4_1_9_8;
fast_search go127_parse5_1_15_0, go127_parse5_1_14_0, go127_parse5_1_10_2, go127_parse5_1_9_8;
fast_search go127_parse6_1_15_0, go127_parse6_1_14_0, go127_parse6_1_10_2, go127_parse6_1_9_8;

/* What Go's history buffer holds before a block of a stream without dictionary: see level4.c. */
size_t go127_history_before(const block_input *block);

enum {
    TABLE_BITS_1 = 15,
    TABLE_BITS_2 = 17,
    PAIRS_BITS_3 = 16,
    /* Levels 4 to 6: one table for short matches, one for long ones. */
    TABLE_BITS_4 = 15,
    LONG_BITS_4 = 15,
    TABLE_BITS_56 = 15,
    PAIRS_BITS_56 = 15,
};

#endif
