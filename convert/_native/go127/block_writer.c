/*
 * Block coding of Go 1.27 (compress/flate/huffman_bit_writer.go there; see go127_coder.h).
 *
 * The numbers that decide between stored, fixed, reused and new tables fix the bytes. They
 * are computed here in integers wherever Go's own arithmetic is exact, and in single
 * precision, operation by operation, in the one place where it is not: estimate().
 */
#include "go127/block_writer.h"

#include <string.h>

enum {
    /* Blocks with fewer tokens than this are tried with the fixed code too. */
    FIXED_CODE_TOKENS = 250,
    STORED_MAX = 65535,
    /* What a header of literals alone is taken to cost when none is open to compare. */
    GUESSED_HEADER_SIZE = 70 * 8,
    /* Above this size a flat histogram ends the matter without building a code. */
    FLAT_TEST_LENGTH = 1024,
    LENGTH_CODES = LITERAL_CODES - LENGTH_CODE_0,
};

/* ---- Counting ------------------------------------------------------------------------ */

/* Four counters a byte value, used in turn, so that runs of one value do not wait for
 * their own last increment. */
typedef struct {
    uint32_t part[4][256];
} byte_counters;

static inline void count_bytes(byte_counters *counters, const uint8_t *p, size_t n) {
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        counters->part[0][p[i]]++;
        counters->part[1][p[i + 1]]++;
        counters->part[2][p[i + 2]]++;
        counters->part[3][p[i + 3]]++;
    }
    for (; i < n; i++)
        counters->part[i & 3][p[i]]++;
}

static void sum_counters(const byte_counters *counters, uint32_t *total) {
    for (int i = 0; i < 256; i++)
        total[i] = counters->part[0][i] + counters->part[1][i] + counters->part[2][i] +
                   counters->part[3][i];
}

static void count_tokens(const parsed_block *block, block_plan *plan) {
    byte_counters counters;
    uint32_t lengths[256];

    memset(&counters, 0, sizeof counters);
    memset(lengths, 0, sizeof lengths);
    memset(plan->literal_frequency, 0, sizeof plan->literal_frequency);
    memset(plan->offset_frequency, 0, sizeof plan->offset_frequency);
    count_bytes(&counters, block->literals, block->literal_count);
    sum_counters(&counters, plan->literal_frequency);
    for (size_t i = 0; i < block->count; i++) {
        lengths[block->sequences[i].length]++;
        plan->offset_frequency[offset_code_of(block->sequences[i].offset)]++;
    }
    for (int i = 0; i < 256; i++)
        plan->literal_frequency[LENGTH_CODE_0 + length_code_of[i]] += lengths[i];
    plan->literal_frequency[END_OF_BLOCK] = 1;
}

/* ---- Sizes, in bits ------------------------------------------------------------------ */

static uint64_t extra_bits(const block_plan *plan) {
    uint64_t bits = 0;
    for (int i = 0; i < LENGTH_CODES; i++)
        bits += (uint64_t)plan->literal_frequency[LENGTH_CODE_0 + i] * length_extra_bits[i];
    for (int i = 0; i < OFFSET_CODES; i++)
        bits += (uint64_t)plan->offset_frequency[i] * offset_extra_bits[i];
    return bits;
}

static uint64_t coded_size(const huffman_code *literal, const huffman_code *offset,
                           const block_plan *plan) {
    return huffman_cost(literal, plan->literal_frequency, LITERAL_CODES) +
           huffman_cost(offset, plan->offset_frequency, OFFSET_CODES);
}

static uint64_t fixed_size(const block_plan *plan) {
    return 3 + coded_size(fixed_literal_code, fixed_offset_code, plan) + plan->extra;
}

static bool has_codes(const huffman_code *codes, const uint32_t *frequency, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (frequency[i] != 0 && codes[i].length == 0)
            return false;
    return true;
}

/* Whether a block fits a stored one, and is no larger so than `size`. */
static bool stored_wins(plain_block plain, uint64_t size) {
    return plain.data != NULL && plain.length <= STORED_MAX && (plain.length + 5) * 8 <= size;
}

/*
 * log2 of a positive number, nearly: the exponent, and a parabola through the mantissa.
 *
 * The result is rounded to single precision after every operation. A compiler that fused
 * a multiplication with an addition would get other last digits, now and then another
 * estimate, and so other bytes. This file has to be compiled with -ffp-contract=off
 * where the machine has such an instruction in its base set (arm64).
 */
static float nearly_log2(float x) {
    uint32_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    float exponent = (float)((int32_t)(pattern >> 23 & 255) - 128);
    pattern = (pattern & 0x807fffff) + ((uint32_t)127 << 23);
    float mantissa; /* in [1, 2) */
    memcpy(&mantissa, &pattern, sizeof mantissa);
    float bend = -0.34484843f * mantissa;
    bend = bend + 2.02466578f;
    bend = bend * mantissa;
    bend = bend - 0.67487759f;
    return exponent + bend;
}

/* Add what symbols of these frequencies should cost: -log2 of their share, 1 to 15 bits. */
static float add_entropy(float sum, const uint32_t *frequency, size_t n, float share_of_one) {
    for (size_t i = 0; i < n; i++) {
        if (frequency[i] == 0)
            continue;
        float count = (float)frequency[i];
        float share = count * share_of_one;
        float bits = -nearly_log2(share);
        if (bits < 1)
            bits = 1;
        if (bits > 15)
            bits = 15;
        float cost = bits * count;
        sum = sum + cost;
    }
    return sum;
}

/* About what the tokens would take under tables of their own, header excluded. */
static uint64_t estimate(const block_plan *plan) {
    float bits = 0;
    uint64_t matches = 0;

    for (int i = 0; i < LENGTH_CODES; i++)
        matches += plan->literal_frequency[LENGTH_CODE_0 + i];
    if (plan->tokens != 0) {
        float share = 1.0f / (float)plan->tokens;
        bits = add_entropy(bits, plan->literal_frequency, 256, share);
        bits = bits + 15; /* the end of the block */
        bits = add_entropy(bits, plan->literal_frequency + LENGTH_CODE_0, LENGTH_CODES, share);
    }
    if (matches != 0)
        bits = add_entropy(bits, plan->offset_frequency, OFFSET_CODES, 1.0f / (float)matches);
    return (uint64_t)bits + plan->extra;
}

/* ---- Planning ------------------------------------------------------------------------ */

/* Whether every byte value is about as frequent as every other: the squared differences
 * from the mean stay below twice the length. Go sums them in double precision, which is
 * exact here; times 256 squared they are integers. */
static bool is_flat(const uint32_t *frequency, size_t length) {
    uint64_t limit = (uint64_t)length * 2 << 16;
    uint64_t sum = 0;
    for (int i = 0; i < 256 && sum < limit; i++) {
        int64_t difference = (int64_t)frequency[i] * 256 - (int64_t)length;
        sum += (uint64_t)(difference * difference);
    }
    return sum < limit;
}

void go127_plan_stored(block_plan *plan) {
    plan->kind = BLOCK_STORED;
}

void go127_plan_literals(block_plan *plan, plain_block plain, bool closing) {
    byte_counters counters;

    memset(&counters, 0, sizeof counters);
    count_bytes(&counters, plain.data, plain.length);
    sum_counters(&counters, plan->literal_frequency);
    if (plain.length > FLAT_TEST_LENGTH && is_flat(plan->literal_frequency, plain.length)) {
        plan->kind = BLOCK_STORED;
        return;
    }
    plan->kind = BLOCK_LITERALS;
    plan->closing = closing;
    plan->literal_frequency[END_OF_BLOCK] = 1;
    memset(plan->literal, 0, sizeof plan->literal);
    memset(plan->offset, 0, sizeof plan->offset);
    plan->offset[0].length = 1; /* DEFLATE has no empty offset table */
    huffman_build(plan->literal, plan->literal_frequency, END_OF_BLOCK + 1, 15);
    plan->size = huffman_cost(plan->literal, plan->literal_frequency, END_OF_BLOCK + 1);
    plan->has_tables = false; /* there is no header yet */
    plan->has_estimate = true;
}

void go127_plan_tokens(block_plan *plan, const parsed_block *block, bool closing) {
    plan->kind = BLOCK_TOKENS;
    plan->closing = closing;
    plan->has_estimate = plan->has_tables = false;
    plan->matchless = block->count == 0;
    /* In Close, Go appends the end of the block before it decides, and so counts it. */
    plan->tokens = parsed_tokens(block) + (closing ? 1 : 0);
    count_tokens(block, plan);
    /* Without matches there is still an offset table, of one code that nobody uses. It
     * is counted as used, though, and so adds to every size. */
    if (plan->matchless)
        plan->offset_frequency[0] = 1;
    plan->extra = extra_bits(plan);
}

static void add_estimate(block_plan *plan) {
    if (!plan->has_estimate)
        plan->estimate = estimate(plan);
    plan->has_estimate = true;
}

static unsigned used_symbols(const uint32_t *frequency, unsigned n) {
    while (n > 0 && frequency[n - 1] == 0)
        n--;
    return n;
}

static void add_tables(block_plan *plan) {
    if (plan->has_tables)
        return;
    plan->has_tables = true;
    if (plan->kind == BLOCK_LITERALS) {
        dynamic_header_make(&plan->header, plan->literal, END_OF_BLOCK + 1, plan->offset, 1);
        return;
    }
    huffman_build(plan->literal, plan->literal_frequency, LITERAL_CODES, 15);
    huffman_build(plan->offset, plan->offset_frequency, OFFSET_CODES, 15);
    dynamic_header_make(&plan->header, plan->literal,
                        used_symbols(plan->literal_frequency, LITERAL_CODES), plan->offset,
                        used_symbols(plan->offset_frequency, OFFSET_CODES));
    plan->size = coded_size(plan->literal, plan->offset, plan) + plan->extra;
}

void go127_plan_complete(block_plan *plan) {
    if (plan->kind == BLOCK_STORED)
        return;
    add_estimate(plan);
    add_tables(plan);
}

/* ---- Writing ------------------------------------------------------------------------- */

/* Without an output everything is decided as ever, nothing written. */

static void close_block(go127_coder *coder, bit_writer *out) {
    if (coder->header_size == 0)
        return;
    if (out != NULL)
        bits_put(out, coder->literal[END_OF_BLOCK].bits, coder->literal[END_OF_BLOCK].length);
    coder->header_size = 0;
}

/* The writer's fields, where the compiler can keep them in registers. */
typedef struct {
    uint64_t word;
    unsigned count;
    uint8_t *next;
} fast_writer;

static inline void fast_add(fast_writer *w, uint64_t bits, unsigned length) {
    w->word |= bits << w->count;
    w->count += length;
}

static inline void fast_flush(fast_writer *w) {
    store64(w->next, w->word);
    w->next += w->count >> 3;
    w->word >>= w->count & 56;
    w->count &= 7;
}

/* At most 7 bits are pending after a flush and a code has at most 15: three fit a word. */
static inline void put_literals(fast_writer *w, const huffman_code *codes, const uint8_t *p,
                                size_t n) {
    const uint8_t *end = p + n;
    while (end - p >= 3) {
        huffman_code a = codes[p[0]], b = codes[p[1]], c = codes[p[2]];
        uint64_t bits = a.bits | (uint64_t)b.bits << a.length |
                        (uint64_t)c.bits << (a.length + b.length);
        fast_add(w, bits, (unsigned)a.length + b.length + c.length);
        fast_flush(w);
        p += 3;
    }
    for (; p < end; p++) {
        fast_add(w, codes[*p].bits, codes[*p].length);
        fast_flush(w);
    }
}

static inline huffman_code code_if(bool wanted, huffman_code code) {
    uint16_t mask = (uint16_t)-(uint16_t)wanted;
    return (huffman_code){code.bits & mask, code.length & mask};
}

/* The literals before a match. Most runs are short, but how short is as good as random: up
 * to RUN_AT_ONCE are written without a branch. That many bytes must be readable. */
enum { RUN_AT_ONCE = LITERAL_SLACK };

static inline void put_run(fast_writer *w, const huffman_code *codes, const uint8_t *p, size_t n) {
    if (n > RUN_AT_ONCE) {
        put_literals(w, codes, p, n);
        return;
    }
    huffman_code a = code_if(n > 0, codes[p[0]]);
    huffman_code b = code_if(n > 1, codes[p[1]]);
    huffman_code c = code_if(n > 2, codes[p[2]]);
    uint64_t bits =
        a.bits | (uint64_t)b.bits << a.length | (uint64_t)c.bits << (a.length + b.length);
    fast_add(w, bits, (unsigned)a.length + b.length + c.length);
    fast_flush(w);
}

/* A length code with its extra bits behind it: at most 20 bits, their number above them. */
static void combine_lengths(uint32_t *combined, const huffman_code *literal) {
    for (uint32_t i = 0; i < 256; i++) {
        unsigned code = length_code_of[i];
        huffman_code c = literal[LENGTH_CODE_0 + code];
        uint32_t extra = i - length_base[code];
        combined[i] = (extra << c.length | c.bits) |
                      (uint32_t)(c.length + length_extra_bits[code]) << 24;
    }
}

static inline void put_match(fast_writer *w, const uint32_t *lengths, const huffman_code *offsets,
                             sequence s) {
    uint32_t length = lengths[s.length];
    unsigned code = offset_code_of(s.offset);
    huffman_code c = offsets[code];
    /* 20 + 15 + 13 bits at most, which fit beside 7 pending ones */
    uint64_t offset = c.bits | (uint64_t)(s.offset - offset_base[code]) << c.length;
    fast_add(w, (length & 0xffffff) | offset << (length >> 24),
             (length >> 24) + c.length + offset_extra_bits[code]);
    fast_flush(w);
}

static void write_tokens(const parsed_block *block, const huffman_code *literal,
                         const huffman_code *offset, bool end, bit_writer *out) {
    uint32_t lengths[256];
    const uint8_t *p = block->literals;
    fast_writer w;

    combine_lengths(lengths, literal);
    bits_flush(out);
    w.word = out->word;
    w.count = out->count;
    w.next = out->next;
    for (size_t i = 0; i < block->count; i++) {
        sequence s = block->sequences[i];
        put_run(&w, literal, p, s.literals);
        put_match(&w, lengths, offset, s);
        p += s.literals;
    }
    put_literals(&w, literal, p, block->tail);
    if (end) {
        fast_add(&w, literal[END_OF_BLOCK].bits, literal[END_OF_BLOCK].length);
        fast_flush(&w);
    }
    out->word = w.word;
    out->count = w.count;
    out->next = w.next;
}

static void write_fixed(go127_coder *coder, const parsed_block *block, bit_writer *out) {
    close_block(coder, out);
    if (out == NULL)
        return;
    bits_put(out, 2, 3);
    write_tokens(block, fixed_literal_code, fixed_offset_code, true, out);
}

/* ---- Deciding ------------------------------------------------------------------------ */

void go127_coder_init(go127_coder *coder, unsigned penalty) {
    memset(coder, 0, sizeof *coder);
    coder->penalty = (uint8_t)penalty;
}

static void write_stored(go127_coder *coder, plain_block plain, bit_writer *out) {
    close_block(coder, out);
    if (out != NULL)
        bits_stored(out, plain.data, plain.length, false);
}

/* Open the plan's own tables. */
static void open_tables(go127_coder *coder, block_plan *plan, bit_writer *out) {
    add_tables(plan);
    if (out != NULL)
        dynamic_header_write(&plan->header, out);
    memcpy(coder->literal, plan->literal, sizeof coder->literal);
    memcpy(coder->offset, plan->offset, sizeof coder->offset);
    coder->header_size = (uint32_t)plan->header.size;
    coder->literals_only = plan->kind == BLOCK_LITERALS;
}

static bool can_reuse(const go127_coder *coder, const block_plan *plan) {
    return !coder->literals_only &&
           has_codes(coder->literal, plan->literal_frequency, LITERAL_CODES) &&
           (plan->matchless || has_codes(coder->offset, plan->offset_frequency, OFFSET_CODES));
}

/*
 * With tables open: decide whether the tokens go under them, which is so unless a table of
 * their own would be smaller even with its header, its end of block and the penalty. Gives
 * the size of what was chosen.
 */
static uint64_t keep_or_close(go127_coder *coder, block_plan *plan, bit_writer *out) {
    add_estimate(plan);
    uint64_t fresh = coder->header_size + plan->estimate;
    fresh += coder->literal[END_OF_BLOCK].length + (fresh >> coder->penalty);
    uint64_t reused = coded_size(coder->literal, coder->offset, plan) + plan->extra;
    if (fresh >= reused)
        return reused;
    close_block(coder, out);
    return fresh;
}

static void code_tokens(go127_coder *coder, block_plan *plan, const parsed_block *tokens,
                        plain_block plain, bit_writer *out) {
    bool try_fixed = plan->tokens < FIXED_CODE_TOKENS;

    if (coder->header_size != 0 && !can_reuse(coder, plan))
        close_block(coder, out);
    if (coder->header_size != 0) {
        uint64_t size = keep_or_close(coder, plan, out);
        bool fixed = try_fixed && fixed_size(plan) + 7 < size;
        if (stored_wins(plain, size)) {
            write_stored(coder, plain, out);
            return;
        }
        if (fixed) {
            write_fixed(coder, tokens, out);
            return;
        }
    }
    if (coder->header_size == 0) {
        add_tables(plan);
        uint64_t size = plan->header.size + plan->size;
        bool fixed = try_fixed && fixed_size(plan) <= size;
        if (stored_wins(plain, fixed ? fixed_size(plan) : size)) {
            write_stored(coder, plain, out);
            return;
        }
        if (fixed) {
            write_fixed(coder, tokens, out);
            return;
        }
        open_tables(coder, plan, out);
    }
    if (out != NULL)
        write_tokens(tokens, coder->literal, coder->offset, plan->closing, out);
    if (plan->closing)
        coder->header_size = 0;
}

static void code_literals(go127_coder *coder, block_plan *plan, plain_block plain,
                          bit_writer *out) {
    uint64_t fresh = plan->size;
    fresh += coder->header_size != 0 ? coder->header_size : GUESSED_HEADER_SIZE;
    fresh += fresh >> coder->penalty;
    if (stored_wins(plain, fresh)) {
        write_stored(coder, plain, out);
        return;
    }
    if (coder->header_size != 0 &&
        (!has_codes(coder->literal, plan->literal_frequency, 256) ||
         fresh < huffman_cost(coder->literal, plan->literal_frequency, 256)))
        close_block(coder, out);
    if (coder->header_size == 0)
        open_tables(coder, plan, out);
    if (out != NULL) {
        parsed_block block = {
            .literals = plain.data, .literal_count = plain.length, .tail = plain.length};
        write_tokens(&block, coder->literal, coder->offset, plan->closing, out);
    }
    if (plan->closing)
        coder->header_size = 0;
}

void go127_code(go127_coder *coder, block_plan *plan, const parsed_block *tokens,
                plain_block plain, bit_writer *out) {
    switch (plan->kind) {
    case BLOCK_STORED:
        write_stored(coder, plain, out);
        break;
    case BLOCK_LITERALS:
        code_literals(coder, plan, plain, out);
        break;
    case BLOCK_TOKENS:
        code_tokens(coder, plan, tokens, plain, out);
        break;
    }
}

void go127_code_end(go127_coder *coder, bit_writer *out) {
    close_block(coder, out);
    bits_put(out, 3, 3 + 7); /* a final block of the fixed code with its end alone */
    bits_align(out);
}

/* ---- For block encoders -------------------------------------------------------------- */

void go127_block_plan(const block_input *block, const parsed_block *parsed, void *plan) {
    switch (parsed->kind) {
    case BLOCK_STORED:
        go127_plan_stored(plan);
        break;
    case BLOCK_LITERALS:
        go127_plan_literals(plan, (plain_block){block->data, block->length}, block->last);
        break;
    case BLOCK_TOKENS:
        go127_plan_tokens(plan, parsed, block->last);
        break;
    }
}

void go127_block_complete(void *plan) {
    go127_plan_complete(plan);
}

void go127_block_code(void *coder, void *plan, const block_input *block,
                      const parsed_block *parsed, bit_writer *out) {
    go127_code(coder, plan, parsed, (plain_block){block->data, block->length}, out);
}

void go127_block_end(void *coder, bit_writer *out) {
    go127_code_end(coder, out);
}
