/* What GNU gzip and zlib write, levels 1 to 9. */
#ifndef IMGCONV_CLASSIC_H
#define IMGCONV_CLASSIC_H

#include "encoder.h"

/* What find_token_encoder() calls these two: they are no generations of Go. */
enum { GENERATION_GNU = 1, GENERATION_ZLIB = 2 };

extern const token_encoder classic_gnu;
extern const token_encoder classic_zlib;

#endif
