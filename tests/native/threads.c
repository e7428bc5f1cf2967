/*
 * The parallel encoders on several threads, without Python; to be run under ThreadSanitizer.
 *
 * threads FILE: for every profile with a parallel encoder, encode FILE in segments and compare the
 * bytes with the serial encoder's. The main thread joins, decides and appends; the others run
 * segments (behind the one before, if that has run), plan batches and write them. For every profile
 * with a piece encoder, encode FILE twice over in pieces, each on any thread. Prints the number of
 * profiles.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"
#include "parallel/pieces.h"

enum { THREADS = 3, AHEAD = 4, MAX_SEGMENTS = 64, MAX_TASKS = 4 * MAX_SEGMENTS };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void *allocate(size_t n) {
    void *p = malloc(n != 0 ? n : 1);
    CHECK(p != NULL);
    return p;
}

/* ---- Tasks: done once, by a worker or by whoever needs the result ------------------------ */

typedef enum { NOT_STARTED, STARTED, DONE, DROPPED } task_state;

typedef struct {
    task_state state; /* guarded by the lock, like `previous` of a run */
    void (*work)(void *argument);
    void *argument;
} task;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static task *queue[MAX_TASKS];
static size_t queue_begin, queue_end;
static bool quit;

static void *worker(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (queue_begin == queue_end && !quit)
            pthread_cond_wait(&changed, &lock);
        if (queue_begin == queue_end)
            break;
        task *t = queue[queue_begin++ % MAX_TASKS];
        if (t->state != NOT_STARTED)
            continue;
        t->state = STARTED;
        pthread_mutex_unlock(&lock);
        t->work(t->argument);
        pthread_mutex_lock(&lock);
        t->state = DONE;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void submit(task *t, void (*work)(void *), void *argument) {
    pthread_mutex_lock(&lock);
    *t = (task){NOT_STARTED, work, argument};
    queue[queue_end++ % MAX_TASKS] = t;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(task *t) {
    pthread_mutex_lock(&lock);
    while (t->state != DONE && t->state != DROPPED)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* Whether the task was started, and is done now; otherwise it never will be. */
static bool done_or_dropped(task *t) {
    pthread_mutex_lock(&lock);
    if (t->state == NOT_STARTED)
        t->state = DROPPED;
    bool dropped = t->state == DROPPED;
    pthread_mutex_unlock(&lock);
    if (!dropped)
        wait_for(t);
    return !dropped;
}

/* ---- A stream ---------------------------------------------------------------------------- */

typedef struct part {
    const parallel_encoder *encoder;
    segment_input input;
    struct part *previous; /* whose final state is the guess, if it has run */
    void *segment_memory;
    void *segment;
    void *batch;
    task run, plan, write;
} part;

static void run_segment(void *argument) {
    part *p = argument;
    pthread_mutex_lock(&lock);
    const part *previous = p->previous;
    bool has_run = previous != NULL && previous->run.state == DONE;
    pthread_mutex_unlock(&lock);
    p->encoder->segment_run(p->segment, has_run ? previous->segment : NULL);
}

static void plan_batch(void *argument) {
    part *p = argument;
    p->encoder->batch_plan(p->batch);
}

static void write_batch(void *argument) {
    part *p = argument;
    p->encoder->batch_run(p->batch);
}

static size_t encode_in_order(encoder_profile profile, const uint8_t *data, size_t n,
                              uint8_t **result) {
    const serial_encoder *e = registry_serial(profile);
    bit_tail tail = {0, 0};
    void *state = allocate(e->state_size(profile));
    e->init(state, profile);
    size_t bound = e->bound(state, n);
    uint8_t *out = allocate(bound);
    size_t size = e->write(state, data, n, &tail, out);
    size_t end_bound = e->bound(state, 0);
    out = realloc(out, size + end_bound);
    CHECK(out != NULL);
    size += e->finish(state, &tail, out + size);
    free(state);
    *result = out;
    return size;
}

static size_t cut(encoder_profile profile, const uint8_t *data, size_t n, part *parts) {
    const parallel_encoder *e = registry_parallel(profile);
    parallel_geometry geometry = e->geometry(profile);
    size_t least = n / (MAX_SEGMENTS / 4);
    size_t step = (least / geometry.unit + 1) * geometry.unit;
    size_t count = 0;
    for (size_t at = 0; at < n || count == 0; at += step, count++) {
        bool last = n - at <= step + geometry.after;
        CHECK(count < MAX_SEGMENTS);
        parts[count] = (part){
            .encoder = e,
            .input = {.data = data + at,
                      .before = at < geometry.before ? at : geometry.before,
                      .after = last ? 0 : geometry.after,
                      .size = last ? n - at : step,
                      .position = at,
                      .last = last,
                      .number = count + 1},
            /* Every third one starts from the input before it. */
            .previous = count % 3 != 0 ? &parts[count - 1] : NULL,
        };
        if (last)
            return count + 1;
    }
    return count;
}

static void start_segment(encoder_profile profile, part *p) {
    p->segment_memory = allocate(p->encoder->segment_size(profile, p->input.size));
    p->segment = p->encoder->segment_init(p->segment_memory, profile, &p->input);
    submit(&p->run, run_segment, p);
}

static size_t encode_parallel(encoder_profile profile, const uint8_t *data, size_t n,
                              uint8_t *out) {
    static part parts[MAX_SEGMENTS];
    const parallel_encoder *e = registry_parallel(profile);
    size_t count = cut(profile, data, n, parts), size = 0;
    void *memory = allocate(e->stream_size(profile));
    void *stream = e->stream_init(memory, profile);
    bit_tail tail = {0, 0};
    for (size_t i = 0; i < AHEAD && i < count; i++)
        start_segment(profile, &parts[i]);
    for (size_t i = 0; i < count; i++) {
        part *p = &parts[i];
        if (i + AHEAD < count)
            start_segment(profile, &parts[i + AHEAD]);
        /* Some are joined without having run, when no thread came to them in time. */
        bool has_run = done_or_dropped(&p->run);
        p->batch = allocate(e->batch_size(profile, p->input.size));
        if (e->join(stream, &p->input, has_run ? p->segment : NULL, p->batch)) {
            submit(&p->plan, plan_batch, p);
            if (i % 2 == 0)
                wait_for(&p->plan);
            else
                done_or_dropped(&p->plan);
        }
        if (e->decide != NULL)
            e->decide(stream, p->batch);
        submit(&p->write, write_batch, p);
    }
    for (size_t i = 0; i < count; i++) {
        part *p = &parts[i];
        wait_for(&p->write);
        const bit_span *bits = &((const batch_output *)p->batch)->bits;
        size_t part_size = deflate_append_size(&tail, bits);
        deflate_append_span(&tail, bits, out + size);
        size += part_size;
    }
    bit_writer w = bits_from_tail(&tail, out + size);
    e->end(stream, &w);
    size += bits_to_tail(&w, &tail);
    for (size_t i = 0; i < count; i++) {
        free(parts[i].segment_memory);
        free(parts[i].batch);
    }
    free(memory);
    return size;
}

/* ---- Pieces ------------------------------------------------------------------------------ */

typedef struct {
    encoder_profile profile;
    piece_input input;
    uint8_t *out;
    size_t size;
    task run;
} piece;

static void run_piece(void *argument) {
    piece *p = argument;
    void *state = allocate(registry_pieces(p->profile)->state_size(p->profile));
    p->out = allocate(parallel_pieces_bound(p->profile, p->input.size, p->input.last));
    p->size = parallel_encode_pieces(state, p->profile, &p->input, p->out);
    free(state);
}

static size_t encode_in_pieces(encoder_profile profile, const uint8_t *data, size_t n,
                               uint8_t *out) {
    static piece pieces[MAX_SEGMENTS];
    piece_geometry geometry = registry_pieces(profile)->geometry(profile);
    size_t count = n / geometry.size + 1, made = 0;
    CHECK(count < MAX_SEGMENTS);
    for (size_t i = 0; i < count; i++) {
        size_t at = i * geometry.size;
        bool last = i + 1 == count;
        pieces[i] = (piece){
            .profile = profile,
            .input = {.data = data + at,
                      .before = at < geometry.before ? at : geometry.before,
                      .size = last ? n - at : geometry.size,
                      .last = last},
        };
        submit(&pieces[i].run, run_piece, &pieces[i]);
    }
    for (size_t i = 0; i < count; i++) {
        wait_for(&pieces[i].run);
        memcpy(out + made, pieces[i].out, pieces[i].size);
        made += pieces[i].size;
        free(pieces[i].out);
    }
    return made;
}

static void compare(encoder_profile profile, const uint8_t *data, size_t n) {
    uint8_t *expected;
    size_t size = encode_in_order(profile, data, n, &expected);
    uint8_t *out = allocate(size + STREAM_END_BOUND);
    if (registry_pieces(profile) != NULL)
        CHECK(encode_in_pieces(profile, data, n, out) == size);
    else
        CHECK(encode_parallel(profile, data, n, out) == size);
    CHECK(memcmp(out, expected, size) == 0);
    free(out);
    free(expected);
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL)
        return 2;
    uint8_t *data = allocate(1 << 25);
    size_t n = fread(data, 1, 1 << 24, file);
    fclose(file);
    memcpy(data + n, data, n);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, worker, NULL) == 0);
    const enum family families[] = {
        FAMILY_GO126,
        FAMILY_GO127,
        FAMILY_PGZIP_1_18_2,
        FAMILY_PGZIP_1_15_10,
        FAMILY_PGZIP_1_15_0,
        FAMILY_PGZIP_1_14_0,
        FAMILY_PGZIP_1_12_3,
        FAMILY_PGZIP_1_12_2,
        FAMILY_PGZIP_1_11_13,
        FAMILY_PGZIP_1_10_2,
        FAMILY_PGZIP_1_10_2_256K,
        FAMILY_PGZIP_1_9_8_256K,
        FAMILY_PIGZ,
    };
    int profiles = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        for (int level = LEVEL_HUFFMAN; level <= LEVEL_MAX; level++) {
            encoder_profile profile = {families[i], level};
            bool pieces = registry_pieces(profile) != NULL;
            if (!pieces && registry_parallel(profile) == NULL)
                continue;
            compare(profile, data, pieces ? 2 * n : n);
            profiles++;
        }
    pthread_mutex_lock(&lock);
    quit = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free(data);
    printf("%d profiles\n", profiles);
    return 0;
}
