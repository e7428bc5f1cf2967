/*
 * Go 1.27, level 3: every position is tried, against two candidates: the last position with
 * the same 5-byte hash and the one before that.
 *
 * Parallel: as level 1, but tables agree after three blocks nearly always.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT = 7,
    ENTER_STEP = 6,
    /* Candidates have to be this near, a little nearer than other levels ask. */
    REACH = FAST_REACH - 4,
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
            uint64_t ahead = load_at(&p, next);
            push(slot, s);
            distance = distance_to(s, found.current);
            if (distance <= REACH) {
                uint32_t other = distance_to(s, found.previous);
                if (repeats_at(&p, s, v, distance, REACH)) {
                    if (repeats_at(&p, s, v, other, REACH) &&
                        run(&p, s + 4, s + 4 - other) >
                            run(&p, s + 4, s + 4 - distance))
                        distance = other;
                    break;
                }
                /* The older one alone has to be nearer by one more. */
                if (repeats_at(&p, s, v, other, REACH - 1)) {
                    distance = other;
                    break;
                }
            }
            v = ahead;
        }

        /* Matches, as long as each is followed by another at once. */
        for (;;) {
            fast_match m = {s, s - distance, 4};
            m.length += run(&p, m.at + 4, m.from + 4);
            extend_back(&p, &m);
            emit(&p, &m);
            s = p.emitted;
            if (next >= s)
                s = next + 1;
            if (s >= limit) {
                /* Go enters the position behind what was repeated, not behind the match. */
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
            if (distance >= REACH)
                break;
            if (!repeats_at(&p, s, v, distance, REACH - 1)) {
                distance = distance_to(s, found.previous);
                if (!repeats_at(&p, s, v, distance, REACH - 1))
                    break;
            }
        }
        v >>= 8;
        s++;
    }
}
