/* The encoders of Go 1.27. */
#ifndef IMGCONV_GO127_H
#define IMGCONV_GO127_H

#include "encoder.h"
#include "parallel/block_encoder.h"

extern const block_encoder go127_level1;
extern const block_encoder go127_level2;
extern const block_encoder go127_level3;
extern const block_encoder go127_level4;
extern const block_encoder go127_level5;
extern const block_encoder go127_level6;
extern const block_encoder go127_huffman_only; /* HuffmanOnly */
extern const block_encoder go127_store;        /* NoCompression */

/* Levels 7 to 9. */
extern const serial_encoder go127_chain_serial;
extern const parallel_encoder go127_chain_parallel;

#endif
