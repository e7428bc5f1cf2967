/*
 * Writing blocks as Go 1.27 does.
 *
 * Algorithm: a plan holds the counts, the Huffman codes and an estimate of the size of each block.
 * From it and the open tables follows the choice between stored, fixed, open tables and new ones.
 *
 * Why the bytes are Go's: the choices and the numbers that decide them follow
 * compress/flate/huffman_bit_writer.go of Go 1.27. They are computed in integers where Go's own
 * arithmetic is exact, and in single precision, operation by operation, in the one place where
 * it is not: estimate().
 */
#include "go127/block_writer.h"

#include <string.h>

#include "deflate/token_writer.h"
#include "go127/entropy.h"

enum {
    /* For blocks with fewer tokens than this, the fixed code is considered too. */
    FIXED_CODE_TOKENS = 250,
    STORED_MAX = 65535,
    /* The assumed size of a header for literals when no header is open. */
    GUESSED_HEADER_SIZE = 70 * 8,
    /* Above this length a flat histogram decides without building a code. */
    FLAT_TEST_LENGTH = 1024,
};

const writer_rules go127_writer_now = {.long_headers = false};
const writer_rules go127_writer_1_15_0 = {.long_headers = true, .end_uncounted = true};
const writer_rules go127_writer_1_14_0 = {
    .long_headers = true, .end_uncounted = true, .tries_fixed = true, .no_flat_test = true};

/* ---- Sizes, in bits ------------------------------------------------------------------ */

uint64_t go127_extra_bits(const block_plan *plan) {
    uint64_t bits = 0;
    for (int i = 0; i < LENGTH_CODES; i++)
        bits += (uint64_t)plan->literal_frequency[LENGTH_CODE_0 + i] * deflate_length_extra_bits[i];
    for (int i = 0; i < OFFSET_CODES; i++)
        bits += (uint64_t)plan->offset_frequency[i] * deflate_offset_extra_bits[i];
    return bits;
}

uint64_t go127_coded_size(const huffman_code *literal, const huffman_code *offset,
                          const block_plan *plan) {
    return deflate_huffman_cost(literal, plan->literal_frequency, LITERAL_CODES) +
           deflate_huffman_cost(offset, plan->offset_frequency, OFFSET_CODES);
}

static uint64_t fixed_size(const block_plan *plan) {
    return 3 + go127_coded_size(deflate_fixed_literals, deflate_fixed_offsets, plan) + plan->extra;
}

static bool has_codes(const huffman_code *codes, const uint32_t *frequency, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (frequency[i] != 0 && codes[i].length == 0)
            return false;
    return true;
}

/* Whether the block can be stored, in no more than `size` bits. */
static bool stored_wins(plain_block plain, uint64_t size) {
    return plain.data != NULL && plain.length <= STORED_MAX && (plain.length + 5) * 8 <= size;
}

/* Add the estimated size of symbols with these frequencies: -log2 of their share, 1 to 15 bits. */
static float add_entropy(float sum, const uint32_t *frequency, size_t n, float share_of_one) {
    for (size_t i = 0; i < n; i++) {
        if (frequency[i] == 0)
            continue;
        float count = (float)frequency[i];
        float share = count * share_of_one;
        float bits = -approximate_log2(share);
        if (bits < 1)
            bits = 1;
        if (bits > 15)
            bits = 15;
        float cost = bits * count;
        sum = sum + cost;
    }
    return sum;
}

/* The estimated size of the tokens under tables of their own, without the header. */
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

/* Whether all byte values are about equally frequent: the squared differences from the mean stay
 * below twice the length. Go adds them in double precision, which is exact here; times 256 squared
 * they are integers. */
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

void go127_plan_literals(block_plan *plan, plain_block plain, bool closing,
                         const writer_rules *rules) {
    deflate_count_bytes(plain.data, plain.length, plan->literal_frequency);
    if (!rules->no_flat_test && plain.length > FLAT_TEST_LENGTH &&
        is_flat(plan->literal_frequency, plain.length)) {
        plan->kind = BLOCK_STORED;
        return;
    }
    plan->kind = BLOCK_LITERALS;
    plan->closing = closing;
    plan->literal_frequency[END_OF_BLOCK] = 1;
    memset(plan->literal, 0, sizeof plan->literal);
    memset(plan->offset, 0, sizeof plan->offset);
    plan->offset[0].length = 1; /* DEFLATE has no empty offset table */
    deflate_huffman_build(plan->literal, plan->literal_frequency, END_OF_BLOCK + 1, 15);
    plan->size = deflate_huffman_cost(plan->literal, plan->literal_frequency, END_OF_BLOCK + 1);
    plan->has_tables = false; /* the header is still missing */
    plan->has_estimate = true;
}

void go127_plan_tokens(block_plan *plan, const parsed_block *block, bool closing,
                       const writer_rules *rules) {
    plan->rules = rules;
    plan->kind = BLOCK_TOKENS;
    plan->closing = closing;
    plan->has_estimate = plan->has_tables = false;
    plan->matchless = block->count == 0;
    /* In Close, Go appends the end of the block before it decides, and so counts it. */
    plan->tokens = parsed_tokens(block) + (closing ? 1 : 0);
    deflate_count_tokens(block, plan->literal_frequency, plan->offset_frequency);
    /* Without matches there is still an offset table, with one code that is not used. Go counts
     * it as used, and so it adds to every size. */
    if (plan->matchless)
        plan->offset_frequency[0] = 1;
    plan->extra = go127_extra_bits(plan);
}

void go127_plan_block(block_plan *plan, const block_input *block, const parsed_block *parsed,
                      const writer_rules *rules) {
    switch (parsed->kind) {
    case BLOCK_STORED:
        go127_plan_stored(plan);
        break;
    case BLOCK_LITERALS:
        go127_plan_literals(plan, (plain_block){block->data, block->length}, block->last, rules);
        break;
    case BLOCK_TOKENS:
        go127_plan_tokens(plan, parsed, block->last, rules);
        break;
    }
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
        deflate_header_make(&plan->header, plan->literal, END_OF_BLOCK + 1, plan->offset, 1);
        return;
    }
    deflate_huffman_build(plan->literal, plan->literal_frequency, LITERAL_CODES, 15);
    deflate_huffman_build(plan->offset, plan->offset_frequency, OFFSET_CODES, 15);
    unsigned literals = LITERAL_CODES, offsets = OFFSET_CODES;
    if (plan->closing || !plan->rules->long_headers) {
        literals = used_symbols(plan->literal_frequency, LITERAL_CODES);
        offsets = used_symbols(plan->offset_frequency, OFFSET_CODES);
    }
    deflate_header_make(&plan->header, plan->literal, literals, plan->offset, offsets);
    plan->size = go127_coded_size(plan->literal, plan->offset, plan) + plan->extra;
}

void go127_plan_complete(block_plan *plan) {
    if (plan->kind == BLOCK_STORED)
        return;
    add_estimate(plan);
    add_tables(plan);
}

/* ---- Writing; with `out` NULL only the state advances --------------------------------- */

void go127_close_table(go127_writer *writer, bit_writer *out) {
    if (writer->header_size == 0)
        return;
    if (out != NULL)
        bits_put(out, writer->literal[END_OF_BLOCK].bits, writer->literal[END_OF_BLOCK].length);
    writer->header_size = 0;
}

static void write_fixed(go127_writer *writer, const parsed_block *block, bit_writer *out) {
    go127_close_table(writer, out);
    if (out == NULL)
        return;
    bits_put(out, 2, 3);
    deflate_write_tokens(block, deflate_fixed_literals, deflate_fixed_offsets, true, out);
}

/* ---- Deciding ------------------------------------------------------------------------ */

void go127_writer_init(go127_writer *writer, unsigned penalty) {
    memset(writer, 0, sizeof *writer);
    writer->penalty = (uint8_t)penalty;
}

static void write_stored(go127_writer *writer, plain_block plain, bit_writer *out) {
    go127_close_table(writer, out);
    if (out != NULL)
        bits_stored(out, plain.data, plain.length, false);
}

void go127_open_table(go127_writer *writer, const block_plan *plan, bool literals_only,
                      bit_writer *out) {
    if (out != NULL)
        deflate_header_write(&plan->header, out);
    memcpy(writer->literal, plan->literal, sizeof writer->literal);
    memcpy(writer->offset, plan->offset, sizeof writer->offset);
    writer->header_size = (uint32_t)plan->header.size;
    writer->literals_only = literals_only;
}

/* The size of the end of the block, if it does not count. */
static unsigned uncounted_end(const huffman_code *literal, const block_plan *plan) {
    return plan->rules->end_uncounted && !plan->closing ? literal[END_OF_BLOCK].length : 0;
}

static bool can_reuse(const go127_writer *writer, const block_plan *plan) {
    return !writer->literals_only &&
           has_codes(writer->literal, plan->literal_frequency, LITERAL_CODES) &&
           (plan->matchless || has_codes(writer->offset, plan->offset_frequency, OFFSET_CODES));
}

/*
 * With tables open: decide whether the tokens are written under them. They are, unless tables of
 * their own would be smaller even with the header, the end of block and the penalty. Return the
 * size of what was chosen.
 */
static uint64_t keep_or_close(go127_writer *writer, block_plan *plan, bit_writer *out) {
    add_estimate(plan);
    uint64_t fresh = writer->header_size + plan->estimate;
    fresh += writer->literal[END_OF_BLOCK].length + (fresh >> writer->penalty);
    uint64_t reused = go127_coded_size(writer->literal, writer->offset, plan) + plan->extra -
                      uncounted_end(writer->literal, plan);
    if (fresh >= reused)
        return reused;
    go127_close_table(writer, out);
    return fresh;
}

static void write_token_block(go127_writer *writer, block_plan *plan, const parsed_block *tokens,
                              plain_block plain, bit_writer *out) {
    bool try_fixed = plan->tokens < FIXED_CODE_TOKENS || plan->rules->tries_fixed;

    if (writer->header_size != 0 && !can_reuse(writer, plan))
        go127_close_table(writer, out);
    if (writer->header_size != 0) {
        uint64_t size = keep_or_close(writer, plan, out);
        uint64_t as_fixed = fixed_size(plan) - uncounted_end(deflate_fixed_literals, plan) + 7;
        bool fixed = try_fixed && as_fixed < size;
        if (stored_wins(plain, size)) {
            write_stored(writer, plain, out);
            return;
        }
        if (fixed) {
            write_fixed(writer, tokens, out);
            return;
        }
    }
    if (writer->header_size == 0) {
        add_tables(plan);
        uint64_t size = plan->header.size + plan->size;
        bool fixed = try_fixed && fixed_size(plan) <= size;
        if (stored_wins(plain, fixed ? fixed_size(plan) : size)) {
            write_stored(writer, plain, out);
            return;
        }
        if (fixed) {
            write_fixed(writer, tokens, out);
            return;
        }
        go127_open_table(writer, plan, false, out);
    }
    if (out != NULL)
        deflate_write_tokens(tokens, writer->literal, writer->offset, plan->closing, out);
    if (plan->closing)
        writer->header_size = 0;
}

static void write_literal_block(go127_writer *writer, block_plan *plan, plain_block plain,
                                bit_writer *out) {
    uint64_t fresh = plan->size;
    fresh += writer->header_size != 0 ? writer->header_size : GUESSED_HEADER_SIZE;
    fresh += fresh >> writer->penalty;
    if (stored_wins(plain, fresh)) {
        write_stored(writer, plain, out);
        return;
    }
    if (writer->header_size != 0 &&
        (!has_codes(writer->literal, plan->literal_frequency, 256) ||
         fresh < deflate_huffman_cost(writer->literal, plan->literal_frequency, 256)))
        go127_close_table(writer, out);
    if (writer->header_size == 0) {
        add_tables(plan);
        go127_open_table(writer, plan, true, out);
    }
    if (out != NULL) {
        parsed_block block = {
            .literals = plain.data, .literal_count = plain.length, .tail = plain.length};
        deflate_write_tokens(&block, writer->literal, writer->offset, plan->closing, out);
    }
    if (plan->closing)
        writer->header_size = 0;
}

void go127_write(go127_writer *writer, block_plan *plan, const parsed_block *tokens,
                 plain_block plain, bit_writer *out) {
    switch (plan->kind) {
    case BLOCK_STORED:
        write_stored(writer, plain, out);
        break;
    case BLOCK_LITERALS:
        write_literal_block(writer, plan, plain, out);
        break;
    case BLOCK_TOKENS:
        write_token_block(writer, plan, tokens, plain, out);
        break;
    }
}

void go127_write_flush(go127_writer *writer, bit_writer *out) {
    go127_close_table(writer, out);
    bits_stored(out, NULL, 0, false);
}

void go127_write_end(go127_writer *writer, bit_writer *out) {
    go127_close_table(writer, out);
    bits_put(out, 3, 3 + 7); /* a final block of the fixed code with its end alone */
    bits_align(out);
}

/* ---- For block encoders -------------------------------------------------------------- */

void go127_block_plan(const block_input *block, const parsed_block *parsed, void *plan) {
    go127_plan_block(plan, block, parsed, &go127_writer_now);
}

void go127_block_complete(void *plan) {
    go127_plan_complete(plan);
}

void go127_block_write(void *writer, void *plan, const block_input *block,
                       const parsed_block *parsed, bit_writer *out) {
    go127_write(writer, plan, parsed, (plain_block){block->data, block->length}, out);
}

void go127_block_end(void *writer, bit_writer *out) {
    go127_write_end(writer, out);
}
