/*
 * Go 1.27, level 6 (the default): level 5 with every position of a match entered under its
 * long hash, matches of any length tried from their end, against two candidates, and the
 * last match's offset tried once more beside a short candidate.
 *
 * Parallel: as level 1, but tables agree after three blocks nearly always. The last offset is
 * forgotten at each block.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT = 7,
    ENTER_STEP = 2,
    END_SKIP = 2, /* tried from the end, a match's first bytes need not match */
};

static inline uint32_t hash_short(uint64_t v) {
    return hash4(v, TABLE_BITS_6);
}

static inline uint32_t hash_long(uint64_t v) {
    return hash7(v, PAIRS_BITS_6);
}

static inline size_t short_length(const fast_parse *p, size_t s, uint32_t distance) {
    return 4 + run_up_to(p, s + 4, s + 4 - distance, FAST_SHORT_RUN);
}

/* Take the match at `at` that lies so far before if it is longer. */
static inline void take_if_longer(const fast_parse *p, size_t at, uint32_t distance,
                                  fast_match *m) {
    if (distance == 0 || distance >= FAST_REACH || distance > at - p->floor)
        return;
    size_t length = run(p, at, at - distance);
    if (length > m->length)
        *m = (fast_match){at, at - distance, length};
}

/* Look for longer matches by where the end stood last and before. */
static inline void try_from_end(const fast_parse *p, const entry_pair *longs, size_t limit,
                                fast_match *m) {
    size_t start = m->at;
    size_t end = start + m->length;
    if (end >= limit)
        return;
    entry_pair found = longs[hash_long(load_at(p, end))];
    uint32_t distance = distance_to(end, found.current);
    /* The entry may be of a position behind, which Go does not take for too far. */
    if (distance >= FAST_REACH && found.current < end)
        return;
    take_if_longer(p, start + END_SKIP, distance, m);
    /* The length may have grown, while the entry still is of the end as it was before: Go
     * does not mind, and compares at the offset that follows. */
    take_if_longer(p, start + END_SKIP, distance_to(start + m->length, found.previous), m);
}

fast_parse go127_parse6(fast_parser *parser, const block_input *block) {
    uint32_t *const shorts = parser->tables;
    entry_pair *const longs = (entry_pair *)(parser->tables + ((size_t)1 << TABLE_BITS_6));
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint32_t repeat = 1;
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        size_t length = 0; /* 0: 4 or more, not yet known */
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
                found = *by_long;
                *by_short = (uint32_t)next;
                push(by_long, next);

                /* One byte on, at the last match's offset. */
                if (repeats_at(&p, s + 1, v >> 8, repeat, FAST_REACH)) {
                    size_t other = short_length(&p, s + 1, repeat);
                    if (other > length) {
                        s++;
                        distance = repeat;
                        length = other;
                        break;
                    }
                }
                /* The next position's long candidates, the best of all. */
                uint32_t candidate = distance_to(next, found.current);
                if (candidate >= FAST_REACH)
                    break;
                uint32_t older = distance_to(next, found.previous);
                if (repeats_at(&p, next, ahead, candidate, FAST_REACH - 1)) {
                    size_t other = short_length(&p, next, candidate);
                    if (other > length) {
                        s = next;
                        distance = candidate;
                        length = other;
                    }
                }
                if (repeats_at(&p, next, ahead, older, FAST_REACH - 1)) {
                    size_t other = short_length(&p, next, older);
                    if (other > length) {
                        s = next;
                        distance = older;
                        length = other;
                    }
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
        repeat = (uint32_t)(m.at - m.from);
        s = p.emitted;
        if (next >= s)
            s = next + 1;
        if (s >= limit) {
            for (size_t i = next + 1; i < p.end - 8; i += 2) {
                v = load_at(&p, i);
                shorts[hash_short(v)] = (uint32_t)i;
                push(&longs[hash_long(v)], i);
            }
            return p;
        }
        for (size_t i = next + 1; i < s - 1; i += ENTER_STEP) {
            uint64_t w = load_at(&p, i);
            shorts[hash_short(w)] = (uint32_t)i;
            push(&longs[hash_long(w)], i);
            push(&longs[hash_long(w >> 8)], i + 1);
        }
        v = load_at(&p, s);
    }
}
