/* Levels 2 to 9 of go1.26 from the first byte to the last: parse, cut, code. */
#include <string.h>

#include "encoder.h"
#include "go126/chain.h"

enum {
    CHUNK = 4 * WINDOW_SIZE, /* parsed at a time */
    CAPACITY = CHAIN_HISTORY + CHUNK,
    /* What one chunk gives, and what was too little for a block before it. */
    MAX_SEQUENCES = CAPACITY / CHAIN_MIN_MATCH + CHAIN_BLOCK_TOKENS,
    MAX_LITERALS = CAPACITY + CHAIN_BLOCK_TOKENS,
    /* No token is longer in the fixed code, and no code chosen is worse than that. */
    TOKEN_BYTES = 4,
    BLOCK_OVERHEAD = 16,
};

typedef struct {
    chain_parser parser;
    chain_cutter cutter;
    token_list list; /* not yet in a block */
    uint32_t skip;   /* literals of its first sequence that are */
    uint64_t origin; /* stream position of buffer[0] */
    size_t size;
    uint64_t word; /* bits that do not fill a byte yet */
    unsigned count;
    uint8_t buffer[CAPACITY];
    sequence sequences[MAX_SEQUENCES];
    uint8_t literals[MAX_LITERALS];
} chain_stream;

static void stream_init(void *state, int level) {
    chain_stream *s = state;
    chain_init(&s->parser, level);
    s->cutter = (chain_cutter){.lazy = s->parser.rules.lazy != 0};
    s->list = (token_list){.sequences = s->sequences, .literals = s->literals};
    s->skip = 0;
    s->origin = 0;
    s->size = 0;
    s->word = 0;
    s->count = 0;
}

static size_t stream_bound(const void *state, size_t n) {
    const chain_stream *s = state;
    size_t unparsed = s->size - s->parser.next + n;
    size_t tokens = s->list.literal_count + s->list.count + 1;
    if (n != 0 && tokens + unparsed < CHAIN_BLOCK_TOKENS)
        return BITS_SLACK;
    return tokens * TOKEN_BYTES + unparsed / 8 * 9 + 9 +
           ((tokens + unparsed) / CHAIN_BLOCK_TOKENS + 2) * BLOCK_OVERHEAD + BITS_SLACK;
}

/* Code every whole block there is, and with `rest` what remains. */
static void code_blocks(chain_stream *s, bool rest, bit_writer *out) {
    uint64_t end = s->origin + s->size;
    size_t first = 0, literals_used = 0;
    uint64_t position = s->cutter.position;
    chain_block block;
    while (chain_cut(&s->cutter, &s->list, first, s->skip, rest, end, &block)) {
        token_block tokens = {
            .data = block.storable ? s->buffer + (position - s->origin) : NULL,
            .size = block.size,
            .literals = s->list.literals + literals_used,
            .literal_count = block.literals,
            .sequences = s->list.sequences + first,
            .count = block.sequences,
            .skip = s->skip,
            .tail = block.tail,
        };
        go126_code_smallest(&tokens, out);
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

static void parse_and_code(chain_stream *s, bool final, bit_writer *out) {
    chain_input in = {s->buffer, s->size, s->origin, final};
    chain_parse(&s->parser, &in, SIZE_MAX, &s->list);
    code_blocks(s, final, out);
}

static void slide(chain_stream *s) {
    if (s->parser.next <= CHAIN_HISTORY)
        return;
    size_t from = s->parser.next - CHAIN_HISTORY;
    memmove(s->buffer, s->buffer + from, s->size - from);
    s->size -= from;
    s->origin += from;
    chain_slide(&s->parser, from);
}

static size_t stream_write(void *state, const uint8_t *data, size_t n, uint8_t *out) {
    chain_stream *s = state;
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    while (n > 0) {
        size_t room = CAPACITY - s->size;
        size_t part = room < n ? room : n;
        memcpy(s->buffer + s->size, data, part);
        s->size += part;
        data += part;
        n -= part;
        if (s->size == CAPACITY) {
            parse_and_code(s, false, &w);
            slide(s);
        }
    }
    bits_flush(&w);
    s->word = w.word;
    s->count = w.count;
    return (size_t)(w.next - w.start);
}

static size_t stream_finish(void *state, uint8_t *out) {
    chain_stream *s = state;
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    parse_and_code(s, true, &w);
    go126_code_end(NULL, &w);
    return (size_t)(w.next - w.start);
}

const token_encoder go126_chain = {
    .state_size = sizeof(chain_stream),
    .init = stream_init,
    .bound = stream_bound,
    .write = stream_write,
    .finish = stream_finish,
};
