/*
 * The Python face of the core: convert._native._binding. The only file that knows Python.
 *
 * Built for the stable ABI of Python 3.11 on. Each call that works on data releases the
 * GIL; each object is used by one call at a time, and a second one while the first runs
 * raises RuntimeError instead of corrupting it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "parallel/block_serial.h"
#include "encoder.h"
#include "parallel/two_step.h"
#include "upper_halves.h"

/* Around all that works on data: others may run Python meanwhile. */
#define BEGIN_WORK                                                                               \
    Py_BEGIN_ALLOW_THREADS                                                                       \
    clear_upper_halves();
#define END_WORK Py_END_ALLOW_THREADS

typedef struct {
    PyObject *encoder_type;
    PyObject *segment_type;
    PyObject *coding_type;
    PyObject *joiner_type;
} module_state;

static struct PyModuleDef module_definition;

/* ---- What all objects share ------------------------------------------------------------ */

#define OUTPUT_LOST "output of this stream was lost"

/* Taken by whichever call uses an object; never waited for. */
typedef atomic_flag busy_flag;

static int take(busy_flag *busy) {
    if (atomic_flag_test_and_set_explicit(busy, memory_order_acquire)) {
        PyErr_SetString(PyExc_RuntimeError, "the object is in use by another thread");
        return -1;
    }
    return 0;
}

static void give_back(busy_flag *busy) {
    atomic_flag_clear_explicit(busy, memory_order_release);
}

/* Free an object of a heap type and drop its reference to the type. */
static void free_object(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* The memory of one parallel stream, used again and again: its objects are few, large, all
 * alike and soon gone. Only touched with the GIL held. */
enum { POOL_SPARES = 16 };

typedef struct {
    size_t users;
    struct {
        void *memory;
        size_t size;
    } spare[POOL_SPARES];
} memory_pool;

static memory_pool *pool_new(void) {
    memory_pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL)
        pool->users = 1;
    return pool;
}

static memory_pool *pool_share(memory_pool *pool) {
    pool->users++;
    return pool;
}

static void pool_leave(memory_pool *pool) {
    if (pool == NULL || --pool->users > 0)
        return;
    for (size_t i = 0; i < POOL_SPARES; i++)
        free(pool->spare[i].memory);
    free(pool);
}

/* At least *size bytes, how many is put back into *size; or NULL with an exception. */
static void *pool_take(memory_pool *pool, size_t *size) {
    size_t best = POOL_SPARES;
    for (size_t i = 0; i < POOL_SPARES; i++) {
        if (pool->spare[i].memory != NULL && pool->spare[i].size >= *size &&
            (best == POOL_SPARES || pool->spare[i].size < pool->spare[best].size))
            best = i;
    }
    /* Not far too much: a small segment's memory is not a large one's. */
    if (best < POOL_SPARES && pool->spare[best].size / 2 <= *size) {
        void *memory = pool->spare[best].memory;
        *size = pool->spare[best].size;
        pool->spare[best].memory = NULL;
        return memory;
    }
    void *memory = malloc(*size);
    if (memory == NULL)
        PyErr_NoMemory();
    return memory;
}

static void pool_give(memory_pool *pool, void *memory, size_t size) {
    for (size_t i = 0; i < POOL_SPARES && memory != NULL; i++) {
        if (pool->spare[i].memory == NULL) {
            pool->spare[i].memory = memory;
            pool->spare[i].size = size;
            return;
        }
    }
    free(memory);
}

/* Output is made in a room and copied, because the limited API cannot shrink a bytes object. */
static PyObject *bytes_of(const uint8_t *room, size_t size) {
    return PyBytes_FromStringAndSize((const char *)room, (Py_ssize_t)size);
}

static int check_profile(int generation, int level) {
    if (find_block_encoder(generation, level) != NULL ||
        find_token_encoder(generation, level) != NULL)
        return 0;
    PyErr_Format(PyExc_ValueError, "no encoder of generation %d, level %d", generation, level);
    return -1;
}

/* ---- Encoder: a stream in order -------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    bool finished;
    bool lost; /* output could not be given: nothing may come behind it */
    const token_encoder *tokens; /* one of the two ways, the other NULL */
    block_stream *blocks;
    bit_tail tail; /* of blocks */
    void *memory;
} encoder_object;

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"generation", "level", NULL};
    int generation, level;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:Encoder", names, &generation, &level) ||
        check_profile(generation, level) < 0)
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    encoder_object *self = (encoder_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    const block_encoder *blocks = find_block_encoder(generation, level);
    self->tokens = find_token_encoder(generation, level);
    self->memory = malloc(blocks != NULL ? block_stream_size(blocks) : self->tokens->state_size);
    if (self->memory == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    if (blocks != NULL)
        self->blocks = block_stream_init(self->memory, blocks, level);
    else
        self->tokens->init(self->memory, level);
    return (PyObject *)self;
}

static void encoder_dealloc(PyObject *object) {
    free(((encoder_object *)object)->memory);
    free_object(object);
}

/* Bytes for write(n), or for finish() if data is NULL. Called with the flag taken. */
static PyObject *encoder_step(encoder_object *self, const uint8_t *data, size_t n) {
    size_t bound = self->blocks != NULL ? block_stream_bound(self->blocks, n)
                                        : self->tokens->bound(self->memory, n);
    uint8_t *out = malloc(bound);
    if (out == NULL)
        return PyErr_NoMemory();
    size_t size;
    BEGIN_WORK
    if (data == NULL)
        size = self->blocks != NULL ? block_stream_finish(self->blocks, &self->tail, out)
                                    : self->tokens->finish(self->memory, out);
    else
        size = self->blocks != NULL ? block_stream_write(self->blocks, data, n, &self->tail, out)
                                    : self->tokens->write(self->memory, data, n, out);
    END_WORK
    PyObject *bytes = bytes_of(out, size);
    free(out);
    self->lost = bytes == NULL;
    return bytes;
}

/* Whether more may come; if not, with an exception: what is wrong if the stream is finished, or that
 * output is lost. */
static bool encoder_goes_on(const encoder_object *self, const char *finished) {
    if (!self->lost && !self->finished)
        return true;
    PyErr_SetString(PyExc_ValueError, self->lost ? OUTPUT_LOST : finished);
    return false;
}

static PyObject *encoder_write(PyObject *object, PyObject *data) {
    encoder_object *self = (encoder_object *)object;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = NULL;
    if (take(&self->busy) == 0) {
        if (encoder_goes_on(self, "write() after finish()"))
            result = view.len == 0 ? PyBytes_FromStringAndSize(NULL, 0)
                                   : encoder_step(self, view.buf, (size_t)view.len);
        give_back(&self->busy);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *encoder_finish(PyObject *object, PyObject *unused) {
    encoder_object *self = (encoder_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    PyObject *result = NULL;
    if (encoder_goes_on(self, "finish() called twice")) {
        self->finished = true;
        result = encoder_step(self, NULL, 0);
    }
    give_back(&self->busy);
    return result;
}

static PyMethodDef encoder_methods[] = {
    {"write", encoder_write, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\nTake input; return the output that is complete.")},
    {"finish", encoder_finish, METH_NOARGS,
     PyDoc_STR("finish($self, /)\n--\n\nEnd the stream; return the rest of the output.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot encoder_slots[] = {
    {Py_tp_doc, PyDoc_STR("Encoder(generation, level)\n--\n\nA raw DEFLATE stream, made in order.")},
    {Py_tp_new, encoder_new},
    {Py_tp_dealloc, encoder_dealloc},
    {Py_tp_methods, encoder_methods},
    {0, NULL},
};

static PyType_Spec encoder_spec = {
    .name = "convert._native._binding.Encoder",
    .basicsize = sizeof(encoder_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = encoder_slots,
};

/* ---- Segment: a part of a stream, which may be guessed at -------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    bool guessable; /* there is enough before it to warm up in */
    bool has_run;
    bool joined;
    Py_buffer view; /* the input, held for as long as anyone may look at it */
    segment_input input;
    encoder_profile profile;
    const two_step_encoder *steps;
    void *part; /* the encoder's segment: NULL unless it is being run or has run */
    memory_pool *pool; /* its joiner's, and no other's as long as anyone holds it */
    void *memory;
    size_t memory_size;
} segment_object;

static void segment_dealloc(PyObject *object) {
    segment_object *self = (segment_object *)object;
    if (self->pool != NULL)
        pool_give(self->pool, self->memory, self->memory_size);
    pool_leave(self->pool);
    if (self->view.obj != NULL)
        PyBuffer_Release(&self->view);
    free_object(object);
}

/* The memory goes to whoever wants it next. */
static void segment_forget(segment_object *self) {
    pool_give(self->pool, self->memory, self->memory_size);
    self->memory = NULL;
    self->part = NULL;
}

static int segment_prepare(segment_object *self, const void *previous) {
    if (!self->guessable && previous == NULL) {
        PyErr_SetString(PyExc_ValueError, "there is too little before the segment to guess at it");
        return -1;
    }
    self->memory_size = self->steps->segment_memory(self->profile, self->input.size);
    self->memory = pool_take(self->pool, &self->memory_size);
    if (self->memory == NULL)
        return -1;
    self->part = self->steps->segment_init(self->memory, self->profile, &self->input);
    return 0;
}

/* The encoder's part of the segment right before this one, NULL if `object` is None or there is
 * nothing of it any more; or -1 with an exception. What is looked at of it, nobody writes to any more. */
static int part_before(const segment_object *self, PyObject *object, const void **part) {
    *part = NULL;
    if (object == Py_None)
        return 0;
    const segment_object *previous = (const segment_object *)object;
    if (!Py_IS_TYPE(object, Py_TYPE((PyObject *)self))) {
        PyErr_SetString(PyExc_TypeError, "a Segment is wanted");
        return -1;
    }
    if (previous->pool != self->pool || !previous->has_run ||
        previous->input.position + previous->input.size != self->input.position) {
        PyErr_SetString(PyExc_ValueError, "not the segment before, or it has not run");
        return -1;
    }
    if (self->steps->codes_from_segment)
        *part = previous->part;
    return 0;
}

static PyObject *segment_run(PyObject *object, PyObject *args) {
    segment_object *self = (segment_object *)object;
    PyObject *before = Py_None;
    const void *previous;
    if (!PyArg_ParseTuple(args, "|O:run", &before) || part_before(self, before, &previous) < 0 ||
        take(&self->busy) < 0)
        return NULL;
    bool failed = false;
    if (!self->has_run && !self->joined && !(failed = segment_prepare(self, previous) < 0)) {
        BEGIN_WORK
        self->steps->segment_run(self->part, previous);
        END_WORK
        self->has_run = true;
    }
    give_back(&self->busy);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef segment_methods[] = {
    {"run", segment_run, METH_VARARGS,
     PyDoc_STR("run($self, previous=None, /)\n--\n\n"
               "Do the work, on whichever thread: from where `previous` has ended, if that is given.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot segment_slots[] = {
    {Py_tp_doc, PyDoc_STR("Part of a stream, to be worked on apart from the rest.")},
    {Py_tp_dealloc, segment_dealloc},
    {Py_tp_methods, segment_methods},
    {0, NULL},
};

static PyType_Spec segment_spec = {
    .name = "convert._native._binding.Segment",
    .basicsize = sizeof(segment_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = segment_slots,
};

/* ---- Coding: the blocks that a joined segment completes ---------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    bool planned;
    bool settled;
    bool has_run;
    PyObject *segment; /* its input, and perhaps more, is still needed */
    unsigned long long number; /* among its codings */
    bool last; /* the stream ends with it */
    bit_piece piece; /* when it has run */
    const two_step_encoder *steps;
    memory_pool *pool; /* its joiner's */
    void *memory;
    size_t memory_size;
} coding_object;

static void coding_dealloc(PyObject *object) {
    coding_object *self = (coding_object *)object;
    if (self->pool != NULL)
        pool_give(self->pool, self->memory, self->memory_size);
    pool_leave(self->pool);
    Py_XDECREF(self->segment);
    free_object(object);
}

static PyObject *coding_plan(PyObject *object, PyObject *unused) {
    coding_object *self = (coding_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    if (!self->planned) {
        BEGIN_WORK
        self->steps->coding_plan(self->memory);
        END_WORK
        self->planned = true;
    }
    give_back(&self->busy);
    Py_RETURN_NONE;
}

static PyObject *coding_run(PyObject *object, PyObject *unused) {
    coding_object *self = (coding_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    if (!self->settled) {
        PyErr_SetString(PyExc_ValueError, "the coding is not settled yet");
        give_back(&self->busy);
        return NULL;
    }
    if (!self->has_run) {
        BEGIN_WORK
        self->steps->coding_run(self->memory);
        END_WORK
        self->piece = ((const coding_bits *)self->memory)->piece;
        self->has_run = true;
    }
    give_back(&self->busy);
    Py_RETURN_NONE;
}

static PyObject *coding_planned(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((coding_object *)object)->planned);
}

static PyMethodDef coding_methods[] = {
    {"plan", coding_plan, METH_NOARGS,
     PyDoc_STR("plan($self, /)\n--\n\nDo the part of the work that needs nothing settled, on whichever thread.")},
    {"run", coding_run, METH_NOARGS,
     PyDoc_STR("run($self, /)\n--\n\nDo the rest of the work, on whichever thread.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef coding_attributes[] = {
    {"planned", coding_planned, NULL, PyDoc_STR("Whether there is nothing left to plan."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot coding_slots[] = {
    {Py_tp_doc, PyDoc_STR("Blocks of a stream whose tokens are known, to be coded.")},
    {Py_tp_dealloc, coding_dealloc},
    {Py_tp_methods, coding_methods},
    {Py_tp_getset, coding_attributes},
    {0, NULL},
};

static PyType_Spec coding_spec = {
    .name = "convert._native._binding.Coding",
    .basicsize = sizeof(coding_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = coding_slots,
};

/* ---- Joiner: segments in order, checked and put together ----------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    encoder_profile profile;
    bool in_order;               /* written to, and not handed over since */
    bool handed_over;            /* and not taken over since */
    unsigned long long position; /* of the next segment or, in order, write */
    unsigned long long joined;   /* codings made */
    unsigned long long settled;  /* and of which it is known how they are coded */
    unsigned long long appended; /* codings taken */
    bool finished;
    bool lost; /* output could not be given: nothing may come behind it */
    unsigned long long segments; /* made */
    PyObject *last;              /* the segment joined last, which the encoder may look at */
    bit_tail tail;               /* of the stream */
    const two_step_encoder *steps;
    void *whole; /* the encoder's joiner */
    memory_pool *pool; /* for segments and codings */
    void *memory;
    uint8_t *out; /* where output is made, before its size is known */
    size_t out_size;
} joiner_object;

static PyObject *joiner_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"generation", "level", NULL};
    encoder_profile profile;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:Joiner", names, &profile.generation,
                                     &profile.level) ||
        check_profile(profile.generation, profile.level) < 0)
        return NULL;
    const two_step_encoder *steps = find_two_step_encoder(profile);
    if (steps == NULL) {
        PyErr_SetString(PyExc_ValueError, "this encoder works in order only");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    joiner_object *self = (joiner_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->profile = profile;
    self->steps = steps;
    self->memory = malloc(steps->joiner_memory(profile));
    self->pool = pool_new();
    if (self->memory == NULL || self->pool == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->whole = steps->joiner_init(self->memory, profile);
    return (PyObject *)self;
}

static void joiner_dealloc(PyObject *object) {
    joiner_object *self = (joiner_object *)object;
    free(self->memory);
    free(self->out);
    Py_XDECREF(self->last);
    pool_leave(self->pool);
    free_object(object);
}

/* Take the joiner, of which nothing is lost; or -1 with an exception. */
static int joiner_take(joiner_object *self) {
    if (take(&self->busy) < 0)
        return -1;
    if (!self->lost)
        return 0;
    give_back(&self->busy);
    PyErr_SetString(PyExc_ValueError, OUTPUT_LOST);
    return -1;
}

/* The output as bytes; if there is no memory for it, it is lost. */
static PyObject *joiner_output(joiner_object *self, const uint8_t *out, size_t size) {
    PyObject *bytes = bytes_of(out, size);
    self->lost = bytes == NULL;
    return bytes;
}

/* Room for so much output, until the next call; or NULL with an exception. */
static uint8_t *room_for_output(joiner_object *self, size_t size) {
    if (self->out_size < size) {
        free(self->out);
        self->out = malloc(size);
        self->out_size = self->out != NULL ? size : 0;
        if (self->out == NULL)
            PyErr_NoMemory();
    }
    return self->out;
}

static module_state *state_of(PyObject *object) {
    return PyType_GetModuleState(Py_TYPE(object));
}

/* What is wanted around a position, of earlier input no more than there is. */
static two_step_geometry wanted_at(const joiner_object *self, unsigned long long position) {
    two_step_geometry wanted = self->steps->geometry(self->profile);
    if (position < wanted.history)
        wanted.history = (size_t)position;
    if (position < wanted.before)
        wanted.before = (size_t)position;
    return wanted;
}

static PyObject *joiner_segment(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"data", "before", "size", "position", "last", NULL};
    joiner_object *self = (joiner_object *)object;
    PyObject *data;
    Py_ssize_t before, size;
    unsigned long long position;
    int last;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OnnKp:segment", names, &data, &before, &size,
                                     &position, &last))
        return NULL;
    module_state *state = state_of(object);
    if (state == NULL)
        return NULL;
    PyTypeObject *type = (PyTypeObject *)state->segment_type;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    segment_object *segment = (segment_object *)allocate(type, 0);
    if (segment == NULL)
        return NULL;
    atomic_flag_clear(&segment->busy);
    segment->pool = pool_share(self->pool);
    if (PyObject_GetBuffer(data, &segment->view, PyBUF_SIMPLE) < 0)
        goto failed;

    two_step_geometry wanted = wanted_at(self, position);
    segment->guessable = before >= 0 && (size_t)before >= wanted.before;
    Py_ssize_t length = segment->view.len;
    if (position > INT64_MAX || before < 0 || size < 0 || before > length ||
        size > length - before || (size_t)before < wanted.history ||
        (unsigned long long)before > position) {
        PyErr_SetString(PyExc_ValueError, "the data do not hold the segment and what is before");
        goto failed;
    }
    if (position % wanted.unit != 0 ||
        (last == 0 && (size == 0 || (size_t)size % wanted.unit != 0))) {
        PyErr_SetString(PyExc_ValueError, "a segment must be whole units");
        goto failed;
    }
    size_t after = (size_t)(length - before - size);
    if (last != 0 ? after != 0 : after < wanted.after) {
        PyErr_SetString(PyExc_ValueError, "the data do not hold what is behind the segment");
        goto failed;
    }
    segment->input = (segment_input){
        .data = (const uint8_t *)segment->view.buf + before,
        .before = (size_t)before,
        .after = after,
        .size = (size_t)size,
        .position = position,
        .last = last != 0,
        .number = ++self->segments,
    };
    segment->profile = self->profile;
    segment->steps = self->steps;
    return (PyObject *)segment;

failed:
    Py_DECREF(segment);
    return NULL;
}

/* The segment `object` is, taken, if it comes next; else NULL with an exception. Borrowed. */
static segment_object *next_segment(joiner_object *self, PyObject *object) {
    module_state *state = state_of((PyObject *)self);
    if (state == NULL)
        return NULL;
    if (!Py_IS_TYPE(object, (PyTypeObject *)state->segment_type)) {
        PyErr_SetString(PyExc_TypeError, "a Segment is wanted");
        return NULL;
    }
    segment_object *segment = (segment_object *)object;
    if (take(&segment->busy) < 0)
        return NULL;
    if (segment->pool == self->pool && segment->input.position == self->position &&
        !segment->joined && !self->finished && !self->in_order)
        return segment;
    give_back(&segment->busy);
    PyErr_SetString(PyExc_ValueError, "not this joiner's next segment");
    return NULL;
}

/* What the segment completes, to be coded. */
static PyObject *join_to_coding(joiner_object *self, segment_object *segment) {
    PyTypeObject *type = (PyTypeObject *)state_of((PyObject *)self)->coding_type;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    coding_object *coding = (coding_object *)allocate(type, 0);
    if (coding == NULL)
        return NULL;
    atomic_flag_clear(&coding->busy);
    coding->segment = Py_NewRef((PyObject *)segment);
    coding->last = segment->input.last;
    coding->steps = self->steps;
    coding->pool = pool_share(self->pool);
    coding->memory_size = self->steps->coding_memory(self->profile, segment->input.size);
    coding->memory = pool_take(self->pool, &coding->memory_size);
    if (coding->memory == NULL) {
        Py_DECREF(coding);
        return NULL;
    }
    BEGIN_WORK
    coding->planned =
        !self->steps->join(self->whole, &segment->input, segment->part, coding->memory);
    END_WORK
    coding->number = self->joined++;
    return (PyObject *)coding;
}

/* Keep the segment joined last, or nothing, and let the one before go. */
static void keep_last(joiner_object *self, PyObject *segment) {
    PyObject *before = self->last;
    self->last = Py_XNewRef(segment);
    Py_XDECREF(before);
}

static PyObject *joiner_join(PyObject *object, PyObject *argument) {
    joiner_object *self = (joiner_object *)object;
    if (joiner_take(self) < 0)
        return NULL;
    PyObject *coding = NULL;
    segment_object *segment = next_segment(self, argument);
    if (segment != NULL) {
        coding = join_to_coding(self, segment);
        if (coding != NULL) {
            segment->joined = true;
            self->position += segment->input.size;
            self->finished = segment->input.last;
            if (self->steps->codes_from_segment)
                keep_last(self, argument);
            else
                segment_forget(segment);
        }
        give_back(&segment->busy);
    }
    give_back(&self->busy);
    return coding;
}

/* The bytes that the coding completes. */
static PyObject *append_bits(joiner_object *self, const coding_object *coding) {
    size_t size = bits_join_size(&self->tail, &coding->piece);
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (result == NULL)
        return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(result);
    BEGIN_WORK
    bits_join(&self->tail, &coding->piece, out);
    END_WORK
    return result;
}

/* The same with the end of the stream behind it. */
static PyObject *append_last(joiner_object *self, const coding_object *coding) {
    size_t size = bits_join_size(&self->tail, &coding->piece);
    uint8_t *out = room_for_output(self, size + block_bound(0));
    if (out == NULL)
        return NULL;
    BEGIN_WORK
    bits_join(&self->tail, &coding->piece, out);
    bit_writer w = bits_from_tail(&self->tail, out + size);
    self->steps->end(self->whole, &w);
    size += bits_to_tail(&w, &self->tail);
    END_WORK
    return joiner_output(self, out, size);
}

/* The coding that `object` is, taken, if it is this joiner's number `wanted`; else NULL with an
 * exception. Borrowed. */
static coding_object *next_coding(joiner_object *self, PyObject *object,
                                  unsigned long long wanted) {
    module_state *state = state_of((PyObject *)self);
    if (state == NULL)
        return NULL;
    if (!Py_IS_TYPE(object, (PyTypeObject *)state->coding_type)) {
        PyErr_SetString(PyExc_TypeError, "a Coding is wanted");
        return NULL;
    }
    coding_object *coding = (coding_object *)object;
    if (take(&coding->busy) < 0)
        return NULL;
    if (coding->pool == self->pool && coding->number == wanted)
        return coding;
    give_back(&coding->busy);
    PyErr_SetString(PyExc_ValueError, "not this joiner's next coding");
    return NULL;
}

static PyObject *joiner_settle(PyObject *object, PyObject *argument) {
    joiner_object *self = (joiner_object *)object;
    if (joiner_take(self) < 0)
        return NULL;
    coding_object *coding = next_coding(self, argument, self->settled);
    if (coding != NULL) {
        if (self->steps->settle != NULL) {
            BEGIN_WORK
            self->steps->settle(self->whole, coding->memory);
            END_WORK
        }
        coding->planned = coding->settled = true;
        self->settled++;
        give_back(&coding->busy);
    }
    give_back(&self->busy);
    if (coding == NULL)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *joiner_append(PyObject *object, PyObject *argument) {
    joiner_object *self = (joiner_object *)object;
    if (joiner_take(self) < 0)
        return NULL;
    PyObject *result = NULL;
    coding_object *coding = next_coding(self, argument, self->appended);
    if (coding != NULL) {
        if (!coding->has_run)
            PyErr_SetString(PyExc_ValueError, "the coding has not run");
        else
            result = coding->last ? append_last(self, coding) : append_bits(self, coding);
        if (result != NULL)
            self->appended++;
        give_back(&coding->busy);
    }
    give_back(&self->busy);
    return result;
}

/* Whether the stream can be worked on in order from here on; if not, with an exception. */
static bool may_go_in_order(const joiner_object *self) {
    if (self->steps->write == NULL)
        PyErr_SetString(PyExc_ValueError, "this encoder does not cut its input");
    else if (self->finished)
        PyErr_SetString(PyExc_ValueError, "the stream is finished");
    else if (!self->in_order && (self->position != 0 || self->handed_over))
        PyErr_SetString(PyExc_ValueError, "take_over() must come before");
    else
        return true;
    return false;
}

static PyObject *write_to_bytes(joiner_object *self, const Py_buffer *view) {
    size_t n = (size_t)view->len;
    uint8_t *out = room_for_output(self, self->steps->write_bound(self->whole, n));
    if (out == NULL)
        return NULL;
    size_t size;
    BEGIN_WORK
    size = self->steps->write(self->whole, view->buf, n, &self->tail, out);
    END_WORK
    self->in_order = true;
    self->position += n;
    keep_last(self, NULL);
    return joiner_output(self, out, size);
}

static PyObject *joiner_write(PyObject *object, PyObject *data) {
    joiner_object *self = (joiner_object *)object;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = NULL;
    if (joiner_take(self) == 0) {
        if (may_go_in_order(self))
            result = view.len == 0 ? bytes_of(NULL, 0) : write_to_bytes(self, &view);
        give_back(&self->busy);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *joiner_finish(PyObject *object, PyObject *unused) {
    joiner_object *self = (joiner_object *)object;
    (void)unused;
    if (joiner_take(self) < 0)
        return NULL;
    PyObject *result = NULL;
    uint8_t *out;
    if (may_go_in_order(self) &&
        (out = room_for_output(self, self->steps->write_bound(self->whole, 0))) != NULL) {
        size_t size;
        BEGIN_WORK
        size = self->steps->finish(self->whole, &self->tail, out);
        END_WORK
        self->finished = true;
        result = joiner_output(self, out, size);
    }
    give_back(&self->busy);
    return result;
}

static PyObject *joiner_hand_over(PyObject *object, PyObject *unused) {
    joiner_object *self = (joiner_object *)object;
    (void)unused;
    if (joiner_take(self) < 0)
        return NULL;
    PyObject *result = NULL;
    if (!self->in_order || self->finished) {
        PyErr_SetString(PyExc_ValueError, "the stream is not worked on in order");
    } else {
        held_input held = self->steps->held(self->whole);
        result = Py_BuildValue("(y#n)", (const char *)held.data - held.before,
                               (Py_ssize_t)(held.before + held.size), (Py_ssize_t)held.before);
        if (result != NULL) {
            self->in_order = false;
            self->handed_over = true;
            self->position -= held.size;
        }
    }
    give_back(&self->busy);
    return result;
}

/* What take_over() is given, checked. */
static bool can_hold(const joiner_object *self, Py_ssize_t length, Py_ssize_t before) {
    if (self->steps->write == NULL) {
        PyErr_SetString(PyExc_ValueError, "this encoder does not cut its input");
        return false;
    }
    const char *reason = self->in_order    ? "the stream is worked on in order already"
                         : self->finished  ? "the stream is finished"
                         : self->joined != self->appended ? "there are codings to append before"
                                                          : NULL;
    if (reason != NULL) {
        PyErr_SetString(PyExc_ValueError, reason);
        return false;
    }
    two_step_geometry wanted = wanted_at(self, self->position);
    /* One byte at least, because a block is coded otherwise if nothing follows. */
    if (before < (Py_ssize_t)wanted.history || before >= length ||
        (size_t)(length - before) > wanted.unit) {
        PyErr_SetString(PyExc_ValueError, "not what is before, and up to a unit of what follows");
        return false;
    }
    return true;
}

static PyObject *joiner_take_over(PyObject *object, PyObject *args) {
    joiner_object *self = (joiner_object *)object;
    Py_buffer view;
    Py_ssize_t before;
    if (!PyArg_ParseTuple(args, "y*n:take_over", &view, &before))
        return NULL;
    bool taken = false;
    if (joiner_take(self) == 0) {
        taken = can_hold(self, view.len, before);
        if (taken) {
            held_input held = {(const uint8_t *)view.buf + before, (size_t)before,
                               (size_t)(view.len - before)};
            self->steps->hold(self->whole, &held, self->position);
            self->in_order = true;
            self->handed_over = false;
            self->position += held.size;
        }
        give_back(&self->busy);
    }
    PyBuffer_Release(&view);
    if (!taken)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *joiner_repaired(PyObject *object, void *unused) {
    joiner_object *self = (joiner_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    uint64_t bytes = self->steps->repaired(self->whole);
    give_back(&self->busy);
    return PyLong_FromUnsignedLongLong(bytes);
}

static PyMethodDef joiner_methods[] = {
    {"segment", (PyCFunction)(void (*)(void))joiner_segment, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("segment($self, data, before, size, position, last)\n--\n\n"
               "A part of the stream to run and join.")},
    {"join", joiner_join, METH_O,
     PyDoc_STR("join($self, segment, /)\n--\n\n"
               "Take the next segment: what it guessed is checked; if it has not run, it is parsed\n"
               "from where the stream stands. Return a Coding to settle, run and append.")},
    {"settle", joiner_settle, METH_O,
     PyDoc_STR("settle($self, coding, /)\n--\n\n"
               "Settle how the next coding is written, planning it if nobody has.")},
    {"append", joiner_append, METH_O,
     PyDoc_STR("append($self, coding, /)\n--\n\nTake the next coding that has run; return bytes.")},
    {"write", joiner_write, METH_O,
     PyDoc_STR("write($self, data, /)\n--\n\n"
               "Take input in order, as Encoder does; return the output that is complete. For encoders\n"
               "that cut the input into blocks.")},
    {"finish", joiner_finish, METH_NOARGS,
     PyDoc_STR("finish($self, /)\n--\n\nEnd a stream in order; return the rest of the output.")},
    {"hand_over", joiner_hand_over, METH_NOARGS,
     PyDoc_STR("hand_over($self, /)\n--\n\n"
               "Leave off working in order. Return the input that no output is complete of, behind what\n"
               "is before it, and the size of the latter: for segments to begin with.")},
    {"take_over", joiner_take_over, METH_VARARGS,
     PyDoc_STR("take_over($self, data, before, /)\n--\n\n"
               "Go on in order behind a stream all of which is appended.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef joiner_attributes[] = {
    {"repaired", joiner_repaired, NULL,
     PyDoc_STR("Bytes of input that were parsed again because a guess was wrong."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot joiner_slots[] = {
    {Py_tp_doc, PyDoc_STR("Joiner(generation, level)\n--\n\n"
                          "Makes one stream of segments; the bytes are those of Encoder.")},
    {Py_tp_new, joiner_new},
    {Py_tp_dealloc, joiner_dealloc},
    {Py_tp_methods, joiner_methods},
    {Py_tp_getset, joiner_attributes},
    {0, NULL},
};

static PyType_Spec joiner_spec = {
    .name = "convert._native._binding.Joiner",
    .basicsize = sizeof(joiner_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = joiner_slots,
};

/* ---- The module ---------------------------------------------------------------------------- */

static PyObject *segment_geometry(PyObject *module, PyObject *args) {
    encoder_profile profile;
    (void)module;
    if (!PyArg_ParseTuple(args, "ii:segment_geometry", &profile.generation, &profile.level) ||
        check_profile(profile.generation, profile.level) < 0)
        return NULL;
    const two_step_encoder *steps = find_two_step_encoder(profile);
    if (steps == NULL)
        Py_RETURN_NONE;
    two_step_geometry geometry = steps->geometry(profile);
    return Py_BuildValue("(nnnn)", (Py_ssize_t)geometry.unit, (Py_ssize_t)geometry.before,
                         (Py_ssize_t)geometry.after, (Py_ssize_t)geometry.history);
}

static PyMethodDef module_methods[] = {
    {"segment_geometry", segment_geometry, METH_VARARGS,
     PyDoc_STR("segment_geometry(generation, level, /)\n--\n\n"
               "(unit, before, after, history) in bytes of input, or None if the encoder works in\n"
               "order only: segments are multiples of unit, and need that much around them.")},
    {NULL, NULL, 0, NULL},
};

static int add_type(PyObject *module, PyType_Spec *spec, PyObject **type) {
    *type = PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)*type);
}

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    if (add_type(module, &encoder_spec, &state->encoder_type) < 0 ||
        add_type(module, &segment_spec, &state->segment_type) < 0 ||
        add_type(module, &coding_spec, &state->coding_type) < 0 ||
        add_type(module, &joiner_spec, &state->joiner_type) < 0 ||
        PyModule_AddIntConstant(module, "LEVEL_HUFFMAN", LEVEL_HUFFMAN) < 0 ||
        PyModule_AddIntConstant(module, "LEVEL_STORE", LEVEL_STORE) < 0)
        return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->encoder_type);
    Py_VISIT(state->segment_type);
    Py_VISIT(state->coding_type);
    Py_VISIT(state->joiner_type);
    return 0;
}

static int module_clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->encoder_type);
    Py_CLEAR(state->segment_type);
    Py_CLEAR(state->coding_type);
    Py_CLEAR(state->joiner_type);
    return 0;
}

static void module_free(void *module) {
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "convert._native._binding",
    .m_doc = PyDoc_STR("The encoders that make the bytes of Go's compress/flate."),
    .m_size = sizeof(module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__binding(void) {
    return PyModuleDef_Init(&module_definition);
}
