#ifndef IMGCONV_SEGMENT_INPUT_H
#define IMGCONV_SEGMENT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A segment as cut from the stream. */
typedef struct {
    const uint8_t *data; /* its first byte; bytes before it are readable */
    size_t before;       /* how many: all of the stream, or as many as the encoder wants */
    size_t after;        /* bytes known behind it; none if last */
    size_t size;         /* a multiple of the block size unless last */
    uint64_t position;   /* in the stream; a multiple of the block size */
    bool last;           /* the stream ends with it */
    uint64_t number;     /* not 0, and no other segment's of its joiner */
} segment_input;

#endif
