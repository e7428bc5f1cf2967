/*
 * The core as a filter, without Python: encode LEVEL FAMILY [PART] < input > raw-deflate
 *
 * LEVEL and FAMILY are the numbers of encoder.h, PART the size of the parts in which the input is
 * passed. Used by the tests on other processors.
 */
#include <stdio.h>
#include <stdlib.h>

#include "encoder.h"

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    encoder_profile profile = {(enum family)atoi(argv[2]), atoi(argv[1])};
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
