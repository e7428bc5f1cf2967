/*
 * Go 1.27, level 1 (BestSpeed).
 *
 * Algorithm: one small table of 5-byte hashes, entered sparsely. Positions are tried in pairs, the
 * second directly behind the first, and the pairs move apart the longer nothing matches. The first
 * candidate that matches in four bytes is taken.
 *
 * Why the bytes are Go's: hash, steps, distances and entered positions are those of
 * compress/flate, level 1, including a position that Go enters under the hash of another.
 *
 * In parallel: a block's parse depends on the table alone, and only on entries less than 32 KiB
 * old. A parser that starts with an empty table sooner or later enters what the stream's parser
 * does. So few positions are entered that this takes 6 to 9 blocks on average and sometimes 60;
 * parallel/block_parallel.c compares, and repairs.
 */
#include "go127/fast.h"

enum { SKIP_SHIFT = 5 };

static inline uint32_t hash(uint64_t v, search_rules rules) {
    return rules.hashes_four ? old_hash4(v, TABLE_BITS_1 + rules.more_bits)
                             : hash5(v, TABLE_BITS_1);
}

static ALWAYS_INLINE fast_parse search(fast_parser *parser, const block_input *block,
                                       const search_rules rules) {
    uint32_t *const table = parser->tables;
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next;
        uint32_t distance;
        for (;;) {
            uint32_t h = hash(v, rules);
            next = s + 2 + ((s - p.emitted) >> SKIP_SHIFT);
            if (next > limit)
                return p;
            distance = distance_to(s, table[h]);
            table[h] = (uint32_t)s;
            uint64_t next_bytes = load_at(&p, next);
            h = hash(next_bytes, rules);
            if (repeats_at(&p, s, v, distance, FAST_MAX_DISTANCE - 1)) {
                table[h] = (uint32_t)next;
                break;
            }
            s = next++;
            v = next_bytes;
            distance = distance_to(s, table[h]);
            if (repeats_at(&p, s, v, distance, FAST_MAX_DISTANCE - 1)) {
                /* Go enters the next position under the hash of this one. */
                table[h] = (uint32_t)next;
                break;
            }
            table[h] = (uint32_t)s;
            v = next_bytes >> 8;
            s = next;
        }

        /* Matches, as long as another one follows directly. */
        for (;;) {
            fast_match m = {s, s - distance, 4};
            m.length += run(&p, m.at + 4, m.from + 4);
            extend_back(&p, &m);
            emit(&p, &m, rules);
            s = p.emitted;
            if (next >= s)
                s = next + 1;
            if (s >= limit) {
                if (s + m.length + (rules.hashes_four ? 4 : 8) < p.end)
                    table[hash(load_at(&p, s), rules)] = (uint32_t)s;
                return p;
            }
            v = load_at(&p, s - 2);
            table[hash(v, rules)] = (uint32_t)s - 2;
            v >>= 16;
            uint32_t h = hash(v, rules);
            distance = distance_to(s, table[h]);
            table[h] = (uint32_t)s;
            if (!repeats_at(&p, s, v, distance, FAST_MAX_DISTANCE))
                break;
        }
        v >>= 8;
        s++;
    }
}

SEARCH_IN_RELEASES(1, search)
