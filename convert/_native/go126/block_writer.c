/*
 * Writing one block as Go up to 1.26 does.
 *
 * Algorithm: count the symbols, build the block's Huffman codes, and choose between stored,
 * fixed and dynamic by comparing sizes.
 *
 * Why the bytes are Go's: the choices follow compress/flate/huffman_bit_writer.go (writeBlock,
 * writeBlockDynamic, writeBlockHuff), including the terms that Go leaves out of its sizes.
 */
#include "go126/block_writer.h"

#include <string.h>

#include "deflate/huffman.h"
#include "deflate/token_writer.h"

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
    deflate_huffman_build(code->literal, code->literal_frequency, LITERAL_CODES, 15);
    deflate_huffman_build(code->offset, code->offset_frequency, OFFSET_CODES, 15);
    deflate_header_make(&code->header, code->literal, code->literals, code->offset, code->offsets);
}

/* The size of symbols under a code, without their extra bits. */
static uint64_t coded_size(const block_code *code, const huffman_code *literal,
                           const huffman_code *offset) {
    return deflate_huffman_cost(literal, code->literal_frequency, LITERAL_CODES) +
           deflate_huffman_cost(offset, code->offset_frequency, OFFSET_CODES);
}

static uint64_t stored_size(size_t size) {
    return ((uint64_t)size + 5) * 8;
}

static void write_dynamic(const parsed_block *tokens, const block_code *code, bit_writer *out) {
    deflate_header_write(&code->header, out);
    deflate_write_tokens(tokens, code->literal, code->offset, true, out);
}

/* Level 1: a dynamic code, or stored if the code saves less than about 1/16. */
static void write_dynamic_or_stored(const parsed_block *tokens, const block_input *block,
                                    bit_writer *out) {
    block_code code;
    deflate_count_tokens(tokens, code.literal_frequency, code.offset_frequency);
    make_code(&code);
    /* Go leaves the extra bits of lengths and offsets out of this estimate. */
    uint64_t size = code.header.size + coded_size(&code, code.literal, code.offset);
    if (block->length <= STORED_MAX && stored_size(block->length) < size + (size >> 4))
        bits_stored(out, block->data, block->length, false);
    else
        write_dynamic(tokens, &code, out);
}

void go126_write_smallest(const parsed_block *tokens, const uint8_t *data, size_t size,
                          bit_writer *out) {
    block_code code;
    deflate_count_tokens(tokens, code.literal_frequency, code.offset_frequency);
    make_code(&code);

    uint64_t extra = 0;
    bool storable = data != NULL && size <= STORED_MAX;
    if (storable) {
        /* Equal for fixed and dynamic, so Go counts them only against stored. */
        for (size_t c = 0; c < LENGTH_CODES; c++)
            extra += code.literal_frequency[LENGTH_CODE_0 + c] * deflate_length_extra_bits[c];
        for (size_t c = 0; c < OFFSET_CODES; c++)
            extra += code.offset_frequency[c] * deflate_offset_extra_bits[c];
    }
    uint64_t fixed = 3 + extra + coded_size(&code, deflate_fixed_literals, deflate_fixed_offsets);
    uint64_t dynamic = code.header.size + extra + coded_size(&code, code.literal, code.offset);
    uint64_t smallest = dynamic < fixed ? dynamic : fixed;

    if (storable && stored_size(size) < smallest) {
        bits_stored(out, data, size, false);
    } else if (dynamic < fixed) {
        write_dynamic(tokens, &code, out);
    } else {
        bits_put(out, 2, 3); /* not final, fixed */
        deflate_write_tokens(tokens, deflate_fixed_literals, deflate_fixed_offsets, true, out);
    }
}

/* Literals only, or stored: "huffman", and blocks of level 1 where matches do not pay. */
static void write_literals_or_stored(const uint8_t *data, size_t size, bit_writer *out) {
    /* The alphabet of this kind of block: 257 literals, and one offset that is never used. */
    enum { SYMBOLS = END_OF_BLOCK + 1 };
    static const huffman_code one_offset[1] = {{0, 1}};
    block_code code;
    deflate_count_bytes(data, size, code.literal_frequency);
    code.literal_frequency[END_OF_BLOCK] = 1;
    deflate_huffman_build(code.literal, code.literal_frequency, SYMBOLS, 15);
    deflate_header_make(&code.header, code.literal, SYMBOLS, one_offset, 1);
    /* Go counts the one bit of the unused offset. */
    uint64_t bits =
        code.header.size + 1 + deflate_huffman_cost(code.literal, code.literal_frequency, SYMBOLS);
    if (size <= STORED_MAX && stored_size(size) < bits + (bits >> 4)) {
        bits_stored(out, data, size, false);
        return;
    }
    deflate_header_write(&code.header, out);
    deflate_write_literals(data, size, code.literal, out);
    bits_put(out, code.literal[END_OF_BLOCK].bits, code.literal[END_OF_BLOCK].length);
}

void go126_write_block(void *writer, void *plan, const block_input *block,
                       const parsed_block *parsed, bit_writer *out) {
    (void)writer;
    (void)plan;
    switch (parsed->kind) {
    case BLOCK_STORED:
        bits_stored(out, block->data, block->length, false);
        break;
    case BLOCK_LITERALS:
        write_literals_or_stored(block->data, block->length, out);
        break;
    case BLOCK_TOKENS:
        write_dynamic_or_stored(parsed, block, out);
        break;
    }
}

void go126_write_end(void *writer, bit_writer *out) {
    (void)writer;
    bits_stored(out, NULL, 0, true);
}
