/*
 * Writing blocks as klauspost/compress 1.9.8 to 1.13.6 do.
 *
 * Algorithm: a block that leaves its table open gets one with codes for all symbols: those that it
 * does not use count as used once. So any block can be written under any open table of its kind,
 * and only sizes decide. The fixed code is never used, and a block is stored if it would not become
 * smaller by a sixteenth.
 *
 * Why the bytes are klauspost's: the choices and the numbers that decide them follow
 * flate/huffman_bit_writer.go, flate/huffman_code.go and flate/token.go of 1.9.8, 1.11.12, 1.12.2 and
 * 1.13.6. Sums are rounded as in Go: see go127/entropy.h.
 */
#include "pgzip/old_writer.h"

#include <string.h>

#include "deflate/token_writer.h"
#include "go127/entropy.h"

enum {
    END_SIZE = 15, /* of the end of a block, as estimated */
    GUESSED_HEADER_SIZE = 70 * 8,
};

const pgzip_old_rules pgzip_rules_1_9_8 = {LITERALS_BY_ENTROPY, .clamps = false};
const pgzip_old_rules pgzip_rules_1_11_13 = {LITERALS_BY_ENTROPY_OF_ALL, .clamps = false};
const pgzip_old_rules pgzip_rules_1_12_3 = {LITERALS_BY_CODE, .clamps = true};

/* Let unused symbols count as used once; return their number. */
static unsigned fill(uint32_t *frequency, size_t n) {
    unsigned filled = 0;
    for (size_t i = 0; i < n; i++) {
        if (frequency[i] == 0) {
            frequency[i] = 1;
            filled++;
        }
    }
    return filled;
}

static uint64_t stored_size(const block_input *block) {
    return (block->length + 5) * 8;
}

static void write_stored(go127_writer *writer, const block_input *block, bit_writer *out) {
    go127_close_table(writer, out);
    bits_stored(out, block->data, block->length, false);
}

/* ---- Tokens -------------------------------------------------------------------------- */

static float at_least_one(float bits) {
    return bits < 1 ? 1 : bits;
}

static float clamped(float bits) {
    return bits > 15 ? 15 : at_least_one(bits);
}

static float add_entropy(float sum, const uint32_t *frequency, size_t n, float share_of_one,
                         bool clamps) {
    for (size_t i = 0; i < n; i++) {
        if (frequency[i] == 0)
            continue;
        float count = (float)frequency[i];
        float share = count * share_of_one;
        float bits = -approximate_log2(share);
        float cost = (clamps ? clamped(bits) : bits) * count;
        sum = sum + cost;
    }
    return sum;
}

/* The estimated size of the tokens under tables of their own, without the header. `tokens` counts
 * symbols that were filled in. */
static uint64_t estimate(const block_plan *plan, uint64_t tokens, bool clamps) {
    uint32_t matches = 0;
    for (int i = 0; i < LENGTH_CODES; i++)
        matches += plan->literal_frequency[LENGTH_CODE_0 + i];
    float share = 1.0f / (float)tokens;
    float bits = add_entropy(0, plan->literal_frequency, 256, share, clamps);
    bits = bits + END_SIZE;
    bits = add_entropy(bits, plan->literal_frequency + LENGTH_CODE_0, LENGTH_CODES, share, clamps);
    bits = add_entropy(bits, plan->offset_frequency, OFFSET_CODES, 1.0f / (float)matches, clamps);
    /* Symbols that are nearly alone have a size below zero. */
    return (uint64_t)((int64_t)bits + (int64_t)plan->extra);
}

/* Count the tokens; return their number as the estimate takes it. */
static uint64_t count(block_plan *plan, const parsed_block *parsed, bool closing) {
    uint64_t tokens = parsed_tokens(parsed);
    deflate_count_tokens(parsed, plan->literal_frequency, plan->offset_frequency);
    if (!closing) {
        /* The end of the block is counted already. It is one of the symbols that are filled in. */
        tokens += 1 + fill(plan->literal_frequency, LITERAL_CODES);
        fill(plan->offset_frequency, OFFSET_CODES);
    }
    plan->extra = go127_extra_bits(plan);
    return tokens;
}

static unsigned used_symbols(const uint32_t *frequency, unsigned n) {
    while (n > 0 && frequency[n - 1] == 0)
        n--;
    return n;
}

static void make_tables(block_plan *plan) {
    deflate_huffman_build(plan->literal, plan->literal_frequency, LITERAL_CODES, 15);
    deflate_huffman_build(plan->offset, plan->offset_frequency, OFFSET_CODES, 15);
    deflate_header_make(&plan->header, plan->literal,
                        used_symbols(plan->literal_frequency, LITERAL_CODES), plan->offset,
                        used_symbols(plan->offset_frequency, OFFSET_CODES));
}

static bool stored_wins(const block_input *block, uint64_t size) {
    return stored_size(block) < size + (size >> 4);
}

static void write_tokens(go127_writer *writer, block_plan *plan, const block_input *block,
                         const parsed_block *parsed, const pgzip_old_rules *rules,
                         bit_writer *out) {
    uint64_t tokens = count(plan, parsed, block->last);
    if (writer->literals_only)
        go127_close_table(writer, out);
    if (writer->header_size != 0) {
        uint64_t fresh = writer->header_size + estimate(plan, tokens, rules->clamps);
        fresh += fresh >> writer->penalty;
        uint64_t size = go127_coded_size(writer->literal, writer->offset, plan) + plan->extra;
        if (fresh < size) {
            go127_close_table(writer, out);
            size = fresh;
        }
        if (stored_wins(block, size)) {
            write_stored(writer, block, out);
            return;
        }
    }
    if (writer->header_size == 0) {
        make_tables(plan);
        uint64_t size =
            plan->header.size + plan->extra + go127_coded_size(plan->literal, plan->offset, plan);
        if (stored_wins(block, size)) {
            write_stored(writer, block, out);
            return;
        }
        go127_open_table(writer, plan, false, out);
    }
    deflate_write_tokens(parsed, writer->literal, writer->offset, block->last, out);
    if (block->last)
        writer->header_size = 0;
}

/* ---- Literals ------------------------------------------------------------------------ */

/* Of a block of literals: the estimated size, and what it grows by if unused values get codes. */
typedef struct {
    uint64_t size;
    uint64_t growth;
} literal_estimate;

/* Estimate the size from the number of times each value occurs; let unused ones count once. */
static literal_estimate estimate_literals(uint32_t *frequency, size_t length, bool fills) {
    float share_of_one = 1.0f / (float)length;
    float bits_of_one = at_least_one(-approximate_log2(share_of_one));
    float size = 0, growth = 0;
    for (int i = 0; i < 256; i++) {
        float times = (float)frequency[i];
        if (frequency[i] != 0) {
            float cost = at_least_one(-approximate_log2(times * share_of_one)) * times;
            size = size + cost;
        } else if (fills) {
            frequency[i] = 1;
            growth = growth + bits_of_one;
        }
    }
    return (literal_estimate){(uint64_t)(size + 0.99f) + END_SIZE, (uint64_t)(growth + 0.99f)};
}

/* The same as if unused values were in the input too; the estimate gets a share of the length. */
static literal_estimate estimate_of_all(const uint32_t *frequency, size_t length, bool fills) {
    size_t total = length;
    for (int i = 0; i < 256; i++)
        total += fills && frequency[i] == 0 ? 1 : 0;
    float share_of_one = 1.0f / (float)total;
    float size = 0;
    for (int i = 0; i < 256; i++) {
        if (frequency[i] == 0)
            continue;
        float times = (float)frequency[i];
        float cost = at_least_one(-approximate_log2(times * share_of_one)) * times;
        size = size + cost;
    }
    return (literal_estimate){(uint64_t)(size + 0.99f) + length / 32, 0};
}

static void make_literal_table(block_plan *plan) {
    plan->literal_frequency[END_OF_BLOCK] = 1;
    memset(plan->literal, 0, sizeof plan->literal);
    memset(plan->offset, 0, sizeof plan->offset);
    plan->offset[0].length = 1; /* DEFLATE has no empty offset table */
    deflate_huffman_build(plan->literal, plan->literal_frequency, END_OF_BLOCK + 1, 15);
    deflate_header_make(&plan->header, plan->literal, END_OF_BLOCK + 1, plan->offset, 1);
}

static void write_literals(go127_writer *writer, block_plan *plan, const block_input *block,
                           bool of_all, bit_writer *out) {
    bool fills = !block->last;
    deflate_count_bytes(block->data, block->length, plan->literal_frequency);
    literal_estimate estimated =
        of_all ? estimate_of_all(plan->literal_frequency, block->length, fills)
               : estimate_literals(plan->literal_frequency, block->length, fills);
    uint64_t fresh = estimated.size + writer->header_size;
    if (writer->header_size == 0)
        fresh += GUESSED_HEADER_SIZE;
    fresh += fresh >> writer->penalty;
    if (stored_size(block) < fresh) {
        write_stored(writer, block, out);
        return;
    }
    if (writer->header_size != 0 &&
        fresh + estimated.growth <
            deflate_huffman_cost(writer->literal, plan->literal_frequency, 256))
        go127_close_table(writer, out);
    if (writer->header_size == 0) {
        if (fills)
            fill(plan->literal_frequency, 256);
        make_literal_table(plan);
        go127_open_table(writer, plan, true, out);
    }
    parsed_block all = {
        .literals = block->data, .literal_count = block->length, .tail = block->length};
    deflate_write_tokens(&all, writer->literal, writer->offset, block->last, out);
    if (block->last)
        writer->header_size = 0;
}

/* The same from 1.12.3 on, which is how Go 1.27 does it, without the test for a flat histogram. */
static void write_literals_by_code(go127_writer *writer, block_plan *plan, const block_input *block,
                                   bit_writer *out) {
    plain_block plain = {block->data, block->length};
    go127_plan_literals(plan, plain, block->last, &go127_writer_1_14_0);
    go127_write(writer, plan, NULL, plain, out);
}

void pgzip_old_write(go127_writer *writer, block_plan *plan, const block_input *block,
                     const parsed_block *parsed, const pgzip_old_rules *rules, bit_writer *out) {
    switch (parsed->kind) {
    case BLOCK_STORED:
        write_stored(writer, block, out);
        break;
    case BLOCK_LITERALS:
        if (rules->literals == LITERALS_BY_CODE)
            write_literals_by_code(writer, plan, block, out);
        else
            write_literals(writer, plan, block, rules->literals == LITERALS_BY_ENTROPY_OF_ALL, out);
        break;
    case BLOCK_TOKENS:
        write_tokens(writer, plan, block, parsed, rules, out);
        break;
    }
}
