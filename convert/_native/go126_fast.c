/*
 * Go up to 1.26, level 1 (compress/flate/deflatefast.go): one table of the latest position
 * of each hash of four bytes, greedy matches, and longer steps the longer nothing is found.
 *
 * Blocks are 65,535 bytes. A match may reach back into earlier blocks as far as the window
 * allows, and so the only thing that crosses a block boundary is the table, of which only
 * entries within the last 32 KiB can ever be used: that is the snapshot.
 *
 * Go keeps the four bytes beside each position; here they are read from the input, which
 * says the same. Go's renumbering of positions near 2^31 changes nothing that can be seen
 * (what it drops is out of reach), so positions here are renumbered when it suits us.
 */
#include <string.h>

#include "encoder.h"
#include "go126_coder.h"
#include "match.h"

enum {
    BLOCK_SIZE = 65535,
    TABLE_BITS = 14,
    TABLE_SIZE = 1 << TABLE_BITS,
    MIN_MATCH = 4,
    MAX_MATCH = 258,
    /* No match starts in the last 15 bytes of a block: the rules come from Snappy, whose
     * copies of 16 bytes needed that room. */
    MARGIN = 15,
    /* After 32 misses look at every second byte, after 32 more at every third ... */
    SKIP_START = 32,
    SKIP_SHIFT = 5,
    /* At the end of the stream short rests are not matched at all. */
    STORED_REST = 16,
    LITERALS_REST = 127,
    LITERAL_SLACK = 16, /* short runs are copied 16 bytes at a time */
};

/* A coordinate for positions: anything at or below NOWHERE is out of reach of the first
 * block, which starts at FIRST. */
enum { NOWHERE = 0, FIRST = NOWHERE + WINDOW_SIZE + 1 };
static const uint32_t RENUMBER_AT = UINT32_C(1) << 31;

typedef struct {
    uint32_t table[TABLE_SIZE];
    uint32_t here; /* coordinate of the next block's first byte */
    sequence sequences[BLOCK_SIZE / MIN_MATCH + 1];
    uint8_t literals[BLOCK_SIZE + LITERAL_SLACK];
} fast_state;

static inline uint32_t hash(uint32_t four) {
    return four * UINT32_C(0x1e35a7bd) >> (32 - TABLE_BITS);
}

static void fast_init(void *state, int level) {
    fast_state *f = state;
    (void)level;
    memset(f->table, 0, sizeof f->table);
    f->here = FIRST;
}

static void renumber(fast_state *f) {
    uint32_t down = f->here - FIRST;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        f->table[i] = f->table[i] > down ? f->table[i] - down : NOWHERE;
    f->here = FIRST;
}

static inline uint8_t *copy_literals(uint8_t *to, const uint8_t *from, size_t n) {
    if (n <= LITERAL_SLACK)
        memcpy(to, from, LITERAL_SLACK);
    else
        memcpy(to, from, n);
    return to + n;
}

/* Find the matches of one block, of more than MARGIN bytes. */
static void parse(fast_state *f, const uint8_t *data, size_t length, token_block *tokens) {
    uint32_t *const table = f->table;
    const uint32_t here = f->here;
    sequence *next_sequence = f->sequences;
    uint8_t *next_literal = f->literals;
    uint32_t limit = (uint32_t)(length - MARGIN);
    uint32_t emitted = 0; /* everything before is in sequences */
    uint32_t s = 0;
    uint32_t four = load32(data);
    uint32_t h = hash(four);

    for (;;) {
        uint32_t skip = SKIP_START;
        uint32_t ahead = s;
        uint32_t distance;
        for (;;) {
            s = ahead;
            uint32_t step = skip >> SKIP_SHIFT;
            ahead = s + step;
            skip += step;
            if (ahead > limit)
                goto done;
            distance = here + s - table[h];
            table[h] = here + s;
            uint32_t next_four = load32(data + ahead);
            h = hash(next_four);
            if (distance <= WINDOW_SIZE && load32(data + s - distance) == four)
                break;
            four = next_four;
        }

        uint32_t literals = s - emitted;
        /* MARGIN bytes at least follow s, so 16 from a run before it are there. */
        next_literal = copy_literals(next_literal, data + emitted, literals);
        for (;;) {
            size_t most = length - s < MAX_MATCH ? length - s : MAX_MATCH;
            uint32_t n = MIN_MATCH + (uint32_t)match_length(data + s + MIN_MATCH,
                                                            data + s + MIN_MATCH - distance,
                                                            most - MIN_MATCH);
            *next_sequence++ = (sequence){literals, (uint16_t)(n - 3), (uint16_t)(distance - 1)};
            s += n;
            emitted = s;
            if (s >= limit)
                goto done;

            /* Enter the last byte of the match and the one behind it; if that one matches
             * again, go on without looking at literals. */
            uint64_t around = load64(data + s - 1);
            table[hash((uint32_t)around)] = here + s - 1;
            uint32_t current = (uint32_t)(around >> 8);
            h = hash(current);
            distance = here + s - table[h];
            table[h] = here + s;
            if (distance > WINDOW_SIZE || load32(data + s - distance) != current) {
                four = (uint32_t)(around >> 16);
                h = hash(four);
                s++;
                break;
            }
            literals = 0;
        }
    }

done:
    tokens->tail = (uint32_t)length - emitted;
    memcpy(next_literal, data + emitted, tokens->tail);
    tokens->literals = f->literals;
    tokens->literal_count = (size_t)(next_literal - f->literals) + tokens->tail;
    tokens->sequences = f->sequences;
    tokens->count = (size_t)(next_sequence - f->sequences);
}

static void fast_encode(void *state, const block_input *block, bit_writer *out) {
    fast_state *f = state;
    size_t length = block->length;
    if (length <= LITERALS_REST) { /* only ever the last block */
        if (out == NULL)
            return;
        if (length <= STORED_REST)
            bits_stored(out, block->data, length, false);
        else
            go126_code_literals(block->data, length, out);
        return;
    }

    if (f->here > RENUMBER_AT)
        renumber(f);
    token_block tokens = {.data = block->data, .size = length};
    parse(f, block->data, length, &tokens);
    f->here += (uint32_t)length;
    if (out == NULL)
        return;

    /* Less than a sixteenth gained by matching: not worth it. */
    if (tokens.literal_count + tokens.count > length - (length >> 4))
        go126_code_literals(block->data, length, out);
    else
        go126_code_dynamic(&tokens, out);
}

static void fast_finish(void *state, bit_writer *out) {
    (void)state;
    go126_code_end(out);
}

/* Each entry as its distance from the boundary, 0 if that is out of reach. */
static void fast_save(const void *state, void *snapshot) {
    const fast_state *f = state;
    uint16_t *distances = snapshot;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        uint32_t d = f->here - f->table[i];
        distances[i] = (uint16_t)(d <= WINDOW_SIZE ? d : 0);
    }
}

static void fast_load(void *state, int level, const void *snapshot, uint64_t position) {
    fast_state *f = state;
    const uint16_t *distances = snapshot;
    (void)level;
    (void)position;
    f->here = FIRST;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        f->table[i] = distances[i] != 0 ? FIRST - distances[i] : NOWHERE;
}

const block_encoder go126_fast = {
    .block_size = BLOCK_SIZE,
    .history = WINDOW_SIZE,
    .warmup_blocks = 3,
    .state_size = sizeof(fast_state),
    .snapshot_size = TABLE_SIZE * sizeof(uint16_t),
    .init = fast_init,
    .encode = fast_encode,
    .finish = fast_finish,
    .save = fast_save,
    .load = fast_load,
};
