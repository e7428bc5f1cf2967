/*
 * SHA-256 (FIPS 180-4) of several streams at once, on one core.
 *
 * A processor with SHA instructions waits for each before it can begin the next of the same
 * stream; with several streams in turn it does not wait. Streams are cut into blocks of 64
 * bytes by the caller, and padded by it.
 */
#ifndef SHA256_H
#define SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BLOCK = 64, SHA256_WORDS = 8, SHA256_LANES = 4 };

/* The state before the first block (FIPS 180-4, 5.3.3). */
extern const uint32_t sha256_start[SHA256_WORDS];

/* Whether this processor has the instructions. Where it does not, sha256_blocks must not be called. */
bool sha256_available(void);

/* Take `blocks` blocks of data[i] into state[i], for each i below lanes (1 to SHA256_LANES). */
void sha256_blocks(uint32_t *const state[], const uint8_t *const data[], size_t lanes, size_t blocks);

#endif
