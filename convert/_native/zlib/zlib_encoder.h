/* zlib, GNU gzip and busybox; in order only. */
#ifndef IMGCONV_ZLIB_ENCODER_H
#define IMGCONV_ZLIB_ENCODER_H

#include "encoder.h"

extern const serial_encoder zlib_serial;

#endif
