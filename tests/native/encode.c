/*
 * The core as a filter, without Python: encode LEVEL RELEASE [PART] < input > raw-deflate
 *
 * LEVEL is 1 to 9, "huffman" or "store", RELEASE 1.26 or 1.27, PART the size of the parts in
 * which the input is passed. Used by the tests on other processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    encoder_profile profile = {
        .family = strcmp(argv[2], "1.27") == 0 ? FAMILY_GO127 : FAMILY_GO126,
        .level = strcmp(argv[1], "huffman") == 0 ? LEVEL_HUFFMAN
                 : strcmp(argv[1], "store") == 0 ? LEVEL_STORE
                                                 : atoi(argv[1]),
    };
    size_t part = argc > 3 ? strtoul(argv[3], NULL, 10) : 1 << 20;
    const serial_encoder *encoder = registry_serial(profile);
    if (encoder == NULL || part == 0)
        return 2;
    uint8_t *in = malloc(part);
    void *state = malloc(encoder->state_size(profile));
    bit_tail tail = {0, 0};
    size_t n;
    encoder->init(state, profile);
    while ((n = fread(in, 1, part, stdin)) > 0) {
        uint8_t *out = malloc(encoder->bound(state, n));
        fwrite(out, 1, encoder->write(state, in, n, &tail, out), stdout);
        free(out);
    }
    uint8_t *out = malloc(encoder->bound(state, 0));
    fwrite(out, 1, encoder->finish(state, &tail, out), stdout);
    return ferror(stdin) || fflush(stdout) != 0;
}
