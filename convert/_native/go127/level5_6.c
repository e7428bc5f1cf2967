/*
 * Go 1.27, levels 5 and 6 (6 is the default level).
 *
 * Algorithm: level 4 with two candidates by the long hash, the latest position and the one before.
 * A match is compared with the one found from its end: the latest position with the bytes behind
 * the match may, followed backwards, give a longer match. Level 6 also tries the last match's
 * offset beside a short candidate, tries matches of any length from their end, with two
 * candidates, and enters every position of a match under its long hash.
 *
 * Why the bytes are Go's: hashes, steps, comparisons and entered positions are those of
 * compress/flate. Where the two levels differ, `level6` decides; it is a constant in each of
 * the functions that the compiler makes of search().
 *
 * In parallel: as level 1, but tables are nearly always equal after three blocks. Level 6 forgets
 * the last offset at each block.
 */
#include "go127/fast.h"

enum {
    SKIP_SHIFT_5 = 6,
    SKIP_SHIFT_6 = 7,
    ENTER_STEP_5 = 3,
    ENTER_STEP_6 = 2,
    LONG_ENOUGH = 30, /* level 5 does not try a match of this length from its end */
    NEAR = FAST_MAX_DISTANCE - 1,
};

static inline uint32_t hash_short(uint64_t v, search_rules rules) {
    return hash4(v, TABLE_BITS_56 + rules.more_bits);
}

static inline uint32_t hash_long(uint64_t v, search_rules rules) {
    return hash7(v, PAIRS_BITS_56 + rules.more_bits);
}

static inline size_t short_length(const fast_parse *p, size_t s, uint32_t distance) {
    return 4 + run_up_to(p, s + 4, s + 4 - distance, FAST_SHORT_RUN);
}

/* Take the match at `at` with this distance if it is valid and longer. */
static inline void take_if_longer(const fast_parse *p, size_t at, uint32_t distance,
                                  fast_match *m) {
    if (distance == 0 || distance >= FAST_MAX_DISTANCE || distance > at - p->lowest)
        return;
    size_t length = run(p, at, at - distance);
    if (length > m->length)
        *m = (fast_match){at, at - distance, length};
}

/* Search for a longer match by the entries for the bytes behind its end. */
static inline void try_from_end(const fast_parse *p, const entry_pair *longs, size_t limit,
                                bool level6, search_rules rules, fast_match *m) {
    size_t start = m->at;
    size_t end = start + m->length;
    if ((!level6 && m->length >= LONG_ENOUGH) || end >= limit)
        return;
    entry_pair found = longs[hash_long(load_at(p, end), rules)];
    /* The entry may be behind the end; then the distance is huge. */
    uint32_t distance = distance_to(end, found.current);
    if (level6 && distance >= FAST_MAX_DISTANCE && found.current < end)
        return;
    take_if_longer(p, start + rules.end_skip, distance, m);
    /* The length may have grown, while the entry is still that of the earlier end: Go compares at
     * the offset that follows from the new length. */
    if (level6)
        take_if_longer(p, start + rules.end_skip, distance_to(start + m->length, found.previous),
                       m);
}

/* Enter positions inside a match that begins before `next` and ends at s. */
static inline void enter_match_5(const fast_parse *p, uint32_t *shorts, entry_pair *longs, size_t s,
                                 size_t length, search_rules rules) {
    size_t i = s - length + 1;
    if (i < s - 1) {
        uint64_t w = load_at(p, i);
        uint32_t entry = (uint32_t)i;
        shorts[hash_short(w, rules)] = entry;
        push(&longs[hash_long(w, rules)], entry);
        push(&longs[hash_long(w >> 8, rules)], entry + 1);
        shorts[hash_short(w >> 16, rules)] = entry + 2;
        for (i += 4; i < s - 1; i += ENTER_STEP_5) {
            w = load_at(p, i);
            push(&longs[hash_long(w, rules)], i);
            shorts[hash_short(w >> 8, rules)] = (uint32_t)i + 1;
        }
    }
}

static inline void enter_match_6(const fast_parse *p, uint32_t *shorts, entry_pair *longs, size_t s,
                                 size_t next, search_rules rules) {
    for (size_t i = next + 1; i < s - 1; i += ENTER_STEP_6) {
        uint64_t w = load_at(p, i);
        shorts[hash_short(w, rules)] = (uint32_t)i;
        push(&longs[hash_long(w, rules)], i);
        push(&longs[hash_long(w >> 8, rules)], i + 1);
    }
}

static ALWAYS_INLINE fast_parse search(fast_parser *parser, const block_input *block,
                                       const bool level6, const search_rules rules) {
    const unsigned skip_shift = level6 ? SKIP_SHIFT_6 : SKIP_SHIFT_5;
    uint32_t *const shorts = parser->tables;
    entry_pair *const longs =
        (entry_pair *)(parser->tables + ((size_t)1 << (TABLE_BITS_56 + rules.more_bits)));
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - FAST_MARGIN;
    size_t s = p.emitted;
    uint32_t repeat = 1; /* level 6: the offset of the last match */
    uint64_t v = load_at(&p, s);

    for (;;) {
        size_t next = s;
        size_t length = 0; /* 0: 4 or more, not yet known */
        uint32_t distance;
        for (;;) {
            uint32_t *by_short = &shorts[hash_short(v, rules)];
            entry_pair *by_long = &longs[hash_long(v, rules)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> skip_shift);
            if (next > limit)
                return p;
            uint32_t short_distance = distance_to(s, *by_short);
            entry_pair found = *by_long;
            uint64_t next_bytes = load_at(&p, next);
            *by_short = (uint32_t)s;
            push(by_long, s);
            by_short = &shorts[hash_short(next_bytes, rules)];
            by_long = &longs[hash_long(next_bytes, rules)];

            distance = distance_to(s, found.current);
            if (distance < FAST_MAX_DISTANCE) {
                uint32_t older = distance_to(s, found.previous);
                if (repeats_at(&p, s, v, distance, NEAR)) {
                    *by_short = (uint32_t)next;
                    push(by_long, next);
                    if (repeats_at(&p, s, v, older, NEAR)) {
                        length = short_length(&p, s, distance);
                        size_t other = short_length(&p, s, older);
                        if (other > length) {
                            length = other;
                            distance = older;
                        }
                    }
                    break;
                }
                if (repeats_at(&p, s, v, older, NEAR)) {
                    distance = older;
                    *by_short = (uint32_t)next;
                    push(by_long, next);
                    break;
                }
            }

            if (repeats_at(&p, s, v, short_distance, NEAR)) {
                distance = short_distance;
                length = short_length(&p, s, distance);
                found = *by_long;
                *by_short = (uint32_t)next;
                push(by_long, next);

                /* One byte later, at the last match's offset. */
                if (level6 && repeats_at(&p, s + 1, v >> 8, repeat, FAST_MAX_DISTANCE)) {
                    size_t other = short_length(&p, s + 1, repeat);
                    if (other > length) {
                        s++;
                        distance = repeat;
                        length = other;
                        break;
                    }
                }
                /* The next position's long candidates. */
                uint32_t candidate = distance_to(next, found.current);
                if (candidate >= FAST_MAX_DISTANCE)
                    break;
                bool taken = false;
                if (repeats_at(&p, next, next_bytes, candidate, NEAR)) {
                    size_t other = short_length(&p, next, candidate);
                    if (other > length) {
                        s = next;
                        distance = candidate;
                        length = other;
                        taken = true;
                    }
                }
                /* Level 5 tries the older one only if the other is not better. */
                uint32_t older = distance_to(next, found.previous);
                if ((level6 || !taken) && repeats_at(&p, next, next_bytes, older, NEAR)) {
                    size_t other = short_length(&p, next, older);
                    if (other > length) {
                        s = next;
                        distance = older;
                        length = other;
                    }
                }
                break;
            }
            v = next_bytes;
        }

        fast_match m = {s, s - distance, length};
        if (length == 0)
            m.length = 4 + run(&p, m.at + 4, m.from + 4);
        else if (length == 4 + FAST_SHORT_RUN)
            m.length += run(&p, m.at + length, m.from + length);
        if (rules.tries_end)
            try_from_end(&p, longs, limit, level6, rules, &m);
        extend_back(&p, &m);
        emit(&p, &m, rules);
        repeat = (uint32_t)(m.at - m.from);
        s = p.emitted;
        if (next >= s)
            s = next + 1;
        if (s >= limit) {
            for (size_t i = next + 1; level6 && i < p.end - 8; i += 2) {
                v = load_at(&p, i);
                shorts[hash_short(v, rules)] = (uint32_t)i;
                push(&longs[hash_long(v, rules)], i);
            }
            return p;
        }
        if (level6) {
            enter_match_6(&p, shorts, longs, s, next, rules);
            v = load_at(&p, s);
        } else {
            enter_match_5(&p, shorts, longs, s, m.length, rules);
            v = load_at(&p, s - 1);
            shorts[hash_short(v, rules)] = (uint32_t)s - 1;
            push(&longs[hash_long(v, rules)], s - 1);
            v >>= 8;
        }
    }
}

static ALWAYS_INLINE fast_parse search5(fast_parser *parser, const block_input *block,
                                        const search_rules rules) {
    return search(parser, block, false, rules);
}

static ALWAYS_INLINE fast_parse search6(fast_parser *parser, const block_input *block,
                                        const search_rules rules) {
    return search(parser, block, true, rules);
}

SEARCH_IN_RELEASES(5, search5)

SEARCH_IN_RELEASES(6, search6)
