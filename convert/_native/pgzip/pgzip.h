/* klauspost's pgzip, levels 1 to 6. */
#ifndef IMGCONV_PGZIP_H
#define IMGCONV_PGZIP_H

#include "encoder.h"

/* Whether the profile is one of pgzip. */
bool pgzip_has(encoder_profile profile);

extern const serial_encoder pgzip_serial;
extern const piece_encoder pgzip_pieces;

#endif
