/* The generations of pgzip: how releases of klauspost/compress differ. */
#ifndef IMGCONV_PGZIP_GENERATIONS_H
#define IMGCONV_PGZIP_GENERATIONS_H

#include "encoder.h"
#include "go127/block_writer.h"
#include "go127/fast.h"

enum { PGZIP_LAST_LEVEL = 6 };

typedef struct {
    enum family family;
    size_t piece;                              /* the size of a piece */
    unsigned penalty;                          /* of a new table: see go127_writer */
    const writer_rules *writer;                /* NULL: old_writer.h */
    fast_search *search[PGZIP_LAST_LEVEL + 1]; /* by level */
} pgzip_generation;

/* The generation of a profile, NULL if it is not one of pgzip. */
const pgzip_generation *pgzip_generation_of(encoder_profile profile);

#endif
