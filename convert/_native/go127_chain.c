/*
 * Go 1.27, levels 7 to 9: hash chains and lazy matching.
 *
 * Every position is entered into a chain of positions whose next four bytes have the same
 * hash. A match is held back for one position, in case a longer one begins there; a match
 * about to be written is once more looked for by where its end stood last. Tokens are cut
 * into blocks of 32,768, wherever in the input that is.
 *
 * Input passes through a window of 64 KiB. Whenever it is full the encoder takes a step: it
 * goes on until too little lies ahead, then the upper half moves down. Where the steps
 * fall fixes the bytes, as level 9 prices literals by what lies ahead at the start of
 * a step, long skips stop at the end of the window, and a block can be stored only while the
 * window still has all of it. As steps are counted from the start of the stream, the size
 * of the writes does not matter.
 */
#include <string.h>

#include "encoder.h"
#include "go127_coder.h"
#include "match.h"

enum {
    HALF = 32768,
    WINDOW = 2 * HALF,
    HASH_BITS = 17,
    MIN_MATCH = 4,
    MAX_MATCH = 258,
    /* A step stops when less than this lies ahead, unless nothing will follow. */
    LOOKAHEAD = MIN_MATCH + MAX_MATCH,
    BLOCK_TOKENS = 32768,
    CHAIN_PENALTY = 8,
    /* Positions in tables have `origin` added; it is set back before it can overflow. An
     * entry of 0 lies before any window. */
    FIRST_ORIGIN = WINDOW,
    LAST_ORIGIN = 1 << 26,
    /* Bytes at the start of a match from the end that need not match at first. */
    END_SKIP = 2,
};

typedef struct {
    int32_t lazy;  /* do not look for a better match than one this long */
    int32_t nice;  /* a match this long is taken without looking further */
    int32_t chain; /* how many candidates are looked at */
    bool weigh;    /* prefer matches by what they save, not by length alone */
} tuning;

static const tuning tuning_of_level[3] = {
    {.lazy = 12, .nice = 16, .chain = 24, .weigh = false},
    {.lazy = 30, .nice = 40, .chain = 64, .weigh = false},
    {.lazy = 258, .nice = 258, .chain = 1024, .weigh = true},
};

typedef struct {
    tuning tune;
    bit_writer out;

    /* Positions are indexes into the window. */
    int32_t index;      /* the next to be looked at */
    int32_t end;        /* of the input taken so far */
    int32_t insert_end; /* no position from here on has the bytes for a hash */
    uint32_t origin;
    uint32_t chain_head; /* entry of the last position with the hash of the present one */

    /* The match at the position before, held back; its length is MIN_MATCH - 1 if none. */
    int32_t length;
    int32_t offset;
    bool literal_waits;      /* the byte before `index` is not written yet */
    uint16_t literal_streak; /* literals since the last match; Go lets it wrap */

    /* The block being gathered. */
    int32_t block_start; /* negative: the window has lost the start */
    uint32_t run;        /* literals since the last sequence */
    size_t sequence_count;
    size_t literal_count;

    go127_coder coder;
    uint8_t literal_price[256]; /* level 9: bits per literal, estimated at each step */
    uint32_t head[1 << HASH_BITS];
    uint32_t previous[HALF];
    uint8_t window[WINDOW];
    uint8_t literals[BLOCK_TOKENS + CODER_LITERAL_SLACK];
    sequence sequences[BLOCK_TOKENS];
} chain_state;

/* ---- Blocks -------------------------------------------------------------------------- */

static void write_block(chain_state *s, bool closing) {
    parsed_block block = {
        .sequences = s->sequences,
        .count = s->sequence_count,
        .literals = s->literals,
        .literal_count = s->literal_count,
        .tail = s->run,
    };
    plain_block plain = {NULL, 0};
    if (s->block_start >= 0)
        plain = (plain_block){s->window + s->block_start, (size_t)(s->index - s->block_start)};
    block_plan plan;
    go127_plan_tokens(&plan, &block, closing);
    go127_code(&s->coder, &plan, &block, plain, &s->out);
    s->block_start = s->index;
    s->sequence_count = s->literal_count = s->run = 0;
}

/* Tokens end where `index` stands whenever one of these is called with the next token. */
static inline void end_token(chain_state *s, bool closing) {
    if (s->sequence_count + s->literal_count == BLOCK_TOKENS)
        write_block(s, closing);
}

static inline void add_literal(chain_state *s, uint8_t byte) {
    s->literals[s->literal_count++] = byte;
    s->run++;
}

static inline void add_match(chain_state *s, int32_t length, int32_t offset) {
    s->sequences[s->sequence_count++] =
        (sequence){s->run, (uint16_t)(length - 3), (uint16_t)(offset - 1)};
    s->run = 0;
}

/* ---- Chains -------------------------------------------------------------------------- */

static inline uint32_t hash(const uint8_t *p) {
    return load32(p) * UINT32_C(2654435761) >> (32 - HASH_BITS);
}

/* Enter a position; gives the entry it follows in its chain. */
static inline uint32_t insert(chain_state *s, int32_t position) {
    uint32_t *head = &s->head[hash(s->window + position)];
    uint32_t follows = *head;
    s->previous[position & (HALF - 1)] = follows;
    *head = s->origin + (uint32_t)position;
    return follows;
}

/* Negative for entries that left the window. */
static inline int32_t position_of(const chain_state *s, uint32_t entry) {
    return (int32_t)(entry - s->origin);
}

static inline int32_t reach(const chain_state *s) {
    return s->index > HALF ? s->index - HALF : 0;
}

/* The extra bits of an offset as Go prices them: for the offset itself where the format takes
 * it less one; and the largest wraps to one far too cheap. */
static int32_t priced_offset_bits(int32_t offset) {
    return offset < HALF ? offset_extra_bits[offset_code_of((uint32_t)offset)] : 6;
}

/* What a match saves against writing its bytes as literals, in bits, by estimate. */
static int32_t gain(const chain_state *s, int32_t length, int32_t offset) {
    const uint8_t *p = s->window + s->index;
    int32_t bits = -3;
    for (int32_t i = 0; i < length; i++)
        bits += s->literal_price[p[i]];
    return bits - priced_offset_bits(offset) - length_extra_bits[length_code_of[length - 3]];
}

static inline void find_match(chain_state *s, int32_t candidate, int32_t lookahead,
                              const tuning *tune) {
    const uint8_t *const here = s->window + s->index;
    const int32_t most = lookahead < MAX_MATCH ? lookahead : MAX_MATCH;
    const int32_t nice = tune->nice < most ? tune->nice : most;
    const int32_t lowest = reach(s);
    int32_t best = MIN_MATCH - 1;
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
        candidate = position_of(s, s->previous[candidate & (HALF - 1)]);
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
static inline void try_from_end(chain_state *s, int32_t *length, int32_t *offset,
                                int32_t lookahead, bool closing) {
    const int32_t start = s->index - 1;
    if (*length >= MAX_MATCH - END_SKIP || start + *length >= s->insert_end)
        return;
    int32_t most = lookahead < MAX_MATCH + END_SKIP ? lookahead : MAX_MATCH + END_SKIP;
    int32_t from = position_of(s, s->head[hash(s->window + start + *length)]) - *length;
    if (start - from == *offset || from <= reach(s) + END_SKIP)
        return;
    int32_t found = (int32_t)match_length(s->window + start + END_SKIP,
                                          s->window + from + END_SKIP, (size_t)(most - END_SKIP));
    if (found <= *length)
        return;
    *offset = start - from;
    int32_t skipped = END_SKIP;
    while (skipped > 0 && found < MAX_MATCH &&
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
static inline void skip_literals(chain_state *s, int32_t chain, bool closing) {
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
static void price_literals(chain_state *s) {
    uint32_t frequency[256] = {0};
    huffman_code code[256];
    int32_t n = s->end - s->index < HALF ? s->end - s->index : HALF;
    for (int32_t i = 0; i < n; i++)
        frequency[s->window[s->index + i]]++;
    huffman_build(code, frequency, 256, 15);
    for (int i = 0; i < 256; i++)
        s->literal_price[i] = code[i].length != 0 ? (uint8_t)code[i].length : 1;
}

static inline void write_match(chain_state *s, int32_t length, int32_t offset,
                               int32_t lookahead, bool closing) {
    try_from_end(s, &length, &offset, lookahead, closing);
    add_match(s, length, offset);
    int32_t behind = s->index - 1 + length;
    int32_t stop = behind < s->insert_end ? behind : s->insert_end;
    for (int32_t i = s->index + 1; i < stop; i++)
        insert(s, i);
    s->index = behind;
    s->literal_waits = false;
    s->length = MIN_MATCH - 1;
    end_token(s, closing);
    s->literal_streak = 0;
}

/* Go through the window until too little lies ahead; when closing, to its end. */
static inline void step_with(chain_state *s, bool closing, const tuning *tune) {
    if (tune->weigh && s->end != s->index)
        price_literals(s);
    s->insert_end = s->end - (MIN_MATCH - 1);

    for (;;) {
        int32_t lookahead = s->end - s->index;
        if (lookahead < LOOKAHEAD && (!closing || lookahead == 0))
            return;
        if (s->index < s->insert_end)
            s->chain_head = insert(s, s->index);
        int32_t held_length = s->length;
        int32_t held_offset = s->offset;
        int32_t candidate = position_of(s, s->chain_head);
        s->length = MIN_MATCH - 1;
        s->offset = 0;
        if (candidate >= reach(s) && lookahead > held_length && held_length < tune->lazy)
            find_match(s, candidate, lookahead, tune);

        if (held_length >= MIN_MATCH && s->length <= held_length) {
            write_match(s, held_length, held_offset, lookahead, closing);
            continue;
        }
        if (s->length >= MIN_MATCH)
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

static void step(chain_state *s, bool closing) {
    if (s->tune.weigh)
        step_with(s, closing, &tuning_of_level[2]);
    else
        step_with(s, closing, &s->tune);
}

/* ---- The window ---------------------------------------------------------------------- */

static void lower(uint32_t *entries, size_t n, uint32_t by) {
    for (size_t i = 0; i < n; i++)
        entries[i] = entries[i] > by ? entries[i] - by : 0;
}

static void move_down(chain_state *s) {
    memcpy(s->window, s->window + HALF, HALF);
    s->index -= HALF;
    s->end -= HALF;
    s->block_start = s->block_start >= HALF ? s->block_start - HALF : -1;
    s->origin += HALF;
    if (s->origin >= LAST_ORIGIN) {
        uint32_t by = s->origin - FIRST_ORIGIN;
        lower(s->head, 1 << HASH_BITS, by);
        lower(s->previous, HALF, by);
        /* chain_head is set before it is used: too few bytes for a hash are too few for
         * a match. */
        s->origin = FIRST_ORIGIN;
    }
}

static void init(void *state, int level) {
    chain_state *s = state;
    memset(s, 0, offsetof(chain_state, window));
    s->tune = tuning_of_level[level - 7];
    s->length = MIN_MATCH - 1;
    s->origin = FIRST_ORIGIN;
    go127_coder_init(&s->coder, CHAIN_PENALTY);
}

static size_t bound(const void *state, size_t n) {
    (void)state;
    /* Tokens that wait, each a match at the worst, and two bytes a byte of input. */
    return (size_t)BLOCK_TOKENS * 6 + 2 * (WINDOW + n) + (n / BLOCK_TOKENS + 4) * 1024;
}

/* The state keeps the bits that do not fill a byte; output starts afresh in each call. */
static void begin_output(chain_state *s, uint8_t *out) {
    uint64_t word = s->out.word;
    unsigned count = s->out.count;
    bits_init(&s->out, out);
    s->out.word = word;
    s->out.count = count;
}

static size_t end_output(chain_state *s) {
    bits_flush(&s->out);
    return (size_t)(s->out.next - s->out.start);
}

static size_t write(void *state, const uint8_t *data, size_t n, uint8_t *out) {
    chain_state *s = state;
    begin_output(s, out);
    while (n > 0) {
        /* A full window waits for more: the last step of a stream is another one. */
        if (s->end == WINDOW) {
            step(s, false);
            move_down(s);
        }
        size_t room = (size_t)(WINDOW - s->end);
        size_t taken = n < room ? n : room;
        memcpy(s->window + s->end, data, taken);
        s->end += (int32_t)taken;
        data += taken;
        n -= taken;
    }
    return end_output(s);
}

static size_t finish(void *state, uint8_t *out) {
    chain_state *s = state;
    begin_output(s, out);
    step(s, true);
    if (s->literal_waits)
        add_literal(s, s->window[s->index - 1]);
    if (s->sequence_count + s->literal_count != 0)
        write_block(s, true);
    go127_code_end(&s->coder, &s->out);
    return end_output(s);
}

const token_encoder go127_chain = {
    .state_size = sizeof(chain_state),
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
