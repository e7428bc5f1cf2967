/* Runs the fuzz target over files: what a fuzzer found, without the fuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        uint8_t *input = malloc(1 << 20);
        size_t size = fread(input, 1, 1 << 20, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, size);
        free(input);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
