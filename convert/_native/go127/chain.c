/*
 * Go 1.27, levels 7 to 9: the parser.
 *
 * Algorithm: hash chains over four bytes and lazy matching. A match is held back for one position,
 * in case a longer one begins there; before it is written, a longer one is searched for at the
 * latest position that has the bytes behind the match's end. Long after the last match, several
 * literals are written at once.
 *
 * Why the bytes are Go's: searches, prices and the positions that are entered follow
 * compress/flate of Go 1.27, including its oddities (the wrapping literal streak, the offset
 * that is priced wrongly). Origins are reset earlier than Go resets them, which drops only
 * entries that are too far away.
 */
#include "go127/chain.h"

#include <string.h>

#include "deflate/huffman.h"
#include "deflate/match.h"

enum {
    /* Origins are reset before they can overflow. An entry of 0 is before any window. */
    FIRST_ORIGIN = GO127_CHAIN_WINDOW,
    LAST_ORIGIN = 1 << 26,
    /* Bytes at the start of a match found from its end that need not be equal. */
    END_SKIP = 2,
};

static const go127_chain_tuning tuning_of_level[3] = {
    {.lazy = 12, .nice = 16, .chain = 24, .weigh = false},
    {.lazy = 30, .nice = 40, .chain = 64, .weigh = false},
    {.lazy = 258, .nice = 258, .chain = 1024, .weigh = true},
};

/* ---- Tokens -------------------------------------------------------------------------- */

/* Called when a token was added and `index` is behind it. */
static inline void end_token(go127_chain_parser *s, bool closing) {
    if (s->tokens.count + s->tokens.literal_count == s->full)
        s->on_full(s->owner, closing);
}

static inline void add_literal(go127_chain_parser *s, uint8_t byte) {
    s->tokens.literals[s->tokens.literal_count++] = byte;
    s->tokens.tail++;
}

static inline void add_match(go127_chain_parser *s, int32_t length, int32_t offset) {
    s->tokens.sequences[s->tokens.count++] =
        (sequence){s->tokens.tail, (uint16_t)(length - 3), (uint16_t)(offset - 1)};
    s->tokens.tail = 0;
}

/* ---- Chains -------------------------------------------------------------------------- */

static inline uint32_t hash(const uint8_t *p) {
    return load32(p) * UINT32_C(2654435761) >> (32 - GO127_CHAIN_HASH_BITS);
}

/* Enter a position; return the entry before it in its chain. */
static inline uint32_t insert(go127_chain_parser *s, int32_t position) {
    uint32_t *head = &s->head[hash(s->window + position)];
    uint32_t follows = *head;
    s->previous[position & (GO127_CHAIN_HALF - 1)] = follows;
    *head = s->origin + (uint32_t)position;
    return follows;
}

/* Negative for entries that left the window. */
static inline int32_t position_of(const go127_chain_parser *s, uint32_t entry) {
    return (int32_t)(entry - s->origin);
}

static inline int32_t lowest_position(const go127_chain_parser *s) {
    return s->index > GO127_CHAIN_HALF ? s->index - GO127_CHAIN_HALF : 0;
}

/* The extra bits of an offset as Go prices them: of the offset itself, where the format has the
 * offset minus 1; the largest one wraps around to a price that is far too low. */
static int32_t priced_offset_bits(int32_t offset) {
    return offset < GO127_CHAIN_HALF ? deflate_offset_extra_bits[offset_code((uint32_t)offset)] : 6;
}

/* The estimated bits that a match saves compared with writing its bytes as literals. */
static int32_t gain(const go127_chain_parser *s, int32_t length, int32_t offset) {
    const uint8_t *p = s->window + s->index;
    int32_t bits = -3;
    for (int32_t i = 0; i < length; i++)
        bits += s->literal_price[p[i]];
    return bits - priced_offset_bits(offset) -
           deflate_length_extra_bits[deflate_length_codes[length - 3]];
}

static inline void find_match(go127_chain_parser *s, int32_t candidate, int32_t lookahead,
                              const go127_chain_tuning *tune) {
    const uint8_t *const here = s->window + s->index;
    const int32_t most = lookahead < GO127_CHAIN_MAX_MATCH ? lookahead : GO127_CHAIN_MAX_MATCH;
    const int32_t nice = tune->nice < most ? tune->nice : most;
    const int32_t lowest = lowest_position(s);
    int32_t best = GO127_CHAIN_MIN_MATCH - 1;
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
            return; /* its link was overwritten by a newer position */
        candidate = position_of(s, s->previous[candidate & (GO127_CHAIN_HALF - 1)]);
        if (candidate < lowest)
            return;
    }
}

/* ---- Lazy matching ------------------------------------------------------------------- */

/*
 * Before the pending match is written: find the latest position of the bytes behind its end, and
 * compare backwards from there. A longer match found this way may begin up to END_SKIP bytes
 * later; the bytes before it become literals.
 */
static inline void try_from_end(go127_chain_parser *s, int32_t *length, int32_t *offset,
                                int32_t lookahead, bool closing) {
    const int32_t start = s->index - 1;
    if (*length >= GO127_CHAIN_MAX_MATCH - END_SKIP || start + *length >= s->insert_end)
        return;
    int32_t most =
        lookahead < GO127_CHAIN_MAX_MATCH + END_SKIP ? lookahead : GO127_CHAIN_MAX_MATCH + END_SKIP;
    int32_t from = position_of(s, s->head[hash(s->window + start + *length)]) - *length;
    if (start - from == *offset || from <= lowest_position(s) + END_SKIP)
        return;
    int32_t found = (int32_t)match_length(s->window + start + END_SKIP, s->window + from + END_SKIP,
                                          (size_t)(most - END_SKIP));
    if (found <= *length)
        return;
    *offset = start - from;
    int32_t skipped = END_SKIP;
    while (skipped > 0 && found < GO127_CHAIN_MAX_MATCH &&
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

/* Long after the last match, write several literals at once, more and more of them. */
static inline void skip_literals(go127_chain_parser *s, int32_t chain, bool closing) {
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
    s->literal_pending = false;
    end_token(s, closing);
}

/* Price literals by a Huffman code for up to half a window of the input that follows. */
static void price_literals(go127_chain_parser *s) {
    uint32_t frequency[256] = {0};
    huffman_code code[256];
    int32_t n = s->end - s->index < GO127_CHAIN_HALF ? s->end - s->index : GO127_CHAIN_HALF;
    for (int32_t i = 0; i < n; i++)
        frequency[s->window[s->index + i]]++;
    deflate_huffman_build(code, frequency, 256, 15);
    for (int i = 0; i < 256; i++)
        s->literal_price[i] = code[i].length != 0 ? (uint8_t)code[i].length : 1;
}

static inline void write_match(go127_chain_parser *s, int32_t length, int32_t offset,
                               int32_t lookahead, bool closing) {
    try_from_end(s, &length, &offset, lookahead, closing);
    add_match(s, length, offset);
    int32_t behind = s->index - 1 + length;
    int32_t stop = behind < s->insert_end ? behind : s->insert_end;
    for (int32_t i = s->index + 1; i < stop; i++)
        insert(s, i);
    s->index = behind;
    s->literal_pending = false;
    s->length = GO127_CHAIN_MIN_MATCH - 1;
    end_token(s, closing);
    s->literal_streak = 0;
}

static inline void step_with(go127_chain_parser *s, bool closing, const go127_chain_tuning *tune) {
    if (tune->weigh && s->end != s->index)
        price_literals(s);
    s->insert_end = s->end - (GO127_CHAIN_MIN_MATCH - 1);

    for (;;) {
        int32_t lookahead = s->end - s->index;
        if (lookahead < GO127_CHAIN_LOOKAHEAD && !closing)
            return;
        if (lookahead == 0) {
            if (s->literal_pending)
                add_literal(s, s->window[s->index - 1]);
            s->literal_pending = false;
            return;
        }
        if (s->index < s->insert_end)
            s->chain_head = insert(s, s->index);
        int32_t pending_length = s->length;
        int32_t pending_offset = s->offset;
        int32_t candidate = position_of(s, s->chain_head);
        s->length = GO127_CHAIN_MIN_MATCH - 1;
        s->offset = 0;
        if (candidate >= lowest_position(s) && lookahead > pending_length &&
            pending_length < tune->lazy)
            find_match(s, candidate, lookahead, tune);

        if (pending_length >= GO127_CHAIN_MIN_MATCH && s->length <= pending_length) {
            write_match(s, pending_length, pending_offset, lookahead, closing);
            continue;
        }
        if (s->length >= GO127_CHAIN_MIN_MATCH)
            s->literal_streak = 0;
        if (s->literal_pending) {
            s->literal_streak++;
            add_literal(s, s->window[s->index - 1]);
            end_token(s, closing);
            s->index++;
            skip_literals(s, tune->chain, closing);
        } else {
            s->index++;
            s->literal_pending = true;
        }
    }
}

void go127_chain_step(go127_chain_parser *s, bool closing) {
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

void go127_chain_move(go127_chain_parser *s) {
    s->index -= GO127_CHAIN_HALF;
    s->end -= GO127_CHAIN_HALF;
    s->origin += GO127_CHAIN_HALF;
    if (s->origin >= LAST_ORIGIN) {
        uint32_t by = s->origin - FIRST_ORIGIN;
        lower(s->head, 1 << GO127_CHAIN_HASH_BITS, by);
        lower(s->previous, GO127_CHAIN_HALF, by);
        /* chain_head is set before it is used: where too few bytes follow for a hash, there is
         * no match either. */
        s->origin = FIRST_ORIGIN;
    }
}

void go127_chain_init(go127_chain_parser *s, int level) {
    memset(s, 0, sizeof *s);
    s->tune = tuning_of_level[level - 7];
    s->length = GO127_CHAIN_MIN_MATCH - 1;
    s->origin = FIRST_ORIGIN;
    s->full = SIZE_MAX;
}

void go127_chain_start(go127_chain_parser *s, int level, const uint8_t *window, int32_t index) {
    go127_chain_init(s, level);
    s->window = window;
    s->index = index;
    for (int32_t i = 0; i < index; i++)
        insert(s, i);
}

/* ---- Snapshots ----------------------------------------------------------------------- */

static uint16_t distance_of(const go127_chain_parser *s, uint32_t entry) {
    int32_t position = position_of(s, entry);
    return position >= lowest_position(s) ? (uint16_t)(s->index - position) : 0;
}

static uint32_t entry_of(const go127_chain_parser *s, uint16_t distance) {
    return distance != 0 ? s->origin + (uint32_t)s->index - distance : 0;
}

void go127_chain_save(const go127_chain_parser *s, go127_chain_snapshot *snapshot) {
    snapshot->index = s->index;
    snapshot->length = s->length;
    snapshot->offset = s->offset;
    snapshot->literal_pending = s->literal_pending;
    snapshot->literal_streak = s->literal_streak;
    for (size_t i = 0; i < 1 << GO127_CHAIN_HASH_BITS; i++)
        snapshot->head[i] = distance_of(s, s->head[i]);
    /* The link of a position that was not entered is too old to be near. */
    for (size_t i = 0; i < GO127_CHAIN_HALF; i++)
        snapshot->previous[i] = distance_of(s, s->previous[i]);
}

void go127_chain_load(go127_chain_parser *s, const go127_chain_snapshot *snapshot) {
    s->origin = FIRST_ORIGIN;
    s->index = snapshot->index;
    s->length = snapshot->length;
    s->offset = snapshot->offset;
    s->literal_pending = snapshot->literal_pending != 0;
    s->literal_streak = (uint16_t)snapshot->literal_streak;
    for (size_t i = 0; i < 1 << GO127_CHAIN_HASH_BITS; i++)
        s->head[i] = entry_of(s, snapshot->head[i]);
    for (size_t i = 0; i < GO127_CHAIN_HALF; i++)
        s->previous[i] = entry_of(s, snapshot->previous[i]);
}
