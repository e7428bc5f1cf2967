/* Writing blocks as klauspost/compress 1.9.8 to 1.13.6 do. */
#ifndef IMGCONV_PGZIP_OLD_WRITER_H
#define IMGCONV_PGZIP_OLD_WRITER_H

#include "go127/block_writer.h"

/* How the size of a block of literals is estimated. */
typedef enum {
    LITERALS_BY_ENTROPY,        /* unused values get codes */
    LITERALS_BY_ENTROPY_OF_ALL, /* and are part of the input, as if each were there once */
    LITERALS_BY_CODE,           /* of the code that would be used; unused values get none */
} literal_estimation;

/* In what these releases differ. */
typedef struct {
    literal_estimation literals;
    bool clamps; /* a symbol is estimated as 1 bit at least and 15 at most */
} pgzip_old_rules;

extern const pgzip_old_rules pgzip_rules_1_9_8;
extern const pgzip_old_rules pgzip_rules_1_11_13;
extern const pgzip_old_rules pgzip_rules_1_12_3;

/* Write a parsed block; the last one of a piece leaves no table open. The plan is memory. */
void pgzip_old_write(go127_writer *writer, block_plan *plan, const block_input *block,
                     const parsed_block *parsed, const pgzip_old_rules *rules, bit_writer *out);

#endif
