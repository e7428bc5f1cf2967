/*
 * Counting and writing the tokens of a block.
 *
 * Algorithm: tables combine each match length's code with its extra bits; a match is then one
 * addition of at most 48 bits to the pending word. Runs of up to three literals, which are most
 * runs, are written without a branch on their length. Counts are kept in several arrays used in
 * turn, so that equal values in a row do not wait for each other's increment.
 *
 * Why the bytes are right: the code tables and the tokens determine the bits (RFC 1951, 3.2.3).
 */
#include "deflate/token_writer.h"

#include <string.h>

/* ---- Counting ------------------------------------------------------------------------ */

enum { BYTE_LANES = 4, MATCH_LANES = 2 };

void deflate_count_bytes(const uint8_t *data, size_t n, uint32_t *frequency) {
    uint32_t lane[BYTE_LANES][256];
    memset(lane, 0, sizeof lane);
    for (; n >= BYTE_LANES; n -= BYTE_LANES, data += BYTE_LANES) {
        lane[0][data[0]]++;
        lane[1][data[1]]++;
        lane[2][data[2]]++;
        lane[3][data[3]]++;
    }
    for (size_t i = 0; i < n; i++)
        lane[i][data[i]]++;
    for (size_t i = 0; i < 256; i++)
        frequency[i] = lane[0][i] + lane[1][i] + lane[2][i] + lane[3][i];
}

typedef struct {
    uint32_t length[MATCH_LANES][256];
    uint32_t offset[MATCH_LANES][OFFSET_CODES];
} match_counts;

static inline void count_match(match_counts *c, size_t lane, sequence s) {
    c->length[lane][s.length]++;
    c->offset[lane][offset_code(s.offset)]++;
}

void deflate_count_tokens(const parsed_block *block, uint32_t *literal_frequency,
                          uint32_t *offset_frequency) {
    match_counts matches;
    memset(&matches, 0, sizeof matches);
    size_t i = 0;
    for (; i + 2 <= block->count; i += 2) {
        count_match(&matches, 0, block->sequences[i]);
        count_match(&matches, 1, block->sequences[i + 1]);
    }
    if (i < block->count)
        count_match(&matches, 0, block->sequences[i]);

    deflate_count_bytes(block->literals, block->literal_count, literal_frequency);
    literal_frequency[END_OF_BLOCK] = 1;
    memset(literal_frequency + LENGTH_CODE_0, 0, LENGTH_CODES * sizeof *literal_frequency);
    for (size_t n = 0; n < 256; n++)
        literal_frequency[LENGTH_CODE_0 + deflate_length_codes[n]] +=
            matches.length[0][n] + matches.length[1][n];
    for (size_t c = 0; c < OFFSET_CODES; c++)
        offset_frequency[c] = matches.offset[0][c] + matches.offset[1][c];
}

/* ---- Writing ------------------------------------------------------------------------- */

/* The fields of a bit_writer that change: a local copy can stay in registers, while the compiler
 * must assume that writing bytes changes a bit_writer in memory. */
typedef struct {
    uint64_t word;
    unsigned count;
    uint8_t *next;
} register_writer;

static inline register_writer load_writer(bit_writer *out) {
    bits_flush(out);
    return (register_writer){out->word, out->count, out->next};
}

static inline void save_writer(const register_writer *w, bit_writer *out) {
    out->word = w->word;
    out->count = w->count;
    out->next = w->next;
}

static inline void add_bits(register_writer *w, uint64_t bits, unsigned length) {
    w->word |= bits << w->count;
    w->count += length;
}

static inline void flush(register_writer *w) {
    store64(w->next, w->word);
    w->next += w->count >> 3;
    w->word >>= w->count & 56;
    w->count &= 7;
}

/* At most 7 bits are pending after a flush, and a code has at most 15: three codes fit a word. */
static inline void add_three(register_writer *w, huffman_code a, huffman_code b, huffman_code c) {
    uint64_t bits =
        a.bits | (uint64_t)b.bits << a.length | (uint64_t)c.bits << (a.length + b.length);
    add_bits(w, bits, (unsigned)a.length + b.length + c.length);
    flush(w);
}

static inline void add_literals(register_writer *w, const huffman_code *codes, const uint8_t *p,
                                size_t n) {
    const uint8_t *end = p + n;
    for (; end - p >= 3; p += 3)
        add_three(w, codes[p[0]], codes[p[1]], codes[p[2]]);
    for (; p < end; p++) {
        add_bits(w, codes[*p].bits, codes[*p].length);
        flush(w);
    }
}

/* The code, or an empty one. Both fields are masked at once. */
static inline huffman_code code_if(bool wanted, huffman_code code) {
    uint32_t fields;
    memcpy(&fields, &code, sizeof fields);
    fields &= 0 - (uint32_t)wanted;
    memcpy(&code, &fields, sizeof fields);
    return code;
}

/* The literals in front of a match. Reads LITERAL_SLACK bytes however few there are. */
static inline void add_run(register_writer *w, const huffman_code *codes, const uint8_t *p,
                           size_t n) {
    if (n > LITERAL_SLACK)
        add_literals(w, codes, p, n);
    else
        add_three(w, code_if(n > 0, codes[p[0]]), code_if(n > 1, codes[p[1]]),
                  code_if(n > 2, codes[p[2]]));
}

/* Each length's code with its extra bits behind it: at most 20 bits, their number above them. */
static void combine_lengths(uint32_t *combined, const huffman_code *literal) {
    for (uint32_t i = 0; i < 256; i++) {
        unsigned code = deflate_length_codes[i];
        huffman_code c = literal[LENGTH_CODE_0 + code];
        uint32_t extra = i - deflate_length_base[code];
        combined[i] = (extra << c.length | c.bits) |
                      (uint32_t)(c.length + deflate_length_extra_bits[code]) << 24;
    }
}

static inline void add_match(register_writer *w, const uint32_t *lengths,
                             const huffman_code *offsets, sequence s) {
    uint32_t length = lengths[s.length];
    unsigned code = offset_code(s.offset);
    huffman_code c = offsets[code];
    /* At most 20 + 15 + 13 bits, which fit beside 7 pending ones. */
    uint64_t offset = c.bits | (uint64_t)(s.offset - deflate_offset_base[code]) << c.length;
    add_bits(w, (length & 0xffffff) | offset << (length >> 24),
             (length >> 24) + c.length + deflate_offset_extra_bits[code]);
    flush(w);
}

void deflate_write_literals(const uint8_t *data, size_t n, const huffman_code *literal,
                            bit_writer *out) {
    register_writer w = load_writer(out);
    add_literals(&w, literal, data, n);
    save_writer(&w, out);
}

void deflate_write_tokens(const parsed_block *block, const huffman_code *literal,
                          const huffman_code *offset, bool end, bit_writer *out) {
    uint32_t lengths[256];
    const uint8_t *p = block->literals;
    uint32_t skip = block->skip;

    combine_lengths(lengths, literal);
    register_writer w = load_writer(out);
    for (size_t i = 0; i < block->count; i++) {
        sequence s = block->sequences[i];
        uint32_t run = s.literals - skip;
        skip = 0;
        add_run(&w, literal, p, run);
        add_match(&w, lengths, offset, s);
        p += run;
    }
    add_literals(&w, literal, p, block->tail);
    if (end) {
        add_bits(&w, literal[END_OF_BLOCK].bits, literal[END_OF_BLOCK].length);
        flush(&w);
    }
    save_writer(&w, out);
}
