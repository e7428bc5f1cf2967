/*
 * The interface of the gzip (raw DEFLATE) encoders.
 *
 * An encoder here is a promise about bytes: given the same input it writes what one
 * generation of Go's compress/flate writes, however the input is cut, and for ever. Two
 * kinds of encoder exist, told apart by what may be known before the input is parsed.
 *
 *   block encoders   cut the *input* every `block_size` bytes (levels 1 of go1.26, levels
 *                    1-6 of go1.27, and every "huffman" and "store"). What crosses a block
 *                    boundary is small and can be written down as a snapshot.
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

#include "bits.h"

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

/*
 * A block encoder as a table of functions on a caller-owned state of `state_size` bytes
 * (aligned for any type).
 *
 * A snapshot is what the state *means* at a block boundary and nothing else: two states
 * that would code every possible continuation alike have bytewise equal snapshots, or at
 * least: equal snapshots imply equal continuations. Positions in it are therefore relative
 * to the boundary, and entries out of reach are written as one canonical "nothing".
 * Snapshots are what makes parallel encoding exact instead of hopeful.
 */
typedef struct {
    size_t block_size;
    size_t history;       /* earlier input that a block may refer to */
    size_t warmup_blocks; /* blocks to run, output thrown away, before a guess is good */
    size_t state_size;
    size_t snapshot_size; /* 0: nothing crosses a boundary */

    void (*init)(void *state, int level);

    /* Code one block. Writes at most block_bound(length) bytes; leaves bits pending in
     * `out`. Stored data goes through bits_stored() and through nothing else. With `out`
     * NULL only the state advances (warming up): no bit need be made. */
    void (*encode)(void *state, const block_input *block, bit_writer *out);

    /* End the stream after its last block (or with no block at all) and fill the last byte. */
    void (*finish)(void *state, bit_writer *out);

    void (*save)(const void *state, void *snapshot);
    /* After load() the state continues exactly as the saved one; `position` is the boundary. */
    void (*load)(void *state, int level, const void *snapshot, uint64_t position);
} block_encoder;

/* Room that encode() plus finish() can need for a block of n bytes (see bits.h for slack). */
static inline size_t block_bound(size_t n) {
    return 2 * n + 1024;
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
