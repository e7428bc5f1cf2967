/* See block_segment.h. */
#include "block_segment.h"

#include <stdalign.h>
#include <string.h>

struct block_segment {
    const block_encoder *encoder;
    int level;
    segment_input input;
    size_t blocks;
    void *state;
    /* The state before block 0 (the guess), and after 1, 2, 4, 8 ... blocks and the last:
     * where a repair may find its way back. */
    uint8_t *snapshots;
    uint64_t *block_end;    /* bit offset behind block i */
    uint64_t *first_stored; /* in block i */
    uint8_t *bits;
};

struct block_joiner {
    const block_encoder *encoder;
    int level;
    /* What everything joined so far leads to, as a state or a snapshot of it or both. */
    void *state;
    uint8_t *truth;
    bool has_state;
    bool has_truth;
    uint64_t position;
    uint8_t *scratch; /* another snapshot, to compare */
    uint64_t repaired;
};

static size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

static size_t block_count(const block_encoder *e, size_t size) {
    return (size + e->block_size - 1) / e->block_size;
}

static bool has_snapshot(size_t after, size_t blocks) {
    return after == blocks || (after & (after - 1)) == 0;
}

/* Which of the kept snapshots is the one after so many blocks. */
static size_t snapshot_index(size_t after, size_t blocks) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_snapshot(i, blocks);
    return index;
}

static uint8_t *snapshot_after(const block_segment *s, size_t after) {
    return s->snapshots + snapshot_index(after, s->blocks) * aligned(s->encoder->snapshot_size);
}

static size_t snapshots_size(const block_encoder *e, size_t blocks) {
    return (snapshot_index(blocks, blocks) + 1) * aligned(e->snapshot_size);
}

static size_t bits_size(const block_encoder *e, size_t size, size_t blocks) {
    return 2 * size + (blocks + 1) * block_bound(0) + BITS_SLACK + e->block_size / 8;
}

size_t block_segment_before(const block_encoder *e) {
    return e->snapshot_size == 0 ? e->history : e->warmup_blocks * e->block_size + e->history;
}

size_t block_segment_memory(const block_encoder *e, size_t size) {
    size_t blocks = block_count(e, size);
    return aligned(sizeof(block_segment)) + aligned(e->state_size) +
           snapshots_size(e, blocks) + 2 * aligned(blocks * sizeof(uint64_t)) +
           bits_size(e, size, blocks);
}

block_segment *block_segment_init(void *memory, const block_encoder *e, int level,
                                  const segment_input *input) {
    uint8_t *p = memory;
    block_segment *s = memory;
    s->encoder = e;
    s->level = level;
    s->input = *input;
    s->blocks = block_count(e, input->size);
    p += aligned(sizeof *s);
    s->state = p;
    p += aligned(e->state_size);
    s->snapshots = p;
    p += snapshots_size(e, s->blocks);
    s->block_end = (uint64_t *)(void *)p;
    p += aligned(s->blocks * sizeof(uint64_t));
    s->first_stored = (uint64_t *)(void *)p;
    p += aligned(s->blocks * sizeof(uint64_t));
    s->bits = p;
    return s;
}

const segment_input *block_segment_input(const block_segment *s) {
    return &s->input;
}

static block_input block_at(const block_encoder *e, const segment_input *input, size_t i) {
    size_t at = i * e->block_size;
    size_t left = input->size - at;
    bool last = input->last && left <= e->block_size;
    size_t length = left < e->block_size ? left : e->block_size;
    return (block_input){input->data + at, length, input->position + at, last};
}

void block_segment_run(block_segment *s) {
    const block_encoder *e = s->encoder;
    e->init(s->state, s->level);
    if (e->snapshot_size != 0) {
        uint64_t earlier = s->input.position / e->block_size;
        size_t warmup = earlier < e->warmup_blocks ? (size_t)earlier : e->warmup_blocks;
        if (earlier > warmup) {
            /* A state that has seen nothing but stands at the warm-up's start. */
            uint64_t start = s->input.position - warmup * e->block_size;
            e->save(s->state, s->snapshots);
            e->load(s->state, s->level, s->snapshots, start);
        }
        for (; warmup > 0; warmup--) {
            size_t back = warmup * e->block_size;
            block_input b = {s->input.data - back, e->block_size, s->input.position - back,
                             false};
            e->encode(s->state, &b, NULL);
        }
        e->save(s->state, s->snapshots);
    }

    bit_writer w;
    bits_init(&w, s->bits);
    for (size_t i = 0; i < s->blocks; i++) {
        block_input b = block_at(e, &s->input, i);
        w.first_stored = BITS_NO_STORED;
        e->encode(s->state, &b, &w);
        bits_flush(&w);
        s->block_end[i] = bits_position(&w);
        s->first_stored[i] = w.first_stored;
        if (has_snapshot(i + 1, s->blocks))
            e->save(s->state, snapshot_after(s, i + 1));
    }
    /* The end of the stream is made when joining, from the state that is true then. */
    bits_piece(&w);
}

size_t block_joiner_memory(const block_encoder *e) {
    return aligned(sizeof(block_joiner)) + aligned(e->state_size) + 2 * aligned(e->snapshot_size);
}

block_joiner *block_joiner_init(void *memory, const block_encoder *e, int level) {
    uint8_t *p = memory;
    block_joiner *j = memory;
    j->encoder = e;
    j->level = level;
    p += aligned(sizeof *j);
    j->state = p;
    p += aligned(e->state_size);
    j->truth = p;
    p += aligned(e->snapshot_size);
    j->scratch = p;
    j->position = 0;
    j->repaired = 0;
    j->has_state = true;
    j->has_truth = false;
    e->init(j->state, level);
    return j;
}

uint64_t block_joiner_repaired(const block_joiner *j) {
    return j->repaired;
}

size_t block_joiner_bound(const block_joiner *j, size_t size) {
    return bits_size(j->encoder, size, block_count(j->encoder, size));
}

static const uint8_t *true_snapshot(block_joiner *j) {
    if (!j->has_truth)
        j->encoder->save(j->state, j->truth);
    j->has_truth = true;
    return j->truth;
}

/* Code one block from the true state. */
static void encode_next(block_joiner *j, const segment_input *input, size_t i, bit_writer *out) {
    block_input b = block_at(j->encoder, input, i);
    if (!j->has_state)
        j->encoder->load(j->state, j->level, j->truth, j->position);
    j->has_state = true;
    j->has_truth = false;
    j->encoder->encode(j->state, &b, out);
    j->position += b.length;
}

static void end_if_last(block_joiner *j, const segment_input *input, bit_writer *out) {
    if (!input->last)
        return;
    if (!j->has_state)
        j->encoder->load(j->state, j->level, j->truth, j->position);
    j->has_state = true;
    j->encoder->finish(j->state, out);
    bits_align(out);
}

void block_joiner_encode(block_joiner *j, const segment_input *input, bit_writer *out) {
    size_t blocks = block_count(j->encoder, input->size);
    for (size_t i = 0; i < blocks; i++)
        encode_next(j, input, i, out);
    end_if_last(j, input, out);
}

/* Append what the segment made of the blocks from `block` on. */
static void append_blocks(bit_writer *w, const block_segment *s, size_t block) {
    if (block == s->blocks)
        return;
    bit_piece piece = {s->bits, block == 0 ? 0 : s->block_end[block - 1],
                       s->block_end[s->blocks - 1], BITS_NO_STORED};
    for (size_t i = block; i < s->blocks && piece.first_stored == BITS_NO_STORED; i++)
        piece.first_stored = s->first_stored[i];
    bits_append(w, &piece);
}

void block_joiner_join(block_joiner *j, const block_segment *s, bit_writer *out) {
    const block_encoder *e = j->encoder;
    size_t done = 0;
    bool met = memcmp(true_snapshot(j), s->snapshots, e->snapshot_size) == 0;
    while (!met && done < s->blocks) {
        encode_next(j, &s->input, done++, out);
        j->repaired++;
        if (has_snapshot(done, s->blocks)) {
            e->save(j->state, j->scratch);
            met = memcmp(j->scratch, snapshot_after(s, done), e->snapshot_size) == 0;
        }
    }
    if (met) {
        append_blocks(out, s, done);
        memcpy(j->truth, snapshot_after(s, s->blocks), e->snapshot_size);
        j->has_truth = true;
        j->has_state = false;
        j->position = s->input.position + s->input.size;
    }
    end_if_last(j, &s->input, out);
}
