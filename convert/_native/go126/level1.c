/*
 * Go up to 1.26, level 1 (compress/flate/deflatefast.go).
 *
 * Algorithm: one table with the latest position of each hash of four bytes, greedy matches, and
 * longer steps the longer nothing is found. Blocks are 65,535 bytes; a match may reach back into
 * earlier blocks as far as the window allows.
 *
 * Why the bytes are Go's: the hash, the steps, the margins at the end of a block and the order in
 * which positions are entered are Go's. Two differences cannot be seen in the output. Go keeps
 * the four bytes of each position in the table; here they are read from the input, which is the
 * same. And positions have 16 bits here, so that the table fits into the first-level cache; see
 * renumber(). Go renumbers near 2^31, which drops only what is too far away anyway.
 *
 * In parallel: the table is all that crosses a block boundary, and only entries within the last
 * 32 KiB can be used. Those are the snapshot.
 */
#include <string.h>

#include "deflate/match.h"
#include "go126/block_writer.h"
#include "go126/go126.h"

enum {
    BLOCK_SIZE = 65535,
    TABLE_BITS = 14,
    TABLE_SIZE = 1 << TABLE_BITS,
    MIN_MATCH = BLOCK_MIN_MATCH,
    MAX_MATCH = 258,
    /* No match starts in the last 15 bytes of a block: the rules come from Snappy, which
     * copied 16 bytes at a time. */
    MARGIN = 15,
    /* After 32 misses look at every second byte, after 32 more at every third ... */
    SKIP_START = 32,
    SKIP_SHIFT = 5,
    /* A last block this short is stored or written as literals, without a search. */
    STORED_REST = 16,
    LITERALS_REST = 127,
    TOO_FAR = WINDOW_SIZE + 1,
    /* Two calls of renumber() may be 65,535 - TOO_FAR bytes apart, including the longest match
     * or step between two checks. */
    RENUMBER_EVERY = BLOCK_SIZE / 3,
};

typedef struct {
    uint16_t table[TABLE_SIZE]; /* positions modulo 65,536 */
    size_t here;                /* position of the next block's first byte */
} fast_parser;

static inline uint32_t hash(uint32_t four) {
    return four * UINT32_C(0x1e35a7bd) >> (32 - TABLE_BITS);
}

static void fast_init(void *parser, int level) {
    fast_parser *f = parser;
    (void)level;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        f->table[i] = (uint16_t)-TOO_FAR;
    f->here = 0;
}

/*
 * Make `origin` position 0, and limit the distance of entries that are too far from `here`:
 * otherwise it would wrap around to 0 and look like a distance that can be used.
 */
static void renumber(uint16_t *table, size_t origin, size_t here) {
    const uint16_t before = (uint16_t)(here - 1);
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        /* The distance minus 1: its highest bit is set from TOO_FAR on, and then the others
         * are cleared. No comparison, so that compilers vectorise the loop. */
        uint16_t distance = (uint16_t)(before - table[i]);
        uint16_t far = (uint16_t)(0 - (distance >> 15));
        distance &= (uint16_t)~(far & 0x7fff);
        table[i] = (uint16_t)(before - distance - origin);
    }
}

static inline uint8_t *copy_literals(uint8_t *to, const uint8_t *from, size_t n) {
    if (n <= BLOCK_COPY)
        memcpy(to, from, BLOCK_COPY);
    else
        memcpy(to, from, n);
    return to + n;
}

/* Where to renumber next or, near the end of the block, to stop. */
static inline size_t next_stop(size_t s, size_t limit) {
    return limit - s < RENUMBER_EVERY ? limit : s + RENUMBER_EVERY;
}

/* Find the matches of one block, of more than MARGIN bytes. */
static void find_matches(fast_parser *f, const uint8_t *data, size_t length, block_buffer buffer,
                         parsed_block *parsed) {
    uint16_t *const table = f->table;
    sequence *next_sequence = buffer.sequences;
    uint8_t *next_literal = buffer.literals;
    const size_t limit = length - MARGIN;
    size_t stop = next_stop(0, limit);
    size_t emitted = 0; /* everything before is in sequences */
    size_t s = 0;
    uint32_t four = load32(data);
    uint32_t h = hash(four);
    renumber(table, f->here, f->here);

    for (;;) {
        size_t skip = SKIP_START;
        size_t next = s;
        uint32_t distance;
        for (;;) {
            s = next;
            size_t step = skip >> SKIP_SHIFT;
            next = s + step;
            skip += step;
            if (next > stop) {
                if (next > limit)
                    goto done;
                renumber(table, 0, s);
                stop = next_stop(s, limit);
            }
            distance = (uint16_t)(s - table[h]);
            table[h] = (uint16_t)s;
            uint32_t next_four = load32(data + next);
            h = hash(next_four);
            if (repeats(data + s, four, distance, WINDOW_SIZE))
                break;
            four = next_four;
        }

        size_t literals = s - emitted;
        /* At least MARGIN bytes follow s, so 16 bytes from a run before it are readable. */
        next_literal = copy_literals(next_literal, data + emitted, literals);
        for (;;) {
            size_t most = length - s < MAX_MATCH ? length - s : MAX_MATCH;
            size_t n = MIN_MATCH + match_length(data + s + MIN_MATCH,
                                                data + s + MIN_MATCH - distance, most - MIN_MATCH);
            *next_sequence++ =
                (sequence){(uint32_t)literals, (uint16_t)(n - 3), (uint16_t)(distance - 1)};
            s += n;
            emitted = s;
            if (s >= stop) {
                if (s >= limit)
                    goto done;
                renumber(table, 0, s);
                stop = next_stop(s, limit);
            }

            /* Enter the last byte of the match and the one behind it; if that one matches
             * again, no literals are considered. */
            uint64_t around = load64(data + s - 1);
            table[hash((uint32_t)around)] = (uint16_t)(s - 1);
            uint32_t current = (uint32_t)(around >> 8);
            h = hash(current);
            distance = (uint16_t)(s - table[h]);
            table[h] = (uint16_t)s;
            if (!repeats(data + s, current, distance, WINDOW_SIZE)) {
                four = (uint32_t)(around >> 16);
                h = hash(four);
                s++;
                break;
            }
            literals = 0;
        }
    }

done:
    f->here = length;
    size_t tail = length - emitted;
    memcpy(next_literal, data + emitted, tail);
    *parsed = (parsed_block){
        .sequences = buffer.sequences,
        .count = (size_t)(next_sequence - buffer.sequences),
        .literals = buffer.literals,
        .literal_count = (size_t)(next_literal - buffer.literals) + tail,
        .tail = tail,
    };
}

static void fast_parse(void *parser, const block_input *block, block_buffer buffer,
                       parsed_block *parsed) {
    size_t length = block->length;
    if (length <= LITERALS_REST) { /* only ever the last block */
        parsed->kind = length <= STORED_REST ? BLOCK_STORED : BLOCK_LITERALS;
        return;
    }
    find_matches(parser, block->data, length, buffer, parsed);
    /* If matching saves less than a sixteenth of the tokens, Go does not use it. */
    parsed->kind = parsed_tokens(parsed) > length - (length >> 4) ? BLOCK_LITERALS : BLOCK_TOKENS;
}

/* The distance of each entry from the boundary, 0 if it is too far. */
static void fast_save(const void *parser, void *snapshot) {
    const fast_parser *f = parser;
    uint16_t *distances = snapshot;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        uint16_t distance = (uint16_t)(f->here - f->table[i]);
        distances[i] = distance < TOO_FAR ? distance : 0;
    }
}

const block_encoder go126_level1 = {
    .block_size = BLOCK_SIZE,
    .history = WINDOW_SIZE,
    .warmup_blocks = 2,
    .convergence = CONVERGES_SOON,
    .parser_size = sizeof(fast_parser),
    .snapshot_size = TABLE_SIZE * sizeof(uint16_t),
    .parser_init = fast_init,
    .parse = fast_parse,
    .save = fast_save,
    .write = go126_write_block,
    .end = go126_write_end,
};
