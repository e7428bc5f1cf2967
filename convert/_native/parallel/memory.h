/* Laying out several objects in one piece of the caller's memory, aligned for any type. */
#ifndef IMGCONV_LAYOUT_H
#define IMGCONV_LAYOUT_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

/* Cut n bytes off the memory at *p. With *p NULL nothing is cut, and it can be used to find
 * out how much memory there has to be. */
static inline void *take(uint8_t **p, size_t *total, size_t n) {
    void *taken = *p;
    if (*p != NULL)
        *p += aligned(n);
    *total += aligned(n);
    return taken;
}

#endif
