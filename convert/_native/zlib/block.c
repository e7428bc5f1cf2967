/*
 * A block as zlib and GNU gzip write it (trees.c, _tr_flush_block or flush_block).
 *
 * Algorithm: Huffman codes for the tokens, their lengths in runs, and the smallest of three forms.
 *
 * Why the bytes are theirs: sizes are compared in whole bytes, fixed codes win against codes of
 * the same size, and a block is stored only if that saves something and its bytes are in the
 * window still.
 */
#include "zlib/block.h"

#include <string.h>

#include "zlib/codes.h"

enum { MAX_BITS = 15, MAX_CODEGEN_BITS = 7 };

/* ---- Code lengths, run by run ---------------------------------------------------------- */

typedef struct {
    uint8_t symbol[LITERAL_CODES + OFFSET_CODES];
    uint8_t extra[LITERAL_CODES + OFFSET_CODES];
    int count;
    uint16_t weights[CODEGEN_CODES];
} run_list;

static void add_run(run_list *runs, unsigned symbol, unsigned extra) {
    runs->symbol[runs->count] = (uint8_t)symbol;
    runs->extra[runs->count++] = (uint8_t)extra;
    runs->weights[symbol]++;
}

/* Literals and distances are cut into runs separately: no run crosses from one to the other. */
static void add_lengths(run_list *runs, const huffman_code *codes, int symbols) {
    int before = -1;
    for (int i = 0; i < symbols;) {
        unsigned length = codes[i].length;
        int most = length == 0 ? 138 : (int)length == before ? 6 : 7;
        int n = 1;
        while (n < most && i + n < symbols && codes[i + n].length == length)
            n++;
        i += n;
        if (length == 0 && n >= 3) {
            add_run(runs, n <= 10 ? CODEGEN_ZEROS_SHORT : CODEGEN_ZEROS_LONG,
                    (unsigned)(n <= 10 ? n - 3 : n - 11));
        } else if (length != 0 && n >= ((int)length == before ? 3 : 4)) {
            if ((int)length != before) {
                add_run(runs, length, 0);
                n--;
            }
            add_run(runs, CODEGEN_REPEAT, (unsigned)(n - 3));
        } else {
            for (; n > 0; n--)
                add_run(runs, length, 0);
        }
        before = (int)length;
    }
}

static unsigned run_extra_bits(unsigned symbol) {
    return symbol == CODEGEN_REPEAT        ? 2
           : symbol == CODEGEN_ZEROS_SHORT ? 3
           : symbol == CODEGEN_ZEROS_LONG  ? 7
                                           : 0;
}

/* ---- Blocks ------------------------------------------------------------------------------ */

static uint64_t coded_bits(const zlib_tokens *t, const huffman_code *literals,
                           const huffman_code *distances) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < LITERAL_CODES; i++)
        bits += (uint64_t)t->literal_count[i] *
                (literals[i].length +
                 (i >= LENGTH_CODE_0 ? deflate_length_extra_bits[i - LENGTH_CODE_0] : 0u));
    for (unsigned i = 0; i < OFFSET_CODES; i++)
        bits +=
            (uint64_t)t->distance_count[i] * (distances[i].length + deflate_offset_extra_bits[i]);
    return bits;
}

static void put_tokens(const zlib_tokens *t, const huffman_code *literals,
                       const huffman_code *distances, bit_writer *out) {
    bit_writer w = *out; /* a copy that the compiler can keep in registers */
    for (unsigned i = 0; i < t->count; i++) {
        unsigned value = t->values[i];
        if (t->distances[i] == 0) {
            bits_put(&w, literals[value].bits, literals[value].length);
            continue;
        }
        /* At most 7 pending, 15 + 5 and 15 + 13 bits: one flush is enough. */
        unsigned code = deflate_length_codes[value];
        huffman_code length = literals[LENGTH_CODE_0 + code];
        bits_add(&w, length.bits, length.length);
        bits_add(&w, value - deflate_length_base[code], deflate_length_extra_bits[code]);
        unsigned distance = t->distances[i] - 1u;
        code = offset_code(distance);
        bits_add(&w, distances[code].bits, distances[code].length);
        bits_put(&w, distance - deflate_offset_base[code], deflate_offset_extra_bits[code]);
    }
    *out = w;
    bits_put(out, literals[END_OF_BLOCK].bits, literals[END_OF_BLOCK].length);
}

void zlib_clear_tokens(zlib_tokens *t) {
    memset(t->literal_count, 0, sizeof t->literal_count);
    memset(t->distance_count, 0, sizeof t->distance_count);
    t->literal_count[END_OF_BLOCK] = 1;
    t->count = t->matches = 0;
}

void zlib_write_block(zlib_tokens *t, const uint8_t *data, size_t size, bool last,
                      bit_writer *out) {
    zlib_code literals, distances, codegens;

    /* Computed first: building a code may add symbols that do not occur to the counts. */
    uint64_t fixed = coded_bits(t, deflate_fixed_literals, deflate_fixed_offsets);
    uint16_t literal_weights[LITERAL_CODES], distance_weights[OFFSET_CODES];
    memcpy(literal_weights, t->literal_count, sizeof literal_weights);
    memcpy(distance_weights, t->distance_count, sizeof distance_weights);
    zlib_build_code(&literals, literal_weights, LITERAL_CODES, MAX_BITS);
    zlib_build_code(&distances, distance_weights, OFFSET_CODES, MAX_BITS);

    run_list runs = {.count = 0};
    add_lengths(&runs, literals.codes, literals.last + 1);
    add_lengths(&runs, distances.codes, distances.last + 1);
    uint16_t run_weights[CODEGEN_CODES];
    memcpy(run_weights, runs.weights, sizeof run_weights);
    zlib_build_code(&codegens, run_weights, CODEGEN_CODES, MAX_CODEGEN_BITS);
    int sent = CODEGEN_CODES;
    while (sent > 4 && codegens.codes[deflate_codegen_order[sent - 1]].length == 0)
        sent--;
    uint64_t dynamic =
        coded_bits(t, literals.codes, distances.codes) + 5 + 5 + 4 + 3 * (uint64_t)sent;
    for (unsigned i = 0; i < CODEGEN_CODES; i++)
        dynamic += (uint64_t)runs.weights[i] * (codegens.codes[i].length + run_extra_bits(i));

    uint64_t fixed_bytes = (fixed + 3 + 7) >> 3, best = (dynamic + 3 + 7) >> 3;
    if (fixed_bytes <= best)
        best = fixed_bytes;
    if (size + 4 <= best && data != NULL) {
        bits_stored(out, data, size, last);
    } else if (fixed_bytes == best) {
        bits_put(out, (last ? 1 : 0) | 1 << 1, 3);
        put_tokens(t, deflate_fixed_literals, deflate_fixed_offsets, out);
    } else {
        bits_put(out, (last ? 1 : 0) | 2 << 1, 3);
        bits_put(out, (unsigned)literals.last + 1 - 257, 5);
        bits_put(out, (unsigned)distances.last, 5);
        bits_put(out, (unsigned)sent - 4, 4);
        for (int i = 0; i < sent; i++)
            bits_put(out, codegens.codes[deflate_codegen_order[i]].length, 3);
        for (int i = 0; i < runs.count; i++) {
            unsigned symbol = runs.symbol[i];
            bits_add(out, codegens.codes[symbol].bits, codegens.codes[symbol].length);
            bits_put(out, runs.extra[i], run_extra_bits(symbol));
        }
        put_tokens(t, literals.codes, distances.codes, out);
    }
    zlib_clear_tokens(t);
}
