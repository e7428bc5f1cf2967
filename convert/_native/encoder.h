/*
 * The interface of the encoders: raw DEFLATE (RFC 1951) with the bytes of one exact program.
 *
 * An encoder guarantees bytes: for the same input it writes what its program writes, however
 * the input is split into calls and however many threads work on it.
 *
 *   deflate/   what every family uses: bits, tokens, matches, Huffman codes, tables
 *   go126/     compress/flate of Go up to 1.26
 *   go127/     compress/flate of Go 1.27
 *   pgzip/     klauspost's pgzip, in several generations
 *   pigz/      pigz, on the encoder of zlib/
 *   zlib/      zlib, GNU gzip and busybox
 *   parallel/  running a stream of blocks: in order, or in segments on several threads; pieces
 *   registry.c which encoder serves a profile
 *   binding.c  the Python module, the only file that includes Python.h
 *
 * Tables of functions describe an encoder. Every profile has a serial encoder, which takes the
 * input from the first byte to the last. Most have a parallel encoder too, or a piece encoder, with
 * the same bytes.
 *
 * Memory: nothing here allocates or keeps global state. Callers provide memory that is aligned
 * for any type.
 *
 * Threads: data races do not exist and are not tolerated. Different objects may be used by
 * different threads at the same time; one object is used by one call at a time. Three kinds of
 * memory are read by several threads at once, and each has been written for the last time
 * before the first of them reads it:
 *   - the input, which the caller keeps unchanged;
 *   - the parser and the number of a segment that has run: join(), segment_run() of the segment
 *     behind it, and the stream itself only read them. What batch_plan(), decide() and
 *     batch_run() write in a segment are the plans of its blocks, which no other thread reads;
 *   - constant tables.
 * The caller orders calls so that each happens before the next that needs its result: run
 * before join, join before plan, plan before decide, decide before the batch's run, that before
 * its bits are appended. binding.c does so under the GIL and with one flag per object.
 * tests/native/threads.c makes these calls from several threads under ThreadSanitizer.
 *
 * Names: functions and data with external linkage begin with the name of their folder, or
 * `registry`. So do types and constants that other folders use, but for the vocabulary of
 * deflate/ and of this file.
 */
#ifndef IMGCONV_ENCODER_H
#define IMGCONV_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bit_span.h"

/* Programs whose bytes are made here. The numbers are part of the Python interface. */
enum family {
    FAMILY_GNU_GZIP = 1,
    FAMILY_ZLIB = 2,
    FAMILY_GNU_RSYNCABLE = 3, /* GNU gzip with --rsyncable */
    FAMILY_PIGZ = 4,
    FAMILY_BUSYBOX = 5,
    FAMILY_GO16 = 106,  /* Go 1.2 to 1.6 */
    FAMILY_GO126 = 126, /* Go up to 1.26 */
    FAMILY_GO127 = 127,
    /* pgzip with the release of klauspost/compress with which a generation begins. */
    FAMILY_PGZIP_1_18_2 = 21802,
    FAMILY_PGZIP_1_15_10 = 21510,
    FAMILY_PGZIP_1_15_0 = 21500,
    FAMILY_PGZIP_1_14_0 = 21400,
    FAMILY_PGZIP_1_12_3 = 21203,
    FAMILY_PGZIP_1_12_2 = 21202,
    FAMILY_PGZIP_1_11_13 = 21113,
    FAMILY_PGZIP_1_10_2 = 21002,
    FAMILY_PGZIP_1_10_2_256K = 2100256, /* in smaller pieces */
    FAMILY_PGZIP_1_9_8_256K = 2090856,
};

enum {
    LEVEL_HUFFMAN = -2, /* as Go numbers its levels */
    LEVEL_STORE = 0,
    LEVEL_MIN = 1,
    LEVEL_MAX = 9,
    WINDOW_SIZE = 32768,     /* the largest distance of a match in DEFLATE */
    STREAM_END_BOUND = 1024, /* bytes that the end of a stream can need (see bits.h for slack) */
};

typedef struct {
    enum family family;
    int level;
} encoder_profile;

/* ---- In order ---------------------------------------------------------------------------- */

/* Input of which no output was made yet, and the input before it that encoders still read. */
typedef struct {
    const uint8_t *data; /* the unwritten input; `before` bytes are in front of it */
    size_t before;
    size_t size; /* at most a unit, see parallel_geometry */
} unwritten_input;

typedef struct {
    size_t (*state_size)(encoder_profile profile);
    void (*init)(void *state, encoder_profile profile);

    /* The most bytes that write(n) can return or, for n = 0, finish(). */
    size_t (*bound)(const void *state, size_t n);
    /* Take n bytes of input; return the number of bytes of output. The tail holds the last bits
     * of the stream, which do not fill a byte, and belongs to the caller; it is empty at first. */
    size_t (*write)(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out);
    /* End the stream. Nothing may be written after. */
    size_t (*finish)(void *state, bit_tail *tail, uint8_t *out);

    /* For a stream that is written in order only in part; NULL if that is not supported. What
     * was not written yet is encoded as part of the next segment; after segments, resume()
     * continues with input whose first byte is at `position`. */
    unwritten_input (*unwritten)(const void *state);
    void (*resume)(void *state, const unwritten_input *input, uint64_t position);
} serial_encoder;

/* ---- On several threads ------------------------------------------------------------------ */

/*
 * The input is cut into segments. Each is parsed from a guess of the state that the stream has
 * where the segment begins. join() takes the segments in order, knows the actual state, compares
 * it with the guess and parses again what was guessed wrong. A segment that was not parsed is
 * parsed by join() from the actual state. So a guess only saves time; it never changes a byte.
 *
 * join() gives a batch: blocks whose tokens are known. Planning a batch (counts, Huffman codes)
 * needs no other batch. How a block is written may depend on the blocks before it; decide()
 * determines that in order, which is cheap once the plans exist. Then batches are written
 * independently, and their bits appended to each other.
 */

/* What a profile requires of the segments. In bytes. */
typedef struct {
    size_t unit;    /* the size of a segment is a multiple of this, except for the last one */
    size_t before;  /* input needed in front of a segment to guess its state */
    size_t after;   /* input needed behind it, except for the last one */
    size_t history; /* input needed in front of it in any case */
} parallel_geometry;

typedef struct {
    const uint8_t *data; /* the first byte; `before` bytes are in front of it */
    size_t before;
    size_t after; /* known input behind the segment; 0 if it is the last one */
    size_t size;
    uint64_t position; /* in the stream; a multiple of the unit */
    bool last;         /* the stream ends with it */
    uint64_t number;   /* not 0; unique within its stream */
} segment_input;

/* What every batch begins with. */
typedef struct {
    bit_span bits; /* once the batch has run */
} batch_output;

typedef struct {
    /* Batches read the tokens in their segment's memory. If not, that memory may be reused as
     * soon as the segment is joined. */
    bool batches_use_segments;

    parallel_geometry (*geometry)(encoder_profile profile);

    /* A segment, parsed from a guess: from where `previous`, the segment in front of it, ended if
     * it has run and the encoder supports that; otherwise from some input in front of it. */
    size_t (*segment_size)(encoder_profile profile, size_t input_size);
    void *(*segment_init)(void *memory, encoder_profile profile, const segment_input *input);
    void (*segment_run)(void *segment, const void *previous); /* on any thread */

    size_t (*stream_size)(encoder_profile profile);
    void *(*stream_init)(void *memory, encoder_profile profile);

    /* Take the next segment, or NULL as `segment` if it has not run; return whether the batch
     * has blocks to plan. The input must exist until the batch has run; a segment until then
     * and until the next one is joined or the stream is written to. */
    size_t (*batch_size)(encoder_profile profile, size_t input_size);
    bool (*join)(void *stream, const segment_input *input, const void *segment, void *batch);
    void (*batch_plan)(void *batch); /* on any thread; NULL: join() leaves nothing to plan */
    /* In the order of joining. Plans what has no plan yet. NULL: join() decides. */
    void (*decide)(void *stream, void *batch);
    void (*batch_run)(void *batch); /* on any thread; makes batch_output */

    /* End the stream after its last batch has been decided; at most STREAM_END_BOUND bytes. */
    void (*end)(void *stream, bit_writer *out);

    /* The state for the profile's serial encoder, to write in order before the first segment, or
     * after every batch was appended; valid until the next join(). NULL: not supported. */
    void *(*serial_state)(void *stream);

    /* Bytes of input that were parsed again because a guess was wrong. */
    uint64_t (*repaired)(const void *stream);
} parallel_encoder;

/* ---- Pieces ------------------------------------------------------------------------------ */

/*
 * Some programs cut the input into pieces themselves and compress each on its own, with the input
 * in front of it as a dictionary. The output of a piece ends on a byte boundary and depends on no
 * other output, so pieces are encoded on any thread, and their bytes are put one behind the other.
 */

typedef struct {
    size_t size;     /* of every piece but the last one */
    size_t before;   /* input in front of a piece that it refers to */
    bool empty_last; /* input of whole pieces ends with an empty one; if not, with a whole one */
} piece_geometry;

/* One or several pieces in a row. */
typedef struct {
    const uint8_t *data;
    size_t before; /* bytes in front of it: geometry's, or all that the stream has */
    size_t size;   /* whole pieces; of the stream's last ones, any number of bytes */
    bool last;     /* the stream ends with it */
} piece_input;

typedef struct {
    piece_geometry (*geometry)(encoder_profile profile);
    size_t (*state_size)(encoder_profile profile);
    /* The most bytes that encode() returns for so many bytes of input. */
    size_t (*bound)(encoder_profile profile, size_t n);
    /* Encode one piece; return the number of bytes written. What the state holds before does not
     * matter. */
    size_t (*encode)(void *state, encoder_profile profile, const piece_input *piece, uint8_t *out);
} piece_encoder;

/* ---- The registry ------------------------------------------------------------------------ */

/* The encoders of a profile, NULL if there is none. */
const serial_encoder *registry_serial(encoder_profile profile);
const parallel_encoder *registry_parallel(encoder_profile profile);
const piece_encoder *registry_pieces(encoder_profile profile);

#endif
