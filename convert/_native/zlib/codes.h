/* Huffman codes as zlib builds them. */
#ifndef IMGCONV_ZLIB_CODES_H
#define IMGCONV_ZLIB_CODES_H

#include "deflate/tables.h"

typedef struct {
    huffman_code codes[LITERAL_CODES];
    int last; /* the largest symbol that occurs */
} zlib_code;

/* Build the code for the weights of `symbols` symbols with at most `most` bits. The weights may
 * change: symbols that do not occur are added until there are two. */
void zlib_build_code(zlib_code *code, uint16_t *weights, int symbols, int most);

#endif
