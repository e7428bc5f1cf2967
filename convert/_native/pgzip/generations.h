/* The generations of pgzip: how releases of klauspost/compress differ. */
#ifndef IMGCONV_PGZIP_GENERATIONS_H
#define IMGCONV_PGZIP_GENERATIONS_H

#include "encoder.h"
#include "go127/block_writer.h"
#include "go127/fast.h"
#include "pgzip/old_writer.h"

enum { PGZIP_LAST_LEVEL = 6 };

typedef struct {
    enum family family;
    size_t piece;      /* the size of a piece */
    size_t dictionary; /* the most bytes before a piece that it refers to */
    unsigned penalty;  /* of a new table: see go127_writer */
    bool stored_end;   /* the stream ends with a stored block, not one of the fixed code */
    /* One of these. */
    const writer_rules *writer;
    const pgzip_old_rules *old_writer;
    unsigned more_bits;                        /* of the hashes: see search_rules */
    fast_search *search[PGZIP_LAST_LEVEL + 1]; /* by level */
} pgzip_generation;

/* The generation of a profile, NULL if it is not one of pgzip. */
const pgzip_generation *pgzip_generation_of(encoder_profile profile);

#endif
