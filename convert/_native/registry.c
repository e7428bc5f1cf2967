/* Which encoder serves a profile. */
#include "encoder.h"
#include "go126/go126.h"
#include "go127/go127.h"
#include "parallel/block_encoder.h"
#include "pgzip/pgzip.h"
#include "pigz/pigz.h"
#include "zlib/zlib_encoder.h"

/* busybox has no other level, unless it is built with CONFIG_FEATURE_GZIP_LEVELS. */
enum { BUSYBOX_LEVEL = 6 };

static const block_encoder *go126_blocks(int level) {
    switch (level) {
    case LEVEL_HUFFMAN:
        return &go126_huffman_only;
    case LEVEL_STORE:
        return &go126_store;
    case 1:
        return &go126_level1;
    default:
        return NULL;
    }
}

static const block_encoder *go127_blocks(int level) {
    switch (level) {
    case LEVEL_HUFFMAN:
        return &go127_huffman_only;
    case LEVEL_STORE:
        return &go127_store;
    case 1:
        return &go127_level1;
    case 2:
        return &go127_level2;
    case 3:
        return &go127_level3;
    case 4:
        return &go127_level4;
    case 5:
        return &go127_level5;
    case 6:
        return &go127_level6;
    default:
        return NULL;
    }
}

const block_encoder *registry_blocks(encoder_profile profile) {
    switch (profile.family) {
    case FAMILY_GO126:
        return go126_blocks(profile.level);
    case FAMILY_GO127:
        return go127_blocks(profile.level);
    default:
        return NULL;
    }
}

const piece_encoder *registry_pieces(encoder_profile profile) {
    if (profile.family == FAMILY_PIGZ && profile.level >= LEVEL_MIN && profile.level <= LEVEL_MAX)
        return &pigz_pieces;
    return pgzip_has(profile) ? &pgzip_pieces : NULL;
}

const serial_encoder *registry_serial(encoder_profile profile) {
    if (registry_blocks(profile) != NULL)
        return &parallel_block_serial;
    if (pgzip_has(profile))
        return &pgzip_serial;
    if (profile.level < LEVEL_MIN || profile.level > LEVEL_MAX)
        return NULL;
    switch (profile.family) {
    case FAMILY_GNU_GZIP:
    case FAMILY_GNU_RSYNCABLE:
    case FAMILY_ZLIB:
        return &zlib_serial;
    case FAMILY_PIGZ:
        return &pigz_serial;
    case FAMILY_BUSYBOX:
        return profile.level == BUSYBOX_LEVEL ? &zlib_serial : NULL;
    case FAMILY_GO16:
    case FAMILY_GO126:
        return &go126_chain_serial;
    case FAMILY_GO127:
        return &go127_chain_serial;
    default:
        return NULL;
    }
}

const parallel_encoder *registry_parallel(encoder_profile profile) {
    if (registry_blocks(profile) != NULL)
        return &parallel_block_parallel;
    if (profile.level < LEVEL_MIN || profile.level > LEVEL_MAX)
        return NULL;
    switch (profile.family) {
    case FAMILY_GO126:
        return &go126_chain_parallel;
    case FAMILY_GO127:
        return &go127_chain_parallel;
    default:
        return NULL;
    }
}
