/* The deflate of zlib, GNU gzip and busybox: a stream, from its first byte to the last. */
#ifndef IMGCONV_ZLIB_DEFLATE_H
#define IMGCONV_ZLIB_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoder.h"
#include "zlib/block.h"

enum { ZLIB_HASH_BITS = 15, ZLIB_WINDOW = 2 * WINDOW_SIZE };

/* What differs between the programs. */
typedef struct {
    bool gnu;            /* descends from gzip 1.2.4: see the head of deflate.c */
    bool search_bounded; /* GNU gzip since 1.3: no search in the last bytes of the window */
    bool end_cleared;    /* GNU gzip since 1.3: two zeros behind the input */
    bool rsyncable;      /* blocks end where a rolling sum says so */
    unsigned hash_bits;
    unsigned tokens; /* a block ends with so many */
} zlib_program;

extern const zlib_program zlib_zlib, zlib_gnu_gzip, zlib_gnu_rsyncable, zlib_busybox;

typedef struct {
    uint16_t good; /* with a match of this length, try a quarter of the candidates */
    uint16_t lazy; /* lazy levels: do not search for a better one; fast ones: do not hash inside */
    uint16_t nice; /* a match of this length ends the search */
    uint16_t chain;
} zlib_level;

typedef struct {
    const zlib_program *program;
    int level_number;
    zlib_level level;
    bool ended;          /* no input follows */
    unsigned at;         /* window position of the next byte */
    unsigned end;        /* window position of the end of the input so far */
    unsigned search_end; /* window position behind which no match is searched */
    uint32_t hash_mask;
    long block;           /* where the block begins; negative once that left the window */
    unsigned length;      /* lazy: of the match found one byte before `at` */
    unsigned distance;    /* of that match */
    bool pending;         /* lazy: the byte before `at` is in no token yet */
    unsigned owed;        /* strings at the end of a dictionary that are not in the chains yet */
    unsigned window_base; /* position of the window in the stream, modulo 2^16 */
    uint32_t sum;         /* rsyncable: of the last bytes gone past */
    long cut;             /* rsyncable: the block ends behind this position; -1: none */
    uint16_t head[1 << ZLIB_HASH_BITS]; /* window position of the latest string, or 0 */
    /* By position modulo the window: the four latest earlier strings with the same hash, as
     * stream positions modulo 2^16, the latest in the lowest bits. Behind the first of a chain
     * comes one that is too far away, and behind that any value. */
    uint64_t links[WINDOW_SIZE];
    zlib_tokens tokens;
    uint8_t window[ZLIB_WINDOW + ZLIB_MAX_MATCH + 8]; /* slack for comparing words */
} zlib_stream;

void zlib_init(zlib_stream *s, const zlib_program *program, int level);

/* Let the stream begin behind input that matches may refer to: at most WINDOW_SIZE bytes. Before
 * any other input; at least three bytes of it follow, or the end. */
void zlib_set_dictionary(zlib_stream *s, const uint8_t *data, size_t n);

/* The most bytes that writing n bytes and ending the stream can add (see bits.h for slack). */
size_t zlib_bound(const zlib_stream *s, size_t n);
/* The same for a stream that has no input yet. */
size_t zlib_bound_of(const zlib_program *program, size_t n);

void zlib_write(zlib_stream *s, const uint8_t *data, size_t n, bit_writer *out);

/* Parse what is left. If the stream does not end here, its last block is written only if it has
 * tokens, and nothing may be written behind it. */
void zlib_end(zlib_stream *s, bool last, bit_writer *out);

#endif
