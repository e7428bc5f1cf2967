/*
 * Go 1.27, level 5: level 4 with two candidates by the long hash. A match found is then
 * tried once more from its end: what stood last where the match stops may, followed
 * backwards, give a longer one.
 *
 * Parallel: as level 1, but tables agree after three blocks nearly always.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT = 6,
    ENTER_STEP = 3,
    LONG_ENOUGH = 30, /* such a match is not tried from its end */
    END_SKIP = 2,     /* there, its first bytes need not match */
};

static inline uint32_t hash_short(uint64_t v) {
    return hash4(v, TABLE_BITS_5);
}

static inline uint32_t hash_long(uint64_t v) {
    return hash7(v, PAIRS_BITS_5);
}

static inline size_t short_length(const fast_parse *p, size_t s, uint32_t distance) {
    return 4 + run_up_to(p, s + 4, s + 4 - distance, FAST_SHORT_RUN);
}

/* Look for a longer match by where its end stood last. */
static inline void try_from_end(const fast_parse *p, const entry_pair *longs, size_t limit,
                                fast_match *m) {
    size_t end = m->at + m->length;
    if (m->length >= LONG_ENOUGH || end >= limit)
        return;
    /* The entry may be of a position behind. */
    uint32_t distance = distance_to(end, longs[hash_long(load_at(p, end))].current);
    size_t at = m->at + END_SKIP;
    if (distance == 0 || distance >= FAST_REACH || distance > at - p->floor)
        return;
    size_t from = at - distance;
    size_t length = run(p, at, from);
    if (length > m->length)
        *m = (fast_match){at, from, length};
}

fast_parse go127_parse5(fast_parser *parser, const block_input *block) {
    uint32_t *const shorts = parser->tables;
    entry_pair *const longs = (entry_pair *)(parser->tables + ((size_t)1 << TABLE_BITS_5));
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        size_t length = 0; /* 0: more than 4, not yet known */
        uint32_t distance;
        for (;;) {
            uint32_t *by_short = &shorts[hash_short(v)];
            entry_pair *by_long = &longs[hash_long(v)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> SKIP_SHIFT);
            if (next > limit)
                return p;
            uint32_t short_distance = distance_to(s, *by_short);
            entry_pair found = *by_long;
            uint64_t ahead = load_at(&p, next);
            *by_short = (uint32_t)s;
            push(by_long, s);
            by_short = &shorts[hash_short(ahead)];
            by_long = &longs[hash_long(ahead)];

            distance = distance_to(s, found.current);
            if (distance < FAST_REACH) {
                uint32_t older = distance_to(s, found.previous);
                if (repeats_at(&p, s, v, distance, FAST_REACH - 1)) {
                    *by_short = (uint32_t)next;
                    push(by_long, next);
                    if (repeats_at(&p, s, v, older, FAST_REACH - 1)) {
                        length = short_length(&p, s, distance);
                        size_t other = short_length(&p, s, older);
                        if (other > length) {
                            length = other;
                            distance = older;
                        }
                    }
                    break;
                }
                if (repeats_at(&p, s, v, older, FAST_REACH - 1)) {
                    distance = older;
                    *by_short = (uint32_t)next;
                    push(by_long, next);
                    break;
                }
            }

            if (repeats_at(&p, s, v, short_distance, FAST_REACH - 1)) {
                distance = short_distance;
                length = short_length(&p, s, distance);
                /* The next position's long candidates, if one of them is better. */
                found = *by_long;
                *by_short = (uint32_t)next;
                push(by_long, next);
                uint32_t candidate = distance_to(next, found.current);
                if (candidate >= FAST_REACH)
                    break;
                size_t other = 0;
                if (repeats_at(&p, next, ahead, candidate, FAST_REACH - 1))
                    other = short_length(&p, next, candidate);
                if (other <= length) {
                    candidate = distance_to(next, found.previous);
                    if (repeats_at(&p, next, ahead, candidate, FAST_REACH - 1))
                        other = short_length(&p, next, candidate);
                }
                if (other > length) {
                    s = next;
                    distance = candidate;
                    length = other;
                }
                break;
            }
            v = ahead;
        }

        fast_match m = {s, s - distance, length};
        if (length == 0)
            m.length = 4 + run(&p, m.at + 4, m.from + 4);
        else if (length == 4 + FAST_SHORT_RUN)
            m.length += run(&p, m.at + length, m.from + length);
        try_from_end(&p, longs, limit, &m);
        extend_back(&p, &m);
        emit(&p, &m);
        s = p.emitted;
        if (next >= s)
            s = next + 1;
        if (s >= limit)
            return p;

        size_t i = s - m.length + 1;
        if (i < s - 1) {
            uint64_t w = load_at(&p, i);
            uint32_t entry = (uint32_t)i;
            shorts[hash_short(w)] = entry;
            push(&longs[hash_long(w)], entry);
            push(&longs[hash_long(w >> 8)], entry + 1);
            shorts[hash_short(w >> 16)] = entry + 2;
            for (i += 4; i < s - 1; i += ENTER_STEP) {
                w = load_at(&p, i);
                push(&longs[hash_long(w)], i);
                shorts[hash_short(w >> 8)] = (uint32_t)i + 1;
            }
        }
        v = load_at(&p, s - 1);
        shorts[hash_short(v)] = (uint32_t)s - 1;
        push(&longs[hash_long(v)], s - 1);
        v >>= 8;
    }
}
