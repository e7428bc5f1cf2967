/* Which encoder makes the bytes of which generation and level. */
#include "zlib/zlib_encoder.h"
#include "encoder.h"
#include "parallel/two_step.h"

const block_encoder *find_block_encoder(int generation, int level) {
    if (generation == 126) {
        switch (level) {
        case LEVEL_HUFFMAN:
            return &go126_huffman_only;
        case LEVEL_STORE:
            return &go126_store;
        case 1:
            return &go126_fast;
        default:
            return NULL;
        }
    }
    if (generation == 127) {
        switch (level) {
        case LEVEL_HUFFMAN:
            return &go127_huffman_only;
        case LEVEL_STORE:
            return &go127_store;
        case 1:
            return &go127_fast1;
        case 2:
            return &go127_fast2;
        case 3:
            return &go127_fast3;
        case 4:
            return &go127_fast4;
        case 5:
            return &go127_fast5;
        case 6:
            return &go127_fast6;
        default:
            return NULL;
        }
    }
    return NULL;
}

const token_encoder *find_token_encoder(int generation, int level) {
    if (generation == 126 && level >= 2 && level <= LEVEL_MAX)
        return &go126_chain;
    if (generation == 127 && level >= 7 && level <= LEVEL_MAX)
        return &go127_chain;
    if (generation == GENERATION_GNU && level >= LEVEL_MIN && level <= LEVEL_MAX)
        return &classic_gnu;
    if (generation == GENERATION_ZLIB && level >= LEVEL_MIN && level <= LEVEL_MAX)
        return &classic_zlib;
    return NULL;
}

const two_step_encoder *find_two_step_encoder(encoder_profile profile) {
    int generation = profile.generation, level = profile.level;
    if (find_block_encoder(generation, level) != NULL)
        return &block_two_step;
    if (generation == 126 && level >= 2 && level <= LEVEL_MAX)
        return &go126_chain_two_step;
    if (generation == 127 && level >= 7 && level <= LEVEL_MAX)
        return &go127_chain_two_step;
    return NULL;
}
