/*
 * The interface of the gzip (raw DEFLATE) encoders.
 *
 * An encoder here is a promise about bytes: given the same input it writes what one
 * generation of Go's compress/flate writes, however the input is cut, and for ever. Two
 * kinds of encoder exist, told apart by what may be known before the input is parsed.
 *
 *   block encoders   cut the *input* every `block_size` bytes (levels 1 of go1.26, levels
 *                    1-6 of go1.27, and every "huffman" and "store"). What crosses a block
 *                    boundary can be written down as a snapshot.
 *   token encoders   cut the *token stream*, so a block's start is known only when
 *                    everything before it has been parsed (levels 2-9 of go1.26, 7-9 of
 *                    go1.27).
 *
 * Nothing here allocates, keeps global state, or knows of Python. Callers hand in the
 * memory; an object is used by one thread at a time.
 */
#ifndef IMGCONV_ENCODER_H
#define IMGCONV_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/tokens.h"

enum {
    LEVEL_HUFFMAN = -2, /* numbers as Go names them */
    LEVEL_STORE = 0,
    LEVEL_MIN = 1,
    LEVEL_MAX = 9,
    WINDOW_SIZE = 32768, /* how far back DEFLATE can point */
};

/* ---- Block encoders ------------------------------------------------------------------ */

/* One block of input and where it lies in the stream. */
typedef struct {
    const uint8_t *data; /* its first byte; min(position, history) bytes before are readable */
    size_t length;       /* block_size, or 1..block_size for the last block of the stream */
    uint64_t position;   /* bytes of the stream before it; a multiple of block_size */
    bool last;           /* no input follows: Go codes this block out of Close */
} block_input;

enum {
    BLOCK_MIN_MATCH = 4, /* of every encoder that cuts its input and looks for matches */
    BLOCK_COPY = 16,     /* short runs of literals are copied so many bytes at a time */
};

/* Where a block is parsed into: block_sequences() sequences, and the block's length and
 * BLOCK_COPY bytes. */
typedef struct {
    sequence *sequences;
    uint8_t *literals;
} block_room;

/* When parsers that began apart are in the same state, as a rule. */
typedef enum {
    MEETING_AT_ONCE,
    MEETING_SOON, /* after a block or two */
    MEETING_LATE, /* after many */
} block_meeting;

/*
 * A block encoder in its two parts, as tables of functions on states of the caller (aligned
 * for any type).
 *
 * The parser finds matches. What it carries from block to block is much, but what that
 * *means* at a boundary can be written down as a snapshot: two parsers with equal snapshots
 * parse every possible continuation alike. Positions in it are therefore relative to the
 * boundary, and entries out of reach are written as one canonical "nothing". Snapshots are
 * what makes parallel encoding exact instead of hopeful.
 *
 * The coder turns parsed blocks into bits. What it carries is little, and all that takes time
 * can be planned apart from the blocks before; so it always runs in order, and is never guessed.
 */
typedef struct {
    size_t block_size;
    size_t history;       /* earlier input that a block may refer to */
    size_t warmup_blocks; /* blocks to parse, result thrown away, before a guess is good */
    block_meeting meeting;

    size_t parser_size; /* of which a copy goes on as the parser does */
    size_t snapshot_size; /* 0: nothing crosses a boundary */
    void (*parser_init)(void *parser, int level);
    void (*parse)(void *parser, const block_input *block, block_room room, parsed_block *parsed);
    void (*save)(const void *parser, void *snapshot);

    size_t coder_size; /* 0: every block is coded for itself */
    size_t plan_size;
    void (*coder_init)(void *coder, int level);
    /* What of a block's coding does not depend on other blocks; NULL: there is no such thing. */
    void (*plan)(const block_input *block, const parsed_block *parsed, void *plan);
    /* Add to the plan what coding may want of it, and would else make then; or NULL. */
    void (*complete)(void *plan);
    /* Code the block. Writes at most block_bound(length) bytes; leaves bits pending in `out`.
     * Stored data goes through bits_stored() and through nothing else. With `out` NULL (only if
     * there is a coder) the coder advances, and neither data nor tokens are looked at. */
    void (*code)(void *coder, void *plan, const block_input *block, const parsed_block *parsed,
                 bit_writer *out);
    /* End the stream after its last block (or with no block at all) and fill the last byte. */
    void (*end)(void *coder, bit_writer *out);
} block_encoder;

/* Room that code() can need for a block of n bytes, and end() for n = 0 (see bits.h for slack). */
static inline size_t block_bound(size_t n) {
    return 2 * n + 1024;
}

/* The most sequences that a block can have: a match takes four bytes at least, and one cut in
 * pieces of up to 258 has fewer pieces than that. */
static inline size_t block_sequences(const block_encoder *encoder) {
    return encoder->block_size / BLOCK_MIN_MATCH + 1;
}

/* How much memory a block is parsed into; and that as a room. */
static inline size_t block_room_size(const block_encoder *encoder) {
    return block_sequences(encoder) * sizeof(sequence) + encoder->block_size + BLOCK_COPY;
}

static inline block_room block_room_at(const block_encoder *encoder, uint8_t *memory) {
    return (block_room){(sequence *)(void *)memory,
                        memory + block_sequences(encoder) * sizeof(sequence)};
}

/* The block encoder of a generation (126 or 127) and level, NULL if that has another kind. */
const block_encoder *find_block_encoder(int generation, int level);

/* ---- Token encoders, sequential ------------------------------------------------------ */

/*
 * A token encoder run from the first byte to the last. write() takes any amount of input
 * and returns the bytes that are settled; bound() says how many write(n) (or, with
 * n = 0, finish()) can give at most.
 */
typedef struct {
    size_t state_size;
    void (*init)(void *state, int level);
    size_t (*bound)(const void *state, size_t n);
    size_t (*write)(void *state, const uint8_t *data, size_t n, uint8_t *out);
    size_t (*finish)(void *state, uint8_t *out);
} token_encoder;

/* The token encoder of a generation and level, NULL if that has another kind. */
const token_encoder *find_token_encoder(int generation, int level);

/* ---- All there are --------------------------------------------------------------------- */

extern const block_encoder go126_fast;         /* level 1 */
extern const block_encoder go126_huffman_only; /* level "huffman" */
extern const block_encoder go126_store;        /* level "store" */
extern const token_encoder go126_chain;        /* levels 2..9 */

extern const block_encoder go127_fast1; /* levels 1..6, one file and table each */
extern const block_encoder go127_fast2;
extern const block_encoder go127_fast3;
extern const block_encoder go127_fast4;
extern const block_encoder go127_fast5;
extern const block_encoder go127_fast6;
extern const block_encoder go127_huffman_only;
extern const block_encoder go127_store;
extern const token_encoder go127_chain; /* levels 7..9 */

#endif
