/* The parser of Go 1.27's levels 7 to 9; see go127_chain.h. */
#include "go127/chain.h"

#include <string.h>

#include "deflate/match.h"

enum {
    /* Origins are set back before they can overflow. Go does so later; nothing but entries out
     * of reach is lost by it. An entry of 0 lies before any window. */
    FIRST_ORIGIN = CHAIN_WINDOW,
    LAST_ORIGIN = 1 << 26,
    /* Bytes at the start of a match from the end that need not match at first. */
    END_SKIP = 2,
};

static const chain_tuning tuning_of_level[3] = {
    {.lazy = 12, .nice = 16, .chain = 24, .weigh = false},
    {.lazy = 30, .nice = 40, .chain = 64, .weigh = false},
    {.lazy = 258, .nice = 258, .chain = 1024, .weigh = true},
};

/* ---- Tokens -------------------------------------------------------------------------- */

/* Called when a token has been added and `index` stands behind it. */
static inline void end_token(chain_parser *s, bool closing) {
    if (s->tokens.count + s->tokens.literal_count == s->full)
        s->on_full(s->owner, closing);
}

static inline void add_literal(chain_parser *s, uint8_t byte) {
    s->tokens.literals[s->tokens.literal_count++] = byte;
    s->tokens.run++;
}

static inline void add_match(chain_parser *s, int32_t length, int32_t offset) {
    s->tokens.sequences[s->tokens.count++] =
        (sequence){s->tokens.run, (uint16_t)(length - 3), (uint16_t)(offset - 1)};
    s->tokens.run = 0;
}

/* ---- Chains -------------------------------------------------------------------------- */

static inline uint32_t hash(const uint8_t *p) {
    return load32(p) * UINT32_C(2654435761) >> (32 - CHAIN_HASH_BITS);
}

/* Enter a position; gives the entry it follows in its chain. */
static inline uint32_t insert(chain_parser *s, int32_t position) {
    uint32_t *head = &s->head[hash(s->window + position)];
    uint32_t follows = *head;
    s->previous[position & (CHAIN_HALF - 1)] = follows;
    *head = s->origin + (uint32_t)position;
    return follows;
}

/* Negative for entries that left the window. */
static inline int32_t position_of(const chain_parser *s, uint32_t entry) {
    return (int32_t)(entry - s->origin);
}

static inline int32_t reach(const chain_parser *s) {
    return s->index > CHAIN_HALF ? s->index - CHAIN_HALF : 0;
}

/* The extra bits of an offset as Go prices them: for the offset itself where the format takes
 * it less one; and the largest wraps to one far too cheap. */
static int32_t priced_offset_bits(int32_t offset) {
    return offset < CHAIN_HALF ? offset_extra_bits[offset_code_of((uint32_t)offset)] : 6;
}

/* What a match saves against writing its bytes as literals, in bits, by estimate. */
static int32_t gain(const chain_parser *s, int32_t length, int32_t offset) {
    const uint8_t *p = s->window + s->index;
    int32_t bits = -3;
    for (int32_t i = 0; i < length; i++)
        bits += s->literal_price[p[i]];
    return bits - priced_offset_bits(offset) - length_extra_bits[length_code_of[length - 3]];
}

static inline void find_match(chain_parser *s, int32_t candidate, int32_t lookahead,
                              const chain_tuning *tune) {
    const uint8_t *const here = s->window + s->index;
    const int32_t most = lookahead < CHAIN_MAX_MATCH ? lookahead : CHAIN_MAX_MATCH;
    const int32_t nice = tune->nice < most ? tune->nice : most;
    const int32_t lowest = reach(s);
    int32_t best = CHAIN_MIN_MATCH - 1;
    int32_t best_gain = 4;
    uint8_t last = here[best];

    for (int32_t tries = tune->chain; tries > 0; tries--) {
        const uint8_t *there = s->window + candidate;
        if (there[best] == last) {
            int32_t length = (int32_t)match_length(there, here, (size_t)most);
            if (length > best) {
                int32_t offset = s->index - candidate;
                int32_t saved = tune->weigh ? gain(s, length, offset) : 0;
                if (!tune->weigh || saved > best_gain) {
                    best_gain = saved;
                    best = length;
                    s->length = length;
                    s->offset = offset;
                    if (length >= nice)
                        return;
                    last = here[best];
                }
            }
        }
        if (candidate <= lowest)
            return; /* its successor's place has been taken by a newer position */
        candidate = position_of(s, s->previous[candidate & (CHAIN_HALF - 1)]);
        if (candidate < lowest)
            return;
    }
}

/* ---- Lazy matching ------------------------------------------------------------------- */

/*
 * Before a match that began at the position before is written: look where the bytes behind
 * it stood last, and compare backwards from there. A longer match so found may begin up to
 * END_SKIP bytes later; they become literals.
 */
static inline void try_from_end(chain_parser *s, int32_t *length, int32_t *offset,
                                int32_t lookahead, bool closing) {
    const int32_t start = s->index - 1;
    if (*length >= CHAIN_MAX_MATCH - END_SKIP || start + *length >= s->insert_end)
        return;
    int32_t most = lookahead < CHAIN_MAX_MATCH + END_SKIP ? lookahead : CHAIN_MAX_MATCH + END_SKIP;
    int32_t from = position_of(s, s->head[hash(s->window + start + *length)]) - *length;
    if (start - from == *offset || from <= reach(s) + END_SKIP)
        return;
    int32_t found = (int32_t)match_length(s->window + start + END_SKIP,
                                          s->window + from + END_SKIP, (size_t)(most - END_SKIP));
    if (found <= *length)
        return;
    *offset = start - from;
    int32_t skipped = END_SKIP;
    while (skipped > 0 && found < CHAIN_MAX_MATCH &&
           s->window[start + skipped - 1] == s->window[from + skipped - 1]) {
        skipped--;
        found++;
    }
    *length = found;
    for (int32_t i = 0; i < skipped; i++) {
        add_literal(s, s->window[start + i]);
        end_token(s, closing);
        s->index++;
        if (s->index < s->insert_end)
            s->chain_head = insert(s, s->index);
    }
}

/* Long after the last match, write more literals at once, the more the longer. */
static inline void skip_literals(chain_parser *s, int32_t chain, bool closing) {
    int32_t n = (int32_t)s->literal_streak - chain;
    if (n <= 0)
        return;
    for (n = 1 + (n >> 6); n > 0 && s->index < s->end - 1; n--) {
        add_literal(s, s->window[s->index - 1]);
        end_token(s, closing);
        if (s->index < s->insert_end)
            s->chain_head = insert(s, s->index);
        s->index++;
    }
    add_literal(s, s->window[s->index - 1]);
    s->literal_waits = false;
    end_token(s, closing);
}

/* Set the price of literals by a Huffman code for half a window of what lies ahead. */
static void price_literals(chain_parser *s) {
    uint32_t frequency[256] = {0};
    huffman_code code[256];
    int32_t n = s->end - s->index < CHAIN_HALF ? s->end - s->index : CHAIN_HALF;
    for (int32_t i = 0; i < n; i++)
        frequency[s->window[s->index + i]]++;
    huffman_build(code, frequency, 256, 15);
    for (int i = 0; i < 256; i++)
        s->literal_price[i] = code[i].length != 0 ? (uint8_t)code[i].length : 1;
}

static inline void write_match(chain_parser *s, int32_t length, int32_t offset,
                               int32_t lookahead, bool closing) {
    try_from_end(s, &length, &offset, lookahead, closing);
    add_match(s, length, offset);
    int32_t behind = s->index - 1 + length;
    int32_t stop = behind < s->insert_end ? behind : s->insert_end;
    for (int32_t i = s->index + 1; i < stop; i++)
        insert(s, i);
    s->index = behind;
    s->literal_waits = false;
    s->length = CHAIN_MIN_MATCH - 1;
    end_token(s, closing);
    s->literal_streak = 0;
}

/* Go through the window until too little lies ahead; when closing, to its end. */
static inline void step_with(chain_parser *s, bool closing, const chain_tuning *tune) {
    if (tune->weigh && s->end != s->index)
        price_literals(s);
    s->insert_end = s->end - (CHAIN_MIN_MATCH - 1);

    for (;;) {
        int32_t lookahead = s->end - s->index;
        if (lookahead < CHAIN_LOOKAHEAD && !closing)
            return;
        if (lookahead == 0) {
            if (s->literal_waits)
                add_literal(s, s->window[s->index - 1]);
            s->literal_waits = false;
            return;
        }
        if (s->index < s->insert_end)
            s->chain_head = insert(s, s->index);
        int32_t held_length = s->length;
        int32_t held_offset = s->offset;
        int32_t candidate = position_of(s, s->chain_head);
        s->length = CHAIN_MIN_MATCH - 1;
        s->offset = 0;
        if (candidate >= reach(s) && lookahead > held_length && held_length < tune->lazy)
            find_match(s, candidate, lookahead, tune);

        if (held_length >= CHAIN_MIN_MATCH && s->length <= held_length) {
            write_match(s, held_length, held_offset, lookahead, closing);
            continue;
        }
        if (s->length >= CHAIN_MIN_MATCH)
            s->literal_streak = 0;
        if (s->literal_waits) {
            s->literal_streak++;
            add_literal(s, s->window[s->index - 1]);
            end_token(s, closing);
            s->index++;
            skip_literals(s, tune->chain, closing);
        } else {
            s->index++;
            s->literal_waits = true;
        }
    }
}

void go127_chain_step(chain_parser *s, bool closing) {
    if (s->tune.weigh)
        step_with(s, closing, &tuning_of_level[2]);
    else
        step_with(s, closing, &s->tune);
}

/* ---- Moving and starting ------------------------------------------------------------- */

static void lower(uint32_t *entries, size_t n, uint32_t by) {
    for (size_t i = 0; i < n; i++)
        entries[i] = entries[i] > by ? entries[i] - by : 0;
}

void go127_chain_move(chain_parser *s) {
    s->index -= CHAIN_HALF;
    s->end -= CHAIN_HALF;
    s->origin += CHAIN_HALF;
    if (s->origin >= LAST_ORIGIN) {
        uint32_t by = s->origin - FIRST_ORIGIN;
        lower(s->head, 1 << CHAIN_HASH_BITS, by);
        lower(s->previous, CHAIN_HALF, by);
        /* chain_head is set before it is used: too few bytes for a hash are too few for
         * a match. */
        s->origin = FIRST_ORIGIN;
    }
}

void go127_chain_init(chain_parser *s, int level) {
    memset(s, 0, sizeof *s);
    s->tune = tuning_of_level[level - 7];
    s->length = CHAIN_MIN_MATCH - 1;
    s->origin = FIRST_ORIGIN;
    s->full = SIZE_MAX;
}

void go127_chain_start(chain_parser *s, int level, const uint8_t *window, int32_t index) {
    go127_chain_init(s, level);
    s->window = window;
    s->index = index;
    for (int32_t i = 0; i < index; i++)
        insert(s, i);
}

/* ---- Snapshots ----------------------------------------------------------------------- */

static uint16_t distance_of(const chain_parser *s, uint32_t entry) {
    int32_t position = position_of(s, entry);
    return position >= reach(s) ? (uint16_t)(s->index - position) : 0;
}

static uint32_t entry_of(const chain_parser *s, uint16_t distance) {
    return distance != 0 ? s->origin + (uint32_t)s->index - distance : 0;
}

void go127_chain_save(const chain_parser *s, chain_snapshot *snapshot) {
    snapshot->index = s->index;
    snapshot->length = s->length;
    snapshot->offset = s->offset;
    snapshot->literal_waits = s->literal_waits;
    snapshot->literal_streak = s->literal_streak;
    for (size_t i = 0; i < 1 << CHAIN_HASH_BITS; i++)
        snapshot->head[i] = distance_of(s, s->head[i]);
    /* A place whose position was never entered has an entry too old to be in reach. */
    for (size_t i = 0; i < CHAIN_HALF; i++)
        snapshot->previous[i] = distance_of(s, s->previous[i]);
}

void go127_chain_load(chain_parser *s, const chain_snapshot *snapshot) {
    s->origin = FIRST_ORIGIN;
    s->index = snapshot->index;
    s->length = snapshot->length;
    s->offset = snapshot->offset;
    s->literal_waits = snapshot->literal_waits != 0;
    s->literal_streak = (uint16_t)snapshot->literal_streak;
    for (size_t i = 0; i < 1 << CHAIN_HASH_BITS; i++)
        s->head[i] = entry_of(s, snapshot->head[i]);
    for (size_t i = 0; i < CHAIN_HALF; i++)
        s->previous[i] = entry_of(s, snapshot->previous[i]);
}
