/*
 * Go 1.27, level 2.
 *
 * Algorithm: level 1's search in a table four times as large, with more positions of each match
 * entered.
 *
 * Why the bytes are Go's: what is entered when differs from level 1 in small ways, as it does in
 * compress/flate.
 *
 * In parallel: as level 1, but tables are nearly always equal after three blocks.
 */
#include "go127/fast.h"

enum { SKIP_SHIFT = 5, ENTER_STEP = 7 };

static inline uint32_t hash(uint64_t v, search_rules rules) {
    return rules.hashes_four ? hash4(v, TABLE_BITS_2 + rules.more_bits) : hash5(v, TABLE_BITS_2);
}

static ALWAYS_INLINE fast_parse search(fast_parser *parser, const block_input *block,
                                       const search_rules rules) {
    uint32_t *const table = parser->tables;
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        uint32_t distance;
        for (;;) {
            uint32_t h = hash(v, rules);
            s = next;
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
            distance = distance_to(s, table[h]);
            table[h] = (uint32_t)s;
            if (repeats_at(&p, s, next_bytes, distance, FAST_MAX_DISTANCE - 1))
                break;
            v = next_bytes >> 8;
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
            for (size_t i = s - m.length + 2; i < s - 5; i += ENTER_STEP) {
                uint64_t w = load_at(&p, i);
                table[hash(w, rules)] = (uint32_t)i;
                table[hash(w >> 16, rules)] = (uint32_t)i + 2;
                table[hash(w >> 32, rules)] = (uint32_t)i + 4;
            }
            v = load_at(&p, s - 2);
            table[hash(v, rules)] = (uint32_t)s - 2;
            table[hash(v >> 8, rules)] = (uint32_t)s - 1;
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

SEARCH_IN_RELEASES(2, search)
