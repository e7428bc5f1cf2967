/*
 * The core as a filter, without Python: encode LEVEL GENERATION [CUT] < input > raw-deflate
 *
 * LEVEL is 1..9, "huffman" or "store", GENERATION 1.26 or 1.27, CUT the size of the pieces
 * the input is handed over in. Used by the tests on other processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parallel/block_serial.h"

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    int level = strcmp(argv[1], "huffman") == 0 ? LEVEL_HUFFMAN
                : strcmp(argv[1], "store") == 0 ? LEVEL_STORE
                                                : atoi(argv[1]);
    int generation = strcmp(argv[2], "1.27") == 0 ? 127 : 126;
    size_t cut = argc > 3 ? strtoul(argv[3], NULL, 10) : 1 << 20;
    const block_encoder *e = find_block_encoder(generation, level);
    const token_encoder *t = find_token_encoder(generation, level);
    if ((e == NULL && t == NULL) || cut == 0)
        return 2;
    uint8_t *in = malloc(cut);
    size_t n;
    if (t != NULL) {
        void *s = malloc(t->state_size);
        t->init(s, level);
        while ((n = fread(in, 1, cut, stdin)) > 0) {
            uint8_t *out = malloc(t->bound(s, n));
            fwrite(out, 1, t->write(s, in, n, out), stdout);
            free(out);
        }
        uint8_t *out = malloc(t->bound(s, 0));
        fwrite(out, 1, t->finish(s, out), stdout);
    } else {
        bit_tail tail = {0, 0};
        block_stream *s = block_stream_init(malloc(block_stream_size(e)), e, level);
        while ((n = fread(in, 1, cut, stdin)) > 0) {
            uint8_t *out = malloc(block_stream_bound(s, n));
            fwrite(out, 1, block_stream_write(s, in, n, &tail, out), stdout);
            free(out);
        }
        uint8_t *out = malloc(block_stream_bound(s, 0));
        fwrite(out, 1, block_stream_finish(s, &tail, out), stdout);
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
