/*
 * Go up to 1.26, levels 2 to 9, and Go up to 1.6, levels 1 to 9, in order.
 *
 * Algorithm: input is buffered; whenever the buffer is full it is parsed, whole blocks of tokens
 * are cut off and written, and the buffer is moved.
 *
 * Why the bytes are Go's: the parser and the cutter keep track of where Go's window stands, so
 * the size of this buffer does not matter, and neither does how the input is split into calls.
 */
#include <string.h>

#include "go126/block_writer.h"
#include "go126/chain.h"
#include "go126/go126.h"

enum {
    CHUNK = 4 * WINDOW_SIZE, /* parsed at once */
    CAPACITY = GO126_CHAIN_HISTORY + CHUNK,
    /* The tokens of one chunk, and those before it that were too few for a block. */
    MAX_SEQUENCES = CAPACITY / GO16_CHAIN_MIN_MATCH + GO126_CHAIN_BLOCK_TOKENS,
    MAX_LITERALS = CAPACITY + GO126_CHAIN_BLOCK_TOKENS,
    /* The most per token under the fixed code; another code is chosen only if it is smaller. */
    TOKEN_BYTES = 4,
    BLOCK_OVERHEAD = 16,
};

typedef struct {
    go126_chain_parser parser;
    go126_chain_cutter cutter;
    token_list list; /* not yet in a block, but for */
    uint32_t skip;   /* literals of its first sequence */
    uint64_t origin; /* stream position of buffer[0] */
    size_t size;
    uint8_t buffer[CAPACITY + 1]; /* one byte behind the input is read */
    sequence sequences[MAX_SEQUENCES];
    uint8_t literals[MAX_LITERALS + LITERAL_SLACK];
} serial_state;

static size_t state_size(encoder_profile profile) {
    (void)profile;
    return sizeof(serial_state);
}

static void init(void *state, encoder_profile profile) {
    serial_state *s = state;
    uint32_t least = profile.family == FAMILY_GO16 ? GO16_CHAIN_MIN_MATCH : GO126_CHAIN_MIN_MATCH;
    go126_chain_init(&s->parser, profile.level, least);
    s->cutter = (go126_chain_cutter){.lazy = s->parser.rules.lazy != 0, .least = least};
    s->list = (token_list){.sequences = s->sequences, .literals = s->literals};
    s->skip = 0;
    s->origin = 0;
    s->size = 0;
}

static size_t bound(const void *state, size_t n) {
    const serial_state *s = state;
    size_t unparsed = s->size - s->parser.next + n;
    size_t tokens = s->list.literal_count + s->list.count + 1;
    if (n != 0 && tokens + unparsed < GO126_CHAIN_BLOCK_TOKENS)
        return BITS_SLACK;
    return tokens * TOKEN_BYTES + unparsed / 8 * 9 + 9 +
           ((tokens + unparsed) / GO126_CHAIN_BLOCK_TOKENS + 2) * BLOCK_OVERHEAD + BITS_SLACK;
}

/* Write every whole block and, with `rest`, the remaining tokens. */
static void write_blocks(serial_state *s, bool rest, bit_writer *out) {
    uint64_t end = s->origin + s->size;
    size_t first = 0, literals_used = 0;
    uint64_t position = s->cutter.position;
    go126_chain_block block;
    while (go126_chain_cut(&s->cutter, &s->list, first, s->skip, rest, end, &block)) {
        parsed_block tokens = {
            .literals = s->list.literals + literals_used,
            .literal_count = block.literals,
            .sequences = s->list.sequences + first,
            .count = block.sequences,
            .skip = s->skip,
            .tail = block.tail,
        };
        const uint8_t *data = block.storable ? s->buffer + (position - s->origin) : NULL;
        go126_write_smallest(&tokens, data, block.size, out);
        position = s->cutter.position;
        literals_used += block.literals;
        s->skip = block.tail + (block.sequences == 0 ? s->skip : 0);
        first += block.sequences;
    }
    if (first == s->list.count) { /* only the tail is left */
        s->list.tail -= s->skip;
        s->skip = 0;
    }
    s->list.count -= first;
    s->list.literal_count -= literals_used;
    memmove(s->list.sequences, s->list.sequences + first, s->list.count * sizeof(sequence));
    memmove(s->list.literals, s->list.literals + literals_used, s->list.literal_count);
}

static void parse_and_write(serial_state *s, bool final, bit_writer *out) {
    go126_chain_input in = {s->buffer, s->size, s->origin, final};
    go126_chain_parse(&s->parser, &in, SIZE_MAX, &s->list);
    write_blocks(s, final, out);
}

static void move_buffer(serial_state *s) {
    if (s->parser.next <= GO126_CHAIN_HISTORY)
        return;
    size_t from = s->parser.next - GO126_CHAIN_HISTORY;
    memmove(s->buffer, s->buffer + from, s->size - from);
    s->size -= from;
    s->origin += from;
    go126_chain_slide(&s->parser, from);
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    while (n > 0) {
        size_t space = CAPACITY - s->size;
        size_t part = space < n ? space : n;
        memcpy(s->buffer + s->size, data, part);
        s->size += part;
        data += part;
        n -= part;
        if (s->size == CAPACITY) {
            parse_and_write(s, false, &w);
            move_buffer(s);
        }
    }
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    parse_and_write(s, true, &w);
    go126_write_end(NULL, &w);
    return bits_to_tail(&w, tail);
}

const serial_encoder go126_chain_serial = {
    .state_size = state_size,
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
