/*
 * Go 1.27, level 3.
 *
 * Algorithm: every position is tried with two candidates: the latest position with the same 5-byte
 * hash and the one before that.
 *
 * Why the bytes are Go's: hash, steps, the three slightly different limits on distances and the
 * entered positions are those of compress/flate, level 3.
 *
 * In parallel: as level 1, but tables are nearly always equal after three blocks.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT = 7,
    ENTER_STEP = 6,
    /* The largest distance, a little smaller than at other levels. */
    MAX_DISTANCE = FAST_MAX_DISTANCE - 4,
};

static inline uint32_t hash(uint64_t v) {
    return hash5(v, PAIRS_BITS_3);
}

fast_parse go127_parse3(fast_parser *parser, const block_input *block) {
    entry_pair *const pairs = (entry_pair *)parser->tables;
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        uint32_t distance;
        for (;;) {
            entry_pair *slot = &pairs[hash(v)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> SKIP_SHIFT);
            if (next > limit)
                return p;
            entry_pair found = *slot;
            uint64_t next_bytes = load_at(&p, next);
            push(slot, s);
            distance = distance_to(s, found.current);
            if (distance <= MAX_DISTANCE) {
                uint32_t other = distance_to(s, found.previous);
                if (repeats_at(&p, s, v, distance, MAX_DISTANCE)) {
                    if (repeats_at(&p, s, v, other, MAX_DISTANCE) &&
                        run(&p, s + 4, s + 4 - other) > run(&p, s + 4, s + 4 - distance))
                        distance = other;
                    break;
                }
                /* Alone, the older one has to be nearer by one. */
                if (repeats_at(&p, s, v, other, MAX_DISTANCE - 1)) {
                    distance = other;
                    break;
                }
            }
            v = next_bytes;
        }

        /* Matches, as long as another one follows directly. */
        for (;;) {
            fast_match m = {s, s - distance, 4};
            m.length += run(&p, m.at + 4, m.from + 4);
            extend_back(&p, &m);
            emit(&p, &m);
            s = p.emitted;
            if (next >= s)
                s = next + 1;
            if (s >= limit) {
                /* Go enters the position behind the earlier bytes, not behind the match. */
                size_t t = m.from + m.length;
                if (t + 8 < p.end)
                    push(&pairs[hash(load_at(&p, t))], t);
                return p;
            }
            for (size_t i = s - m.length + 2; i < s - 5; i += ENTER_STEP)
                push(&pairs[hash(load_at(&p, i))], i);
            v = load_at(&p, s - 2);
            push(&pairs[hash(v)], s - 2);
            push(&pairs[hash(v >> 8)], s - 1);
            v >>= 16;
            entry_pair *slot = &pairs[hash(v)];
            entry_pair found = *slot;
            push(slot, s);
            distance = distance_to(s, found.current);
            if (distance >= MAX_DISTANCE)
                break;
            if (!repeats_at(&p, s, v, distance, MAX_DISTANCE - 1)) {
                distance = distance_to(s, found.previous);
                if (!repeats_at(&p, s, v, distance, MAX_DISTANCE - 1))
                    break;
            }
        }
        v >>= 8;
        s++;
    }
}
