/* pigz, levels 1 to 9: blocks of 128 KiB, each compressed on its own. */
#ifndef IMGCONV_PIGZ_PIGZ_H
#define IMGCONV_PIGZ_PIGZ_H

#include "encoder.h"

extern const serial_encoder pigz_serial;
extern const piece_encoder pigz_pieces;

#endif
