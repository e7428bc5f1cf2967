/* Placing several objects in one allocation of the caller, aligned for any type. */
#ifndef IMGCONV_PARALLEL_MEMORY_H
#define IMGCONV_PARALLEL_MEMORY_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

/* Take n bytes from the memory at *p, and add them to the total. If *p is NULL, only the total
 * is computed: that is how the size of the allocation is found. */
static inline void *take(uint8_t **p, size_t *total, size_t n) {
    void *taken = *p;
    if (*p != NULL)
        *p += aligned(n);
    *total += aligned(n);
    return taken;
}

#endif
