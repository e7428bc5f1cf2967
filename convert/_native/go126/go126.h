/* The encoders of Go up to 1.26. */
#ifndef IMGCONV_GO126_H
#define IMGCONV_GO126_H

#include "encoder.h"
#include "parallel/block_encoder.h"

extern const block_encoder go126_level1;
extern const block_encoder go126_huffman_only; /* HuffmanOnly */
extern const block_encoder go126_store;        /* NoCompression */

/* Levels 2 to 9; in order also levels 1 to 9 of Go up to 1.6. */
extern const serial_encoder go126_chain_serial;
extern const parallel_encoder go126_chain_parallel;

#endif
