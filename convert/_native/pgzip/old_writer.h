/* Writing blocks as klauspost/compress 1.10.2 to 1.11.12 do. */
#ifndef IMGCONV_PGZIP_OLD_WRITER_H
#define IMGCONV_PGZIP_OLD_WRITER_H

#include "go127/block_writer.h"

enum { PGZIP_OLD_PENALTY = 6 };

/* Write a parsed block; the last one of a piece leaves no table open. The plan is memory. */
void pgzip_old_write(go127_writer *writer, block_plan *plan, const block_input *block,
                     const parsed_block *parsed, bit_writer *out);

#endif
