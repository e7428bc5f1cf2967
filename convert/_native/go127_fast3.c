/*
 * Go 1.27, level 3: every position is tried, against two candidates: the last position with
 * the same 5-byte hash and the one before that.
 *
 * Parallel: as level 1, but tables agree after three blocks nearly always.
 */
#include "go127_fast.h"

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
    const uint8_t *const data = p.data;
    const int32_t limit = p.length - FAST_MARGIN;
    int32_t s = 0;
    uint64_t v = load64(data);

    for (;;) {
        int32_t next = s;
        uint32_t distance;
        for (;;) {
            entry_pair *slot = &pairs[hash(v)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> SKIP_SHIFT);
            if (next > limit)
                return p;
            entry_pair found = *slot;
            uint64_t ahead = load64(data + next);
            push(slot, p.origin + (uint32_t)s);
            distance = distance_to(&p, s, found.current);
            if (distance <= REACH) {
                uint32_t other = distance_to(&p, s, found.previous);
                if (matches_at(&p, s, v, distance, REACH)) {
                    if (matches_at(&p, s, v, other, REACH) &&
                        run(&p, s + 4, s + 4 - (int32_t)other) >
                            run(&p, s + 4, s + 4 - (int32_t)distance))
                        distance = other;
                    break;
                }
                /* The older one alone has to be nearer by one more. */
                if (matches_at(&p, s, v, other, REACH - 1)) {
                    distance = other;
                    break;
                }
            }
            v = ahead;
        }

        /* Matches, as long as each is followed by another at once. */
        for (;;) {
            fast_match m = {s, s - (int32_t)distance, 4};
            m.length += run(&p, m.at + 4, m.from + 4);
            extend_back(&p, &m);
            emit(&p, &m);
            s = p.emitted;
            if (next >= s)
                s = next + 1;
            if (s >= limit) {
                /* Go enters the position behind what was repeated, not behind the match. */
                int32_t t = m.from + m.length;
                if (t + 8 < p.length)
                    push(&pairs[hash(load64(data + t))], p.origin + (uint32_t)t);
                return p;
            }
            for (int32_t i = s - m.length + 2; i < s - 5; i += ENTER_STEP)
                push(&pairs[hash(load64(data + i))], p.origin + (uint32_t)i);
            v = load64(data + s - 2);
            push(&pairs[hash(v)], p.origin + (uint32_t)s - 2);
            push(&pairs[hash(v >> 8)], p.origin + (uint32_t)s - 1);
            v >>= 16;
            entry_pair *slot = &pairs[hash(v)];
            entry_pair found = *slot;
            push(slot, p.origin + (uint32_t)s);
            distance = distance_to(&p, s, found.current);
            if (distance >= REACH)
                break;
            if (!matches_at(&p, s, v, distance, REACH - 1)) {
                distance = distance_to(&p, s, found.previous);
                if (!matches_at(&p, s, v, distance, REACH - 1))
                    break;
            }
        }
        v >>= 8;
        s++;
    }
}
