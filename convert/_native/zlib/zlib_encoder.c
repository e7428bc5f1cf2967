/*
 * zlib, GNU gzip and busybox as serial encoders.
 *
 * Algorithm: that of deflate.c, from the first byte to the last.
 *
 * Why the bytes are theirs: these programs write one stream without flushing it.
 */
#include "zlib/zlib_encoder.h"

#include "zlib/deflate.h"

static size_t state_size(encoder_profile profile) {
    (void)profile;
    return sizeof(zlib_stream);
}

static const zlib_program *program_of(enum family family) {
    switch (family) {
    case FAMILY_GNU_GZIP:
        return &zlib_gnu_gzip;
    case FAMILY_GNU_RSYNCABLE:
        return &zlib_gnu_rsyncable;
    case FAMILY_BUSYBOX:
        return &zlib_busybox;
    default:
        return &zlib_zlib;
    }
}

static void init(void *state, encoder_profile profile) {
    zlib_init(state, program_of(profile.family), profile.level);
}

static size_t bound(const void *state, size_t n) {
    return zlib_bound(state, n);
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    bit_writer w = bits_from_tail(tail, out);
    zlib_write(state, data, n, &w);
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    bit_writer w = bits_from_tail(tail, out);
    zlib_end(state, true, &w);
    bits_align(&w);
    return bits_to_tail(&w, tail);
}

const serial_encoder zlib_serial = {
    .state_size = state_size,
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
