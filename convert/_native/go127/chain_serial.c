/*
 * Go 1.27, levels 7 to 9, in order.
 *
 * Algorithm: input fills a window; when it is full and more follows, the parser takes a step and
 * the window moves. Tokens become a block whenever there are enough.
 *
 * Why the bytes are Go's: window, steps and blocks are Go's (see chain.h).
 */
#include <string.h>

#include "go127/block_writer.h"
#include "go127/chain.h"
#include "go127/go127.h"

typedef struct {
    bit_writer out;
    go127_writer writer;
    block_plan plan;
    int32_t block_start; /* in the window; negative: no longer in it */
    uint8_t window[GO127_CHAIN_WINDOW];
    sequence sequences[GO127_CHAIN_BLOCK_TOKENS];
    uint8_t literals[GO127_CHAIN_BLOCK_TOKENS + LITERAL_SLACK];
    go127_chain_parser parser;
} serial_state;

static void write_block(void *memory, bool closing) {
    serial_state *state = memory;
    token_list *tokens = &state->parser.tokens;
    parsed_block block = {
        .sequences = tokens->sequences,
        .count = tokens->count,
        .literals = tokens->literals,
        .literal_count = tokens->literal_count,
        .tail = tokens->tail,
    };
    plain_block plain = {NULL, 0};
    if (state->block_start >= 0)
        plain = (plain_block){state->window + state->block_start,
                              (size_t)(state->parser.index - state->block_start)};
    go127_plan_tokens(&state->plan, &block, closing, &go127_writer_now);
    go127_write(&state->writer, &state->plan, &block, plain, &state->out);
    state->block_start = state->parser.index;
    tokens->count = tokens->literal_count = tokens->tail = 0;
}

static size_t state_size(encoder_profile profile) {
    (void)profile;
    return sizeof(serial_state);
}

static void init(void *memory, encoder_profile profile) {
    serial_state *state = memory;
    memset(state, 0, sizeof *state);
    go127_writer_init(&state->writer, GO127_CHAIN_PENALTY);
    go127_chain_init(&state->parser, profile.level);
    state->parser.window = state->window;
    state->parser.tokens.sequences = state->sequences;
    state->parser.tokens.literals = state->literals;
    state->parser.full = GO127_CHAIN_BLOCK_TOKENS;
    state->parser.on_full = write_block;
    state->parser.owner = state;
}

static size_t bound(const void *memory, size_t n) {
    (void)memory;
    /* Pending tokens, all of them matches at worst, and two bytes per byte of input. */
    return (size_t)GO127_CHAIN_BLOCK_TOKENS * 6 + 2 * (GO127_CHAIN_WINDOW + n) +
           (n / GO127_CHAIN_BLOCK_TOKENS + 4) * 1024;
}

static void move_window(serial_state *state) {
    memcpy(state->window, state->window + GO127_CHAIN_HALF, GO127_CHAIN_HALF);
    state->block_start =
        state->block_start >= GO127_CHAIN_HALF ? state->block_start - GO127_CHAIN_HALF : -1;
    go127_chain_move(&state->parser);
}

static size_t write(void *memory, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    serial_state *state = memory;
    go127_chain_parser *parser = &state->parser;
    state->out = bits_from_tail(tail, out);
    while (n > 0) {
        /* A full window waits for more input: the last step of a stream is a different one. */
        if (parser->end == GO127_CHAIN_WINDOW) {
            go127_chain_step(parser, false);
            move_window(state);
        }
        size_t space = (size_t)(GO127_CHAIN_WINDOW - parser->end);
        size_t taken = n < space ? n : space;
        memcpy(state->window + parser->end, data, taken);
        parser->end += (int32_t)taken;
        data += taken;
        n -= taken;
    }
    return bits_to_tail(&state->out, tail);
}

static size_t finish(void *memory, bit_tail *tail, uint8_t *out) {
    serial_state *state = memory;
    state->out = bits_from_tail(tail, out);
    go127_chain_step(&state->parser, true);
    if (state->parser.tokens.count + state->parser.tokens.literal_count != 0)
        write_block(state, true);
    go127_write_end(&state->writer, &state->out);
    return bits_to_tail(&state->out, tail);
}

const serial_encoder go127_chain_serial = {
    .state_size = state_size,
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
