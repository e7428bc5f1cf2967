/*
 * Go 1.27, level 4.
 *
 * Algorithm: two tables, by hashes of 4 and of 7 bytes. A candidate of the long hash is taken at
 * once; one of the short hash is compared with the long candidate of the next position.
 *
 * Why the bytes are Go's: hashes, steps and entered positions are those of compress/flate, level
 * 4. In the comparison Go has an error which is part of the bytes: the length of the long
 * candidate is not taken at the candidate but at its *distance*, used as an index into the buffer
 * in which Go keeps its history. So this level alone depends on how that buffer is filled, and
 * reads input that is too far away for DEFLATE (only to compare; a match never refers to it). The
 * buffer holds 32 KiB and some blocks; how many follows from the position in the stream.
 *
 * In parallel: as level 1, but tables are nearly always equal after three blocks. Every segment
 * has the old input that the error reads.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT = 6,
    ENTER_STEP = 3,
    HISTORY_BLOCKS = 5,
    HISTORY_LEFT = HISTORY_BLOCKS * FAST_BLOCK - (HISTORY_BLOCKS - 1) * FAST_BLOCK -
        FAST_MAX_DISTANCE,
};

static inline uint32_t hash_short(uint64_t v, search_rules rules) {
    return hash4(v, TABLE_BITS_4 + rules.more_bits);
}

static inline uint32_t hash_long(uint64_t v, search_rules rules) {
    return hash7(v, LONG_BITS_4 + rules.more_bits);
}

/*
 * How many bytes before the block Go has in its history buffer. It takes 5 blocks. A block that
 * does not fit is put behind the last 32 KiB instead, so later fillings have 4 full blocks, and
 * also the stream's last block if the remaining space is enough for it.
 */
size_t go127_history_before(const block_input *block) {
    uint64_t index = block->position / FAST_BLOCK;
    if (index < HISTORY_BLOCKS)
        return (size_t)block->position;
    uint64_t before = (index - HISTORY_BLOCKS) % (HISTORY_BLOCKS - 1);
    if (before == 0 && index > HISTORY_BLOCKS && block->length <= HISTORY_LEFT)
        before = HISTORY_BLOCKS - 1;
    return FAST_MAX_DISTANCE + (size_t)before * FAST_BLOCK;
}

/* The wrong length that Go uses for a candidate `distance` before s. The buffer begins at position
 * `history`, which wraps around if the positions of a guess start behind it. */
static inline size_t wrong_length(const fast_parse *p, size_t history, size_t s,
                                  uint32_t distance) {
    return run(p, s + 4, history + distance + 4);
}

static ALWAYS_INLINE fast_parse search(fast_parser *parser, const block_input *block,
                                       const search_rules rules) {
    uint32_t *const shorts = parser->tables;
    uint32_t *const longs = parser->tables + ((size_t)1 << (TABLE_BITS_4 + rules.more_bits));
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    const size_t history = s - parser->history;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        uint32_t distance;
        for (;;) {
            uint32_t *by_short = &shorts[hash_short(v, rules)];
            uint32_t *by_long = &longs[hash_long(v, rules)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> SKIP_SHIFT);
            if (next > limit)
                return p;
            distance = distance_to(s, *by_long);
            uint32_t short_distance = distance_to(s, *by_short);
            uint64_t next_bytes = load_at(&p, next);
            *by_short = *by_long = (uint32_t)s;
            if (repeats_at(&p, s, v, distance, FAST_MAX_DISTANCE - 1))
                break;
            if (repeats_at(&p, s, v, short_distance, FAST_MAX_DISTANCE - 1)) {
                distance = short_distance;
                uint32_t other = distance_to(next, longs[hash_long(next_bytes, rules)]);
                if (repeats_at(&p, next, next_bytes, other, FAST_MAX_DISTANCE - 1)) {
                    size_t length = rules.true_length ? run(&p, next + 4, next + 4 - other)
                                                      : wrong_length(&p, history, next, other);
                    if (length > run(&p, s + 4, s + 4 - distance)) {
                        s = next;
                        distance = other;
                    }
                }
                break;
            }
            v = next_bytes;
        }

        fast_match m = {s, s - distance, 4};
        m.length += run(&p, m.at + 4, m.from + 4);
        extend_back(&p, &m);
        emit(&p, &m, rules);
        s = p.emitted;
        if (next >= s)
            s = next + 1;
        if (s >= limit) {
            if (s + 8 < p.end) {
                v = load_at(&p, s);
                shorts[hash_short(v, rules)] = longs[hash_long(v, rules)] = (uint32_t)s;
            }
            return p;
        }
        for (size_t i = next; i < s - 1; i += ENTER_STEP) {
            uint64_t w = load_at(&p, i);
            longs[hash_long(w, rules)] = (uint32_t)i;
            longs[hash_long(w >> 8, rules)] = (uint32_t)i + 1;
            shorts[hash_short(w >> 8, rules)] = (uint32_t)i + 1;
        }
        v = load_at(&p, s - 1);
        shorts[hash_short(v, rules)] = longs[hash_long(v, rules)] = (uint32_t)s - 1;
        v >>= 8;
    }
}

SEARCH_IN_RELEASES(4, search)
