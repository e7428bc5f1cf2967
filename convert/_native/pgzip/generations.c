/*
 * The generations of pgzip, as a table.
 *
 * Algorithm: each release of klauspost/compress is one of Go 1.27's encoder with other rules, for
 * the search of a level (go127/fast.h) and for writing blocks (go127/block_writer.h).
 *
 * Why the bytes are pgzip's: the rules were read in the releases, and golden vectors of each
 * generation were made by pgzip itself. A generation is named by the first release of klauspost/
 * compress that writes it at level 5; other levels are those of the last such release. Of 1.14, the
 * rules are those up to 1.14.2, which the tools of that time contain.
 */
#include "pgzip/generations.h"

enum {
    SMALL_PIECE = 1 << 18,
    PIECE = 1 << 20,
    DICTIONARY = 1 << 14,
    OLD_PENALTY = 8,
    OLDER_PENALTY = 6,
};

#define SEARCH_NOW                                                                                 \
    {NULL, go127_parse1, go127_parse2, go127_parse3, go127_parse4, go127_parse5, go127_parse6}
#define SEARCH_OF(release)                                                                         \
    {NULL,                                                                                         \
     go127_parse1_##release,                                                                       \
     go127_parse2_##release,                                                                       \
     go127_parse3_##release,                                                                       \
     go127_parse4_##release,                                                                       \
     go127_parse5_##release,                                                                       \
     go127_parse6_##release}

static const pgzip_generation generations[] = {
    {FAMILY_PGZIP_1_18_2, PIECE, DICTIONARY, FAST_PENALTY, .writer = &go127_writer_now,
     .search = SEARCH_NOW},
    {FAMILY_PGZIP_1_15_10, PIECE, DICTIONARY, FAST_PENALTY, .writer = &go127_writer_1_15_0,
     .search = SEARCH_NOW},
    {FAMILY_PGZIP_1_15_0, PIECE, DICTIONARY, FAST_PENALTY, .writer = &go127_writer_1_15_0,
     .search = SEARCH_OF(1_15_0)},
    {FAMILY_PGZIP_1_14_0, PIECE, DICTIONARY, FAST_PENALTY, .writer = &go127_writer_1_14_0,
     .search = SEARCH_OF(1_14_0)},
    /* The search of 1.12.2 is that of 1.14.0. */
    {FAMILY_PGZIP_1_12_3, PIECE, DICTIONARY, OLD_PENALTY, .old_writer = &pgzip_rules_1_12_3,
     .search = SEARCH_OF(1_14_0)},
    {FAMILY_PGZIP_1_12_2, PIECE, DICTIONARY, OLD_PENALTY, .old_writer = &pgzip_rules_1_11_13,
     .search = SEARCH_OF(1_14_0)},
    {FAMILY_PGZIP_1_11_13, PIECE, DICTIONARY, OLD_PENALTY, .old_writer = &pgzip_rules_1_11_13,
     .search = SEARCH_OF(1_10_2)},
    {FAMILY_PGZIP_1_10_2, PIECE, DICTIONARY, OLDER_PENALTY, .old_writer = &pgzip_rules_1_9_8,
     .search = SEARCH_OF(1_10_2)},
    {FAMILY_PGZIP_1_10_2_256K, SMALL_PIECE, DICTIONARY, OLDER_PENALTY,
     .old_writer = &pgzip_rules_1_9_8, .search = SEARCH_OF(1_10_2)},
    /* Up to 1.10.0 the encoders of levels 1 to 6 ignore a dictionary. */
    {FAMILY_PGZIP_1_9_8_256K, SMALL_PIECE, 0, OLDER_PENALTY, .stored_end = true,
     .old_writer = &pgzip_rules_1_9_8, .more_bits = FAST_MORE_BITS_1_9_8,
     .search = SEARCH_OF(1_9_8)},
};

const pgzip_generation *pgzip_generation_of(encoder_profile profile) {
    if (profile.level < LEVEL_MIN || profile.level > PGZIP_LAST_LEVEL)
        return NULL;
    for (size_t i = 0; i < sizeof generations / sizeof generations[0]; i++)
        if (generations[i].family == profile.family)
            return &generations[i];
    return NULL;
}
