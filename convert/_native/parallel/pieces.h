/* Running a piece encoder. */
#ifndef IMGCONV_PARALLEL_PIECES_H
#define IMGCONV_PARALLEL_PIECES_H

#include "encoder.h"

/* The most bytes that parallel_encode_pieces() returns. */
size_t parallel_pieces_bound(encoder_profile profile, size_t size, bool last);

/* Encode one or several pieces with memory for the encoder's state; return the number of bytes. */
size_t parallel_encode_pieces(void *state, encoder_profile profile, const piece_input *pieces,
                              uint8_t *out);

#endif
