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
    /* Where 4 bytes are hashed. */
    SKIP_SHIFT_OF_FOUR = 6,
    ENTER_STEP_OF_FOUR = 5,
    MARGIN_OF_FOUR = 7,
    SPARSE_BITS = 15,
};

static inline uint32_t hash(uint64_t v, search_rules rules) {
    if (rules.sparse3)
        return old_hash4(v, SPARSE_BITS + rules.more_bits);
    return rules.hashes_four ? hash4(v, PAIRS_BITS_3) : hash5(v, PAIRS_BITS_3);
}

/* Whether the low four bytes of v are those of an entry, at any distance. Releases before 1.10.2 keep
 * them in the table. They are used by encoders that keep all input whose positions are entered. */
static inline bool is_entry_of(const fast_parse *p, uint32_t entry, uint64_t v) {
    return entry != 0 && load32(bytes_at(p, entry)) == (uint32_t)v;
}

/* The distance of the match that releases before 1.10.2 choose at s, 0 if there is none. */
static inline uint32_t choose_far(const fast_parse *p, size_t s, uint64_t v, entry_pair found) {
    uint32_t distance = distance_to(s, found.current);
    uint32_t other = distance_to(s, found.previous);
    bool older = repeats_at(p, s, v, other, FAST_MAX_DISTANCE);
    if (!is_entry_of(p, found.current, v))
        return older ? other : 0;
    if (distance > FAST_MAX_DISTANCE)
        return 0;
    return older && run(p, s + 4, s + 4 - other) > run(p, s + 4, s + 4 - distance) ? other
                                                                                   : distance;
}

/* The same directly behind a match: the older one counts only if the latest has other bytes. */
static inline uint32_t choose_far_behind(const fast_parse *p, size_t s, uint64_t v,
                                         entry_pair found) {
    uint32_t distance = distance_to(s, found.current);
    if (is_entry_of(p, found.current, v))
        return distance <= FAST_MAX_DISTANCE ? distance : 0;
    distance = distance_to(s, found.previous);
    return repeats_at(p, s, v, distance, FAST_MAX_DISTANCE) ? distance : 0;
}

/* What is hashed at s. Behind the margin of 7 bytes not all of 8 exist. */
static inline uint64_t load_hashed(const fast_parse *p, size_t s, search_rules rules) {
    return rules.hashes_four ? load32(bytes_at(p, s)) : load_at(p, s);
}

/* Enter positions inside a match of this length that ends at s, and the two before s. */
static inline void enter_match(const fast_parse *p, entry_pair *pairs, size_t s, size_t length,
                               search_rules rules) {
    if (rules.sparse3) {
        push(&pairs[hash(load_at(p, s - 3), rules)], s - 3);
    } else {
        size_t step = rules.hashes_four ? ENTER_STEP_OF_FOUR : ENTER_STEP;
        for (size_t i = s - length + 2; i < s - 5; i += step)
            push(&pairs[hash(load_at(p, i), rules)], i);
    }
    uint64_t v = load_at(p, s - 2);
    push(&pairs[hash(v, rules)], s - 2);
    push(&pairs[hash(v >> 8, rules)], s - 1);
}

static ALWAYS_INLINE fast_parse search(fast_parser *parser, const block_input *block,
                                       const search_rules rules) {
    const unsigned skip_shift = rules.hashes_four ? SKIP_SHIFT_OF_FOUR : SKIP_SHIFT;
    entry_pair *const pairs = (entry_pair *)parser->tables;
    fast_parse p = begin_parse(parser, block);
    const size_t limit = p.end - (rules.hashes_four ? MARGIN_OF_FOUR : FAST_MARGIN);
    size_t s = p.emitted;
    uint64_t v = load_hashed(&p, s, rules);

    for (;;) {
        size_t next = s;
        uint32_t distance;
        for (;;) {
            entry_pair *slot = &pairs[hash(v, rules)];
            s = next;
            next = s + 1 + ((s - p.emitted) >> skip_shift);
            if (next > limit)
                return p;
            entry_pair found = *slot;
            uint64_t next_bytes = load_hashed(&p, next, rules);
            push(slot, s);
            if (rules.far3) {
                distance = choose_far(&p, s, v, found);
                if (distance != 0)
                    break;
                v = next_bytes;
                continue;
            }
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
            emit(&p, &m, rules);
            s = p.emitted;
            if (next >= s)
                s = next + 1;
            if (s >= limit) {
                /* Go enters the position behind the earlier bytes, not behind the match. */
                size_t t = m.from + m.length;
                if (t + (rules.hashes_four ? 4 : 8) < p.end)
                    push(&pairs[hash(load_hashed(&p, t, rules), rules)], t);
                return p;
            }
            enter_match(&p, pairs, s, m.length, rules);
            v = load_at(&p, s - 2) >> 16;
            entry_pair *slot = &pairs[hash(v, rules)];
            entry_pair found = *slot;
            push(slot, s);
            if (rules.far3) {
                distance = choose_far_behind(&p, s, v, found);
                if (distance == 0)
                    break;
                continue;
            }
            distance = distance_to(s, found.current);
            if (distance >= MAX_DISTANCE)
                break;
            bool repeated = repeats_at(&p, s, v, distance, MAX_DISTANCE - 1);
            if (repeated && rules.sparse3)
                break; /* only the older one counts */
            if (!repeated) {
                distance = distance_to(s, found.previous);
                if (!repeats_at(&p, s, v, distance, MAX_DISTANCE - 1))
                    break;
            }
        }
        v >>= 8;
        s++;
    }
}

SEARCH_IN_RELEASES(3, search)
