/*
 * Encoders that cut their input into blocks, on many cores; see two_step.h.
 *
 * A segment is parsed from a parser that has seen some blocks before it and nothing else, and
 * joining compares the snapshot it then had with the true one. If they differ, blocks are
 * parsed again from the true state until the two are the same at one place.
 *
 * How a block is coded may depend on all blocks before. But what such a decision takes
 * (counts, codes, estimates) depends on the block alone and is planned apart, with the parse of a
 * segment or behind that of the joiner; deciding is then so cheap that it is done in order for
 * the whole stream. Nothing about the coder is ever guessed. Writing the bits is what is left,
 * and is done apart.
 */
#include <string.h>

#include "deflate/bit_span.h"
#include "parallel/block_serial.h"
#include "encoder.h"
#include "parallel/memory.h"
#include "parallel/two_step.h"

/* Parsed blocks. Their sequences, and their literals, lie one block behind the other: there is
 * memory for the most that can be, and no more of it is touched than there are. */
typedef struct {
    parsed_block *parsed;
    uint8_t *plans;
    block_room free; /* behind what is kept */
} block_store;

typedef struct {
    const block_encoder *encoder;
    int level;
    segment_input input;
    size_t blocks;
    block_store store;
    uint64_t follows;   /* the number of the segment that it has gone on from, or 0 */
    bool planned;
    uint8_t *snapshots; /* at each has_snapshot() boundary before the last */
    void *parser;       /* behind the last block, when it has run */
} block_segment;

typedef struct {
    const block_encoder *encoder;
    int level;
    block_stream *stream; /* of which parser and coder are used, or all of it */
    void *coder;          /* behind everything joined */
    void *parser; /* there too, unless the segment joined last has met the truth: then its is */
    const block_segment *met;
    uint8_t *truth; /* the same as a snapshot, if it was wanted there */
    bool has_truth;
    uint8_t *scratch; /* another snapshot, to compare */
    uint64_t repaired;
} block_joiner;

typedef struct {
    coding_bits made; /* first of all: see there */
    const block_encoder *encoder;
    segment_input input;
    size_t blocks;
    size_t own;         /* so many blocks, the first, were parsed while joining ... */
    block_store store;  /* ... into this */
    const block_store *rest; /* and the others by the segment */
    size_t planned;     /* so many, the last, have plans */
    void *coder; /* before the first block */
    uint8_t *bits;
} block_coding;

/* ---- Memory ---------------------------------------------------------------------------- */

static size_t block_count(const block_encoder *e, size_t size) {
    return (size + e->block_size - 1) / e->block_size;
}

static size_t plan_size(const block_encoder *e) {
    return aligned(e->plan_size);
}

static void take_store(block_store *store, uint8_t **p, size_t *total, const block_encoder *e,
                       size_t blocks) {
    store->parsed = take(p, total, blocks * sizeof *store->parsed);
    store->plans = take(p, total, blocks * plan_size(e));
    /* One block more: to warm up, and because parsers write further than they keep. */
    store->free.sequences = take(p, total, (blocks + 1) * block_sequences(e) * sizeof(sequence));
    store->free.literals = take(p, total, (blocks + 1) * e->block_size + BLOCK_COPY);
}

/* Whether a segment keeps a snapshot after so many of its blocks. Each is large; and what there is
 * after the last block its parser knows. One that follows another is hardly ever wrong where that
 * was not. */
static bool has_snapshot(const block_encoder *e, size_t after, bool follows) {
    if (after % 16 == 0)
        return true;
    if (follows)
        return false;
    if (e->meeting == MEETING_LATE)
        return after == 2 || after % 4 == 0;
    return after == 4 || (e->meeting == MEETING_SOON && after <= 2);
}

/* Its index among those kept. */
static size_t snapshot_index(const block_encoder *e, size_t after, bool follows) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_snapshot(e, i, follows);
    return index;
}

/* The snapshot after so many blocks, NULL if none is kept there. */
static uint8_t *snapshot_after(const block_segment *s, size_t after) {
    const block_encoder *e = s->encoder;
    bool follows = s->follows != 0;
    if (after >= s->blocks || !has_snapshot(e, after, follows))
        return NULL;
    return s->snapshots + snapshot_index(e, after, follows) * aligned(e->snapshot_size);
}

/* ---- Segments -------------------------------------------------------------------------- */

static two_step_geometry geometry(encoder_profile profile) {
    const block_encoder *e = find_block_encoder(profile.generation, profile.level);
    return (two_step_geometry){
        .unit = e->block_size,
        .before = e->warmup_blocks * e->block_size + e->history,
        .after = 1, /* a full block is coded otherwise if it is the stream's last */
        .history = e->history,
    };
}

static size_t take_segment(block_segment *s, uint8_t **p, const block_encoder *e, size_t size) {
    size_t total = aligned(sizeof *s);
    size_t blocks = block_count(e, size);
    s->encoder = e;
    s->blocks = blocks;
    s->parser = take(p, &total, e->parser_size);
    /* One even if there is no block: a guess is always compared with something. */
    size_t snapshots = snapshot_index(e, blocks != 0 ? blocks : 1, false);
    s->snapshots = take(p, &total, snapshots * aligned(e->snapshot_size));
    take_store(&s->store, p, &total, e, blocks);
    return total;
}

static size_t segment_memory(encoder_profile profile, size_t size) {
    block_segment s;
    uint8_t *nowhere = NULL;
    return take_segment(&s, &nowhere, find_block_encoder(profile.generation, profile.level), size);
}

static void *segment_init(void *memory, encoder_profile profile, const segment_input *input) {
    block_segment *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    s->level = profile.level;
    s->input = *input;
    s->follows = 0;
    take_segment(s, &p, find_block_encoder(profile.generation, profile.level), input->size);
    return s;
}

static block_input block_at(const block_encoder *e, const segment_input *input, size_t i) {
    size_t at = i * e->block_size;
    size_t left = input->size - at;
    return (block_input){
        .data = input->data + at,
        .length = left < e->block_size ? left : e->block_size,
        .position = input->position + at,
        .last = input->last && left <= e->block_size,
    };
}

static void *plan_at(const block_encoder *e, const block_store *store, size_t i) {
    return store->plans + i * plan_size(e);
}

/* Parse block i of the input into the store. */
static void parse_into(block_store *store, size_t i, const block_encoder *e, void *parser,
                       const segment_input *input) {
    block_input block = block_at(e, input, i);
    parsed_block *parsed = &store->parsed[i];
    e->parse(parser, &block, store->free, parsed);
    if (parsed->kind == BLOCK_TOKENS) {
        store->free.sequences += parsed->count;
        store->free.literals += parsed->literal_count;
    }
}

/* Plan how block i is coded; and add what settling that may want, if `complete`. */
static void plan_in(const block_store *store, size_t i, const block_encoder *e,
                    const segment_input *input, bool complete) {
    block_input block = block_at(e, input, i);
    void *plan = plan_at(e, store, i);
    if (e->plan != NULL)
        e->plan(&block, &store->parsed[i], plan);
    if (complete && e->complete != NULL)
        e->complete(plan);
}

/* Bring the parser into a state like the one the stream will have at the segment. */
static void warm_up(block_segment *s) {
    const block_encoder *e = s->encoder;
    uint64_t earlier = s->input.position / e->block_size;
    size_t warmup = earlier < e->warmup_blocks ? (size_t)earlier : e->warmup_blocks;
    e->parser_init(s->parser, s->level);
    for (; warmup > 0; warmup--) {
        size_t back = warmup * e->block_size;
        block_input block = {s->input.data - back, e->block_size, s->input.position - back, false};
        parsed_block unused;
        e->parse(s->parser, &block, s->store.free, &unused);
    }
}

static void segment_run(void *segment, const void *previous) {
    block_segment *s = segment;
    const block_encoder *e = s->encoder;
    /* Begun anew, most of such a guess is wrong as a rule: it is planned when it is known what. */
    s->planned = e->meeting != MEETING_LATE || previous != NULL;
    if (e->snapshot_size != 0) {
        if (previous != NULL) {
            const block_segment *before = previous;
            memcpy(s->parser, before->parser, e->parser_size);
            s->follows = before->input.number;
        } else {
            warm_up(s);
        }
        e->save(s->parser, s->snapshots);
    }
    for (size_t i = 0; i < s->blocks; i++) {
        parse_into(&s->store, i, e, s->parser, &s->input);
        if (s->planned)
            plan_in(&s->store, i, e, &s->input, true);
        uint8_t *snapshot = e->snapshot_size != 0 ? snapshot_after(s, i + 1) : NULL;
        if (snapshot != NULL)
            e->save(s->parser, snapshot);
    }
}

/* ---- Joining --------------------------------------------------------------------------- */

static size_t take_joiner(block_joiner *j, uint8_t **p, const block_encoder *e) {
    size_t total = aligned(sizeof *j);
    j->encoder = e;
    j->stream = take(p, &total, block_stream_size(e));
    j->truth = take(p, &total, e->snapshot_size);
    j->scratch = take(p, &total, e->snapshot_size);
    return total;
}

static size_t joiner_memory(encoder_profile profile) {
    block_joiner j;
    uint8_t *nowhere = NULL;
    return take_joiner(&j, &nowhere, find_block_encoder(profile.generation, profile.level));
}

static void *joiner_init(void *memory, encoder_profile profile) {
    block_joiner *j = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *j);
    memset(j, 0, sizeof *j);
    take_joiner(j, &p, find_block_encoder(profile.generation, profile.level));
    j->level = profile.level;
    j->stream = block_stream_init(j->stream, j->encoder, j->level);
    j->coder = block_stream_coder(j->stream);
    j->parser = block_stream_parser(j->stream);
    return j;
}

static const uint8_t *true_snapshot(block_joiner *j) {
    if (!j->has_truth)
        j->encoder->save(j->met != NULL ? j->met->parser : j->parser, j->truth);
    j->has_truth = true;
    return j->truth;
}

/* The true parser, to parse on with. */
static void *true_parser(block_joiner *j) {
    if (j->met != NULL)
        memcpy(j->parser, j->met->parser, j->encoder->parser_size);
    j->met = NULL;
    j->has_truth = false;
    return j->parser;
}

static size_t bits_size(const block_encoder *e, size_t size) {
    return 2 * size + (block_count(e, size) + 1) * block_bound(0) + BITS_SLACK;
}

static size_t take_coding(block_coding *c, uint8_t **p, const block_encoder *e, size_t size) {
    size_t total = aligned(sizeof *c);
    c->encoder = e;
    c->blocks = block_count(e, size);
    c->coder = take(p, &total, e->coder_size);
    take_store(&c->store, p, &total, e, c->blocks);
    c->bits = take(p, &total, bits_size(e, size));
    return total;
}

static size_t coding_memory(encoder_profile profile, size_t size) {
    block_coding c;
    uint8_t *nowhere = NULL;
    return take_coding(&c, &nowhere, find_block_encoder(profile.generation, profile.level), size);
}

/* Whether the stream is where the segment began: it has gone on from one that has met it, or
 * their snapshots are the same. */
static bool meets(block_joiner *j, const block_segment *s) {
    size_t size = j->encoder->snapshot_size;
    return size == 0 || (j->met != NULL && s->follows == j->met->input.number) ||
           memcmp(true_snapshot(j), s->snapshots, size) == 0;
}

/* Parse from where the stream stands until the snapshot is the one that the segment had there,
 * or to the end of the input if there is no segment. Gives the number of blocks. */
static size_t parse_true(block_joiner *j, const segment_input *input, const block_segment *s,
                         block_coding *c) {
    const block_encoder *e = j->encoder;
    size_t done = 0;
    bool met = s != NULL && meets(j, s);
    while (!met && done < c->blocks) {
        parse_into(&c->store, done++, e, true_parser(j), input);
        const uint8_t *snapshot = s != NULL ? snapshot_after(s, done) : NULL;
        if (snapshot != NULL) {
            e->save(j->parser, j->scratch);
            met = memcmp(j->scratch, snapshot, e->snapshot_size) == 0;
        }
    }
    if (met && e->snapshot_size != 0) {
        j->met = s;
        j->has_truth = false;
    }
    return done;
}

/* Where block i is. */
static const block_store *store_of(const block_coding *c, size_t i) {
    return i < c->own ? &c->store : c->rest;
}

static void code_blocks(const block_coding *c, void *coder, bit_writer *out) {
    const block_encoder *e = c->encoder;
    for (size_t i = 0; i < c->blocks; i++) {
        const block_store *store = store_of(c, i);
        block_input block = block_at(e, &c->input, i);
        e->code(coder, plan_at(e, store, i), &block, &store->parsed[i], out);
    }
}

static bool join(void *joiner, const segment_input *input, const void *segment, void *coding) {
    block_joiner *j = joiner;
    const block_segment *s = segment;
    block_coding *c = coding;
    uint8_t *p = (uint8_t *)coding + aligned(sizeof *c);
    take_coding(c, &p, j->encoder, input->size);
    c->input = *input;
    c->rest = s != NULL ? &s->store : NULL;
    c->own = parse_true(j, input, s, c);
    if (s != NULL)
        j->repaired += c->own < c->blocks ? c->own * j->encoder->block_size : input->size;
    c->planned = s != NULL && s->planned ? c->blocks - c->own : 0;
    if (j->encoder->plan == NULL)
        c->planned = c->blocks;
    return c->planned < c->blocks;
}

static void plan_blocks(block_coding *c, bool complete) {
    for (size_t i = 0; i < c->blocks - c->planned; i++)
        plan_in(store_of(c, i), i, c->encoder, &c->input, complete);
    c->planned = c->blocks;
}

static void coding_plan(void *coding) {
    plan_blocks(coding, true);
}

static void settle(void *joiner, void *coding) {
    block_joiner *j = joiner;
    block_coding *c = coding;
    size_t coder_size = j->encoder->coder_size;
    plan_blocks(c, false);
    if (coder_size != 0) {
        memcpy(c->coder, j->coder, coder_size);
        code_blocks(c, j->coder, NULL);
    }
}

static void end(void *joiner, bit_writer *out) {
    block_joiner *j = joiner;
    j->encoder->end(j->coder, out);
}

/* ---- In order -------------------------------------------------------------------------- */

static block_stream *stream(void *joiner) {
    return ((block_joiner *)joiner)->stream;
}

static size_t write_bound(void *joiner, size_t n) {
    return block_stream_bound(stream(joiner), n);
}

static size_t write(void *joiner, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    block_joiner *j = joiner;
    true_parser(j);
    return block_stream_write(j->stream, data, n, tail, out);
}

static held_input held(void *joiner) {
    return block_stream_held(stream(joiner));
}

static void hold(void *joiner, const held_input *input, uint64_t position) {
    block_stream_hold(stream(joiner), input, position);
}

static size_t finish(void *joiner, bit_tail *tail, uint8_t *out) {
    block_joiner *j = joiner;
    true_parser(j);
    return block_stream_finish(j->stream, tail, out);
}

/* ---- Coding ---------------------------------------------------------------------------- */

static void coding_run(void *coding) {
    block_coding *c = coding;
    bit_writer w;
    bits_init(&w, c->bits);
    code_blocks(c, c->coder, &w);
    c->made.piece = bits_piece(&w);
}

static uint64_t repaired(const void *joiner) {
    return ((const block_joiner *)joiner)->repaired;
}

const two_step_encoder block_two_step = {
    .codes_from_segment = true,
    .geometry = geometry,
    .segment_memory = segment_memory,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .joiner_memory = joiner_memory,
    .joiner_init = joiner_init,
    .coding_memory = coding_memory,
    .join = join,
    .coding_plan = coding_plan,
    .settle = settle,
    .coding_run = coding_run,
    .write_bound = write_bound,
    .write = write,
    .finish = finish,
    .held = held,
    .hold = hold,
    .end = end,
    .repaired = repaired,
};
