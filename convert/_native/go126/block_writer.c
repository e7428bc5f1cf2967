/* See go126_coder.h. The rules are those of compress/flate/huffman_bit_writer.go, Go 1.26. */
#include "go126/block_writer.h"

#include <string.h>

enum { STORED_MAX = 65535 };

typedef struct {
    uint32_t literal_frequency[LITERAL_CODES];
    uint32_t offset_frequency[OFFSET_CODES];
    huffman_code literal[LITERAL_CODES];
    huffman_code offset[OFFSET_CODES];
    unsigned literals; /* symbols up to the last used one */
    unsigned offsets;
    dynamic_header header;
} block_code;

/* ---- Counting -------------------------------------------------------------------------- */

/* Equal bytes in a row would wait for each other's count to be stored: so several counts. */
typedef struct {
    uint32_t lane[4][256];
} byte_counts;

static inline void count_bytes(byte_counts *c, const uint8_t *p, size_t n) {
    while (n >= 4) {
        c->lane[0][p[0]]++;
        c->lane[1][p[1]]++;
        c->lane[2][p[2]]++;
        c->lane[3][p[3]]++;
        p += 4;
        n -= 4;
    }
    for (size_t i = 0; i < n; i++)
        c->lane[i][p[i]]++;
}

static void sum_bytes(const byte_counts *c, uint32_t *frequency) {
    for (size_t i = 0; i < 256; i++)
        frequency[i] = c->lane[0][i] + c->lane[1][i] + c->lane[2][i] + c->lane[3][i];
}

/* Likewise for lengths and the codes of offsets. */
typedef struct {
    uint32_t length[2][256];
    uint32_t offset[2][OFFSET_CODES];
} match_counts;

static inline void count_match(match_counts *c, size_t lane, sequence s) {
    c->length[lane][s.length]++;
    c->offset[lane][offset_code_of(s.offset)]++;
}

static void count_tokens(const token_block *block, block_code *code) {
    byte_counts bytes;
    match_counts matches;
    memset(&bytes, 0, sizeof bytes);
    memset(&matches, 0, sizeof matches);
    memset(code->literal_frequency, 0, sizeof code->literal_frequency);

    count_bytes(&bytes, block->literals, block->literal_count);
    size_t i = 0;
    for (; i + 2 <= block->count; i += 2) {
        count_match(&matches, 0, block->sequences[i]);
        count_match(&matches, 1, block->sequences[i + 1]);
    }
    if (i < block->count)
        count_match(&matches, 0, block->sequences[i]);

    sum_bytes(&bytes, code->literal_frequency);
    for (size_t n = 0; n < 256; n++)
        code->literal_frequency[LENGTH_CODE_0 + length_code_of[n]] +=
            matches.length[0][n] + matches.length[1][n];
    for (size_t c = 0; c < OFFSET_CODES; c++)
        code->offset_frequency[c] = matches.offset[0][c] + matches.offset[1][c];
    code->literal_frequency[END_OF_BLOCK] = 1;
}

/* The block's own code, and the header that describes it. */
static void make_code(block_code *code) {
    code->literals = LITERAL_CODES;
    while (code->literal_frequency[code->literals - 1] == 0)
        code->literals--;
    code->offsets = OFFSET_CODES;
    while (code->offsets > 0 && code->offset_frequency[code->offsets - 1] == 0)
        code->offsets--;
    if (code->offsets == 0) {
        /* Without a match Go still counts one offset, and so does the size it compares. */
        code->offset_frequency[0] = 1;
        code->offsets = 1;
    }
    huffman_build(code->literal, code->literal_frequency, LITERAL_CODES, 15);
    huffman_build(code->offset, code->offset_frequency, OFFSET_CODES, 15);
    dynamic_header_make(&code->header, code->literal, code->literals, code->offset,
                        code->offsets);
}

static uint64_t stored_size(size_t size) {
    return ((uint64_t)size + 5) * 8;
}

/* ---- Writing --------------------------------------------------------------------------- */

/* Three codes of 15 bits fit beside the 7 that may be pending. */
static inline void write_literals(bit_writer *out, const huffman_code *code, const uint8_t *p,
                                  size_t n) {
    while (n >= 3) {
        huffman_code a = code[p[0]], b = code[p[1]], c = code[p[2]];
        bits_add(out, a.bits, a.length);
        bits_add(out, b.bits, b.length);
        bits_add(out, c.bits, c.length);
        bits_flush(out);
        p += 3;
        n -= 3;
    }
    for (size_t i = 0; i < n; i++)
        bits_add(out, code[p[i]].bits, code[p[i]].length);
    bits_flush(out);
}

static void write_tokens(const token_block *block, const huffman_code *literal,
                         const huffman_code *offset, bit_writer *target) {
    /* A length's code and extra bits in one word, their number above: at most 20 bits. */
    uint32_t length_bits[256];
    for (size_t i = 0; i < 256; i++) {
        unsigned c = length_code_of[i];
        huffman_code h = literal[LENGTH_CODE_0 + c];
        length_bits[i] = h.bits | (uint32_t)(i - length_base[c]) << h.length |
                         (uint32_t)(h.length + length_extra_bits[c]) << 24;
    }

    /* In registers: the compiler must take it that writing bytes changes everything else. */
    bit_writer out = *target;
    const uint8_t *p = block->literals;
    const sequence *const end = block->sequences + block->count;
    uint32_t skip = block->skip;
    for (const sequence *next = block->sequences; next < end; next++) {
        sequence s = *next;
        uint32_t run = s.literals - skip;
        skip = 0;
        write_literals(&out, literal, p, run);
        p += run;
        /* 7 pending + 20 + 28 bits */
        uint32_t l = length_bits[s.length];
        bits_add(&out, l & 0xffffff, l >> 24);
        unsigned c = offset_code_of(s.offset);
        bits_add(&out, offset[c].bits, offset[c].length);
        bits_add(&out, (uint64_t)(s.offset - offset_base[c]), offset_extra_bits[c]);
        bits_flush(&out);
    }
    write_literals(&out, literal, p, block->tail);
    bits_put(&out, literal[END_OF_BLOCK].bits, literal[END_OF_BLOCK].length);
    *target = out;
}

/* ---- The ways to code a block ---------------------------------------------------------- */

/* Level 1: dynamic code, or stored if that is not at least about 1/16 larger. */
static void code_dynamic(const token_block *block, bit_writer *out) {
    block_code code;
    count_tokens(block, &code);
    make_code(&code);
    /* Go leaves the extra bits of lengths and offsets out of this estimate. */
    uint64_t size = code.header.size +
                    huffman_cost(code.literal, code.literal_frequency, LITERAL_CODES) +
                    huffman_cost(code.offset, code.offset_frequency, OFFSET_CODES);
    if (block->data != NULL && block->size <= STORED_MAX &&
        stored_size(block->size) < size + (size >> 4)) {
        bits_stored(out, block->data, block->size, false);
        return;
    }
    dynamic_header_write(&code.header, out);
    write_tokens(block, code.literal, code.offset, out);
}

void go126_code_smallest(const token_block *block, bit_writer *out) {
    block_code code;
    count_tokens(block, &code);
    make_code(&code);

    uint64_t extra = 0;
    bool storable = block->data != NULL && block->size <= STORED_MAX;
    if (storable) {
        /* Equal for fixed and dynamic, so Go counts them only against stored. */
        for (size_t c = 0; c < LITERAL_CODES - LENGTH_CODE_0; c++)
            extra += code.literal_frequency[LENGTH_CODE_0 + c] * length_extra_bits[c];
        for (size_t c = 0; c < OFFSET_CODES; c++)
            extra += code.offset_frequency[c] * offset_extra_bits[c];
    }
    uint64_t fixed = 3 + extra +
                     huffman_cost(fixed_literal_code, code.literal_frequency, LITERAL_CODES) +
                     huffman_cost(fixed_offset_code, code.offset_frequency, OFFSET_CODES);
    uint64_t dynamic = code.header.size + extra +
                       huffman_cost(code.literal, code.literal_frequency, LITERAL_CODES) +
                       huffman_cost(code.offset, code.offset_frequency, OFFSET_CODES);
    uint64_t smallest = dynamic < fixed ? dynamic : fixed;

    if (storable && stored_size(block->size) < smallest) {
        bits_stored(out, block->data, block->size, false);
    } else if (dynamic < fixed) {
        dynamic_header_write(&code.header, out);
        write_tokens(block, code.literal, code.offset, out);
    } else {
        bits_put(out, 2, 3); /* not final, fixed */
        write_tokens(block, fixed_literal_code, fixed_offset_code, out);
    }
}

/* Literals only, or stored: "huffman", and what does not pay to match at level 1. */
static void code_literals(const uint8_t *data, size_t size, bit_writer *out) {
    block_code code;
    byte_counts bytes;
    memset(&bytes, 0, sizeof bytes);
    count_bytes(&bytes, data, size);
    sum_bytes(&bytes, code.literal_frequency);
    code.literal_frequency[END_OF_BLOCK] = 1;

    /* The alphabet of this kind of block: 257 literals, one offset that is never used. */
    enum { SYMBOLS = END_OF_BLOCK + 1 };
    static const huffman_code one_offset[1] = {{0, 1}};
    huffman_build(code.literal, code.literal_frequency, SYMBOLS, 15);
    dynamic_header_make(&code.header, code.literal, SYMBOLS, one_offset, 1);
    /* ... but whose one bit is counted. */
    uint64_t bits = code.header.size + 1 +
                    huffman_cost(code.literal, code.literal_frequency, SYMBOLS);
    if (size <= STORED_MAX && stored_size(size) < bits + (bits >> 4)) {
        bits_stored(out, data, size, false);
        return;
    }
    dynamic_header_write(&code.header, out);
    bit_writer local = *out;
    write_literals(&local, code.literal, data, size);
    bits_put(&local, code.literal[END_OF_BLOCK].bits, code.literal[END_OF_BLOCK].length);
    *out = local;
}

void go126_code_block(void *coder, void *plan, const block_input *block,
                      const parsed_block *parsed, bit_writer *out) {
    (void)coder;
    (void)plan;
    switch (parsed->kind) {
    case BLOCK_STORED:
        bits_stored(out, block->data, block->length, false);
        break;
    case BLOCK_LITERALS:
        code_literals(block->data, block->length, out);
        break;
    case BLOCK_TOKENS: {
        token_block tokens = {
            .data = block->data,
            .size = block->length,
            .literals = parsed->literals,
            .literal_count = parsed->literal_count,
            .sequences = parsed->sequences,
            .count = parsed->count,
            .tail = (uint32_t)parsed->tail,
        };
        code_dynamic(&tokens, out);
        break;
    }
    }
}

void go126_code_end(void *coder, bit_writer *out) {
    (void)coder;
    bits_stored(out, NULL, 0, true);
}
