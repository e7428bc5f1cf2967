/*
 * The Python module convert._native._binding. The only file that includes Python.h.
 *
 * Built for the stable ABI of Python 3.11 and later. Calls that process data release the GIL. An
 * object is used by one call at a time; a second call while the first runs raises RuntimeError.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "encoder.h"
#include "parallel/pieces.h"

/*
 * Clear the upper halves of x86's vector registers; a few cycles.
 *
 * After AVX code that does not clear them at its end (such as the CRC-32 of ISA-L), every SSE
 * instruction of the thread waits for the previous value of its register: encoders lost 8 to 14 %
 * of their speed, on an Intel Sapphire Rapids.
 */
static inline void clear_upper_halves(void) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
#endif
}

/* Around code that processes data: other threads may run Python meanwhile. */
#define BEGIN_WORK Py_BEGIN_ALLOW_THREADS clear_upper_halves();
#define END_WORK Py_END_ALLOW_THREADS

typedef struct {
    PyObject *encoder_type;
    PyObject *segment_type;
    PyObject *batch_type;
    PyObject *parallel_type;
    PyObject *piece_type;
} module_state;

static struct PyModuleDef module_definition;

/* ---- Common to all objects ------------------------------------------------------------ */

#define OUTPUT_LOST "output of this stream was lost"

/* Set by the call that uses an object; no call waits for it. */
typedef atomic_flag busy_flag;

static int acquire(busy_flag *busy) {
    if (atomic_flag_test_and_set_explicit(busy, memory_order_acquire)) {
        PyErr_SetString(PyExc_RuntimeError, "the object is in use by another thread");
        return -1;
    }
    return 0;
}

static void release(busy_flag *busy) {
    atomic_flag_clear_explicit(busy, memory_order_release);
}

/* Free an object of a heap type and drop its reference to the type. */
static void free_object(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_memory = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_memory(self);
    Py_DECREF(type);
}

/* Reuses the memory of one parallel stream: its objects are few, large, of similar size and
 * short-lived. Used only with the GIL held. */
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

/* Return at least *size bytes and set *size to their number; or NULL with an exception. */
static void *pool_take(memory_pool *pool, size_t *size) {
    size_t best = POOL_SPARES;
    for (size_t i = 0; i < POOL_SPARES; i++) {
        if (pool->spare[i].memory != NULL && pool->spare[i].size >= *size &&
            (best == POOL_SPARES || pool->spare[i].size < pool->spare[best].size))
            best = i;
    }
    /* Not if it is far too large: a small segment does not need a large one's memory. */
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

/* Output is copied from a buffer, because the limited API cannot shrink a bytes object. */
static PyObject *bytes_of(const uint8_t *buffer, size_t size) {
    return PyBytes_FromStringAndSize((const char *)buffer, (Py_ssize_t)size);
}

/* The profile that has an encoder; or -1 with an exception. */
static int check_profile(int family, int level, encoder_profile *profile) {
    *profile = (encoder_profile){(enum family)family, level};
    if (registry_serial(*profile) != NULL)
        return 0;
    PyErr_Format(PyExc_ValueError, "no encoder of family %d, level %d", family, level);
    return -1;
}

/* ---- Encoder: a stream written in order -------------------------------------------------- */

typedef struct {
    PyObject_HEAD busy_flag busy;
    bool finished;
    bool lost; /* output could not be returned: no more may follow */
    const serial_encoder *serial;
    bit_tail tail;
    void *state;
} encoder_object;

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"family", "level", NULL};
    int family, level;
    encoder_profile profile;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:Encoder", names, &family, &level) ||
        check_profile(family, level, &profile) < 0)
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    encoder_object *self = (encoder_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->serial = registry_serial(profile);
    self->state = malloc(self->serial->state_size(profile));
    if (self->state == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->serial->init(self->state, profile);
    return (PyObject *)self;
}

static void encoder_dealloc(PyObject *object) {
    free(((encoder_object *)object)->state);
    free_object(object);
}

/* The output of write(n), or of finish() if data is NULL. Called with the flag set. */
static PyObject *encoder_step(encoder_object *self, const uint8_t *data, size_t n) {
    uint8_t *out = malloc(self->serial->bound(self->state, n));
    if (out == NULL)
        return PyErr_NoMemory();
    size_t size;
    BEGIN_WORK
    size = data == NULL ? self->serial->finish(self->state, &self->tail, out)
                        : self->serial->write(self->state, data, n, &self->tail, out);
    END_WORK
    PyObject *bytes = bytes_of(out, size);
    free(out);
    self->lost = bytes == NULL;
    return bytes;
}

/* Whether the stream may continue; if not, with an exception: finished, or output is lost. */
static bool encoder_continues(const encoder_object *self, const char *finished) {
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
    if (acquire(&self->busy) == 0) {
        if (encoder_continues(self, "write() after finish()"))
            result = view.len == 0 ? PyBytes_FromStringAndSize(NULL, 0)
                                   : encoder_step(self, view.buf, (size_t)view.len);
        release(&self->busy);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *encoder_finish(PyObject *object, PyObject *unused) {
    encoder_object *self = (encoder_object *)object;
    (void)unused;
    if (acquire(&self->busy) < 0)
        return NULL;
    PyObject *result = NULL;
    if (encoder_continues(self, "finish() called twice")) {
        self->finished = true;
        result = encoder_step(self, NULL, 0);
    }
    release(&self->busy);
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
    {Py_tp_doc, PyDoc_STR("Encoder(family, level)\n--\n\nA raw DEFLATE stream, written in order.")},
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

/* ---- Segment: a part of a stream, which may be parsed from a guess ----------------------- */

typedef struct {
    PyObject_HEAD busy_flag busy;
    bool guessable; /* there is enough input before it to guess its state */
    bool has_run;
    bool joined;
    Py_buffer view; /* the input, kept as long as it may be read */
    segment_input input;
    encoder_profile profile;
    const parallel_encoder *parallel;
    void *segment;     /* NULL unless it is running or has run */
    memory_pool *pool; /* also identifies the stream */
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

/* Return the memory to the pool. */
static void segment_free_memory(segment_object *self) {
    pool_give(self->pool, self->memory, self->memory_size);
    self->memory = NULL;
    self->segment = NULL;
}

static int segment_prepare(segment_object *self, const void *previous) {
    if (!self->guessable && previous == NULL) {
        PyErr_SetString(PyExc_ValueError, "too little input before the segment to guess its state");
        return -1;
    }
    self->memory_size = self->parallel->segment_size(self->profile, self->input.size);
    self->memory = pool_take(self->pool, &self->memory_size);
    if (self->memory == NULL)
        return -1;
    self->segment = self->parallel->segment_init(self->memory, self->profile, &self->input);
    return 0;
}

/* The encoder's segment in front of this one, NULL if `object` is None or its memory was freed; or
 * -1 with an exception. What is read of it is not written any more. */
static int previous_segment(const segment_object *self, PyObject *object, const void **segment) {
    *segment = NULL;
    if (object == Py_None)
        return 0;
    const segment_object *previous = (const segment_object *)object;
    if (!Py_IS_TYPE(object, Py_TYPE((PyObject *)self))) {
        PyErr_SetString(PyExc_TypeError, "expected a Segment");
        return -1;
    }
    if (previous->pool != self->pool || !previous->has_run ||
        previous->input.position + previous->input.size != self->input.position) {
        PyErr_SetString(PyExc_ValueError, "not the segment before, or it has not run");
        return -1;
    }
    if (self->parallel->batches_use_segments)
        *segment = previous->segment;
    return 0;
}

static PyObject *segment_run(PyObject *object, PyObject *args) {
    segment_object *self = (segment_object *)object;
    PyObject *before = Py_None;
    const void *previous;
    if (!PyArg_ParseTuple(args, "|O:run", &before) ||
        previous_segment(self, before, &previous) < 0 || acquire(&self->busy) < 0)
        return NULL;
    bool failed = false;
    if (!self->has_run && !self->joined && !(failed = segment_prepare(self, previous) < 0)) {
        BEGIN_WORK
        self->parallel->segment_run(self->segment, previous);
        END_WORK
        self->has_run = true;
    }
    release(&self->busy);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef segment_methods[] = {
    {"run", segment_run, METH_VARARGS,
     PyDoc_STR("run($self, previous=None, /)\n--\n\n"
               "Parse, on any thread: from where `previous` ended, if it is given.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot segment_slots[] = {
    {Py_tp_doc, PyDoc_STR("A part of a stream, to be parsed independently of the rest.")},
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

/* ---- Batch: the blocks that a joined segment completes ----------------------------------- */

typedef struct {
    PyObject_HEAD busy_flag busy;
    bool planned;
    bool decided;
    bool has_run;
    PyObject *segment;         /* keeps the input, and perhaps the tokens */
    unsigned long long number; /* in its stream */
    bool last;                 /* the stream ends with it */
    bit_span bits;             /* once it has run */
    const parallel_encoder *parallel;
    memory_pool *pool; /* also identifies the stream */
    void *memory;
    size_t memory_size;
} batch_object;

static void batch_dealloc(PyObject *object) {
    batch_object *self = (batch_object *)object;
    if (self->pool != NULL)
        pool_give(self->pool, self->memory, self->memory_size);
    pool_leave(self->pool);
    Py_XDECREF(self->segment);
    free_object(object);
}

static PyObject *batch_plan(PyObject *object, PyObject *unused) {
    batch_object *self = (batch_object *)object;
    (void)unused;
    if (acquire(&self->busy) < 0)
        return NULL;
    if (!self->planned) {
        BEGIN_WORK
        self->parallel->batch_plan(self->memory);
        END_WORK
        self->planned = true;
    }
    release(&self->busy);
    Py_RETURN_NONE;
}

static PyObject *batch_run(PyObject *object, PyObject *unused) {
    batch_object *self = (batch_object *)object;
    (void)unused;
    if (acquire(&self->busy) < 0)
        return NULL;
    if (!self->decided) {
        PyErr_SetString(PyExc_ValueError, "the batch is not decided yet");
        release(&self->busy);
        return NULL;
    }
    if (!self->has_run) {
        BEGIN_WORK
        self->parallel->batch_run(self->memory);
        END_WORK
        self->bits = ((const batch_output *)self->memory)->bits;
        self->has_run = true;
    }
    release(&self->busy);
    Py_RETURN_NONE;
}

static PyObject *batch_planned(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((batch_object *)object)->planned);
}

static PyMethodDef batch_methods[] = {
    {"plan", batch_plan, METH_NOARGS,
     PyDoc_STR("plan($self, /)\n--\n\nDo the work that needs no other batch, on any thread.")},
    {"run", batch_run, METH_NOARGS,
     PyDoc_STR("run($self, /)\n--\n\nWrite the bits, on any thread.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef batch_attributes[] = {
    {"planned", batch_planned, NULL, PyDoc_STR("Whether nothing is left to plan."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot batch_slots[] = {
    {Py_tp_doc, PyDoc_STR("Blocks of a stream whose tokens are known.")},
    {Py_tp_dealloc, batch_dealloc},
    {Py_tp_methods, batch_methods},
    {Py_tp_getset, batch_attributes},
    {0, NULL},
};

static PyType_Spec batch_spec = {
    .name = "convert._native._binding.Batch",
    .basicsize = sizeof(batch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = batch_slots,
};

/* ---- ParallelEncoder: a stream made of segments ------------------------------------------ */

typedef struct {
    PyObject_HEAD busy_flag busy;
    encoder_profile profile;
    bool in_order;               /* written to, and not handed over since */
    bool handed_over;            /* and not taken over since */
    unsigned long long position; /* of the next segment or write() */
    unsigned long long joined;   /* batches made */
    unsigned long long decided;  /* batches decided */
    unsigned long long appended; /* batches appended */
    bool finished;
    bool lost;                   /* output could not be returned: no more may follow */
    unsigned long long segments; /* made */
    PyObject *last;              /* the segment joined last, which the encoder may read */
    bit_tail tail;               /* of the stream */
    const parallel_encoder *parallel;
    const serial_encoder *serial;
    void *stream;
    memory_pool *pool; /* for segments and batches */
    void *memory;
    uint8_t *out; /* output, before its size is known */
    size_t out_size;
} parallel_object;

static PyObject *parallel_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"family", "level", NULL};
    int family, level;
    encoder_profile profile;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:ParallelEncoder", names, &family,
                                     &level) ||
        check_profile(family, level, &profile) < 0)
        return NULL;
    const parallel_encoder *parallel = registry_parallel(profile);
    if (parallel == NULL) {
        PyErr_SetString(PyExc_ValueError, "this encoder is not parallel");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    parallel_object *self = (parallel_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->profile = profile;
    self->parallel = parallel;
    self->serial = registry_serial(profile);
    self->memory = malloc(parallel->stream_size(profile));
    self->pool = pool_new();
    if (self->memory == NULL || self->pool == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->stream = parallel->stream_init(self->memory, profile);
    return (PyObject *)self;
}

static void parallel_dealloc(PyObject *object) {
    parallel_object *self = (parallel_object *)object;
    free(self->memory);
    free(self->out);
    Py_XDECREF(self->last);
    pool_leave(self->pool);
    free_object(object);
}

/* Acquire the stream, unless output is lost; or -1 with an exception. */
static int parallel_take(parallel_object *self) {
    if (acquire(&self->busy) < 0)
        return -1;
    if (!self->lost)
        return 0;
    release(&self->busy);
    PyErr_SetString(PyExc_ValueError, OUTPUT_LOST);
    return -1;
}

/* Return the output as bytes; without memory for them it is lost. */
static PyObject *parallel_output(parallel_object *self, const uint8_t *out, size_t size) {
    PyObject *bytes = bytes_of(out, size);
    self->lost = bytes == NULL;
    return bytes;
}

/* A buffer for this much output, valid until the next call; or NULL with an exception. */
static uint8_t *output_buffer(parallel_object *self, size_t size) {
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

/* What is required around a position: no more earlier input than the stream has. */
static parallel_geometry geometry_at(const parallel_object *self, unsigned long long position) {
    parallel_geometry wanted = self->parallel->geometry(self->profile);
    if (position < wanted.history)
        wanted.history = (size_t)position;
    if (position < wanted.before)
        wanted.before = (size_t)position;
    return wanted;
}

static PyObject *parallel_segment(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"data", "before", "size", "position", "last", NULL};
    parallel_object *self = (parallel_object *)object;
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

    parallel_geometry wanted = geometry_at(self, position);
    segment->guessable = before >= 0 && (size_t)before >= wanted.before;
    Py_ssize_t length = segment->view.len;
    if (position > INT64_MAX || before < 0 || size < 0 || before > length ||
        size > length - before || (size_t)before < wanted.history ||
        (unsigned long long)before > position) {
        PyErr_SetString(PyExc_ValueError,
                        "the data do not contain the segment and the input before it");
        goto failed;
    }
    if (position % wanted.unit != 0 ||
        (last == 0 && (size == 0 || (size_t)size % wanted.unit != 0))) {
        PyErr_SetString(PyExc_ValueError, "the segment is not a whole number of units");
        goto failed;
    }
    size_t after = (size_t)(length - before - size);
    if (last != 0 ? after != 0 : after < wanted.after) {
        PyErr_SetString(PyExc_ValueError, "the data do not contain the input behind the segment");
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
    segment->parallel = self->parallel;
    return (PyObject *)segment;

failed:
    Py_DECREF(segment);
    return NULL;
}

/* The segment, acquired, if it is the next one; else NULL with an exception. Borrowed. */
static segment_object *next_segment(parallel_object *self, PyObject *object) {
    module_state *state = state_of((PyObject *)self);
    if (state == NULL)
        return NULL;
    if (!Py_IS_TYPE(object, (PyTypeObject *)state->segment_type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Segment");
        return NULL;
    }
    segment_object *segment = (segment_object *)object;
    if (acquire(&segment->busy) < 0)
        return NULL;
    if (segment->pool == self->pool && segment->input.position == self->position &&
        !segment->joined && !self->finished && !self->in_order)
        return segment;
    release(&segment->busy);
    PyErr_SetString(PyExc_ValueError, "not the next segment of this stream");
    return NULL;
}

/* The batch that the segment completes. */
static PyObject *join_to_batch(parallel_object *self, segment_object *segment) {
    PyTypeObject *type = (PyTypeObject *)state_of((PyObject *)self)->batch_type;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    batch_object *batch = (batch_object *)allocate(type, 0);
    if (batch == NULL)
        return NULL;
    atomic_flag_clear(&batch->busy);
    batch->segment = Py_NewRef((PyObject *)segment);
    batch->last = segment->input.last;
    batch->parallel = self->parallel;
    batch->pool = pool_share(self->pool);
    batch->memory_size = self->parallel->batch_size(self->profile, segment->input.size);
    batch->memory = pool_take(self->pool, &batch->memory_size);
    if (batch->memory == NULL) {
        Py_DECREF(batch);
        return NULL;
    }
    BEGIN_WORK
    batch->planned =
        !self->parallel->join(self->stream, &segment->input, segment->segment, batch->memory);
    END_WORK
    batch->number = self->joined++;
    return (PyObject *)batch;
}

/* Keep the segment joined last, or nothing, and let the one before go. */
static void keep_last(parallel_object *self, PyObject *segment) {
    PyObject *before = self->last;
    self->last = Py_XNewRef(segment);
    Py_XDECREF(before);
}

static PyObject *parallel_join(PyObject *object, PyObject *argument) {
    parallel_object *self = (parallel_object *)object;
    if (parallel_take(self) < 0)
        return NULL;
    PyObject *batch = NULL;
    segment_object *segment = next_segment(self, argument);
    if (segment != NULL) {
        batch = join_to_batch(self, segment);
        if (batch != NULL) {
            segment->joined = true;
            self->position += segment->input.size;
            self->finished = segment->input.last;
            if (self->parallel->batches_use_segments)
                keep_last(self, argument);
            else
                segment_free_memory(segment);
        }
        release(&segment->busy);
    }
    release(&self->busy);
    return batch;
}

/* The bytes that the batch completes. */
static PyObject *append_bits(parallel_object *self, const batch_object *batch) {
    size_t size = deflate_append_size(&self->tail, &batch->bits);
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (result == NULL)
        return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(result);
    BEGIN_WORK
    deflate_append_span(&self->tail, &batch->bits, out);
    END_WORK
    return result;
}

/* The same, followed by the end of the stream. */
static PyObject *append_last(parallel_object *self, const batch_object *batch) {
    size_t size = deflate_append_size(&self->tail, &batch->bits);
    uint8_t *out = output_buffer(self, size + STREAM_END_BOUND);
    if (out == NULL)
        return NULL;
    BEGIN_WORK
    deflate_append_span(&self->tail, &batch->bits, out);
    bit_writer w = bits_from_tail(&self->tail, out + size);
    self->parallel->end(self->stream, &w);
    size += bits_to_tail(&w, &self->tail);
    END_WORK
    return parallel_output(self, out, size);
}

/* The batch, acquired, if it is number `wanted` of this stream; else NULL with an exception.
 * Borrowed. */
static batch_object *next_batch(parallel_object *self, PyObject *object,
                                unsigned long long wanted) {
    module_state *state = state_of((PyObject *)self);
    if (state == NULL)
        return NULL;
    if (!Py_IS_TYPE(object, (PyTypeObject *)state->batch_type)) {
        PyErr_SetString(PyExc_TypeError, "expected a Batch");
        return NULL;
    }
    batch_object *batch = (batch_object *)object;
    if (acquire(&batch->busy) < 0)
        return NULL;
    if (batch->pool == self->pool && batch->number == wanted)
        return batch;
    release(&batch->busy);
    PyErr_SetString(PyExc_ValueError, "not the next batch of this stream");
    return NULL;
}

static PyObject *parallel_decide(PyObject *object, PyObject *argument) {
    parallel_object *self = (parallel_object *)object;
    if (parallel_take(self) < 0)
        return NULL;
    batch_object *batch = next_batch(self, argument, self->decided);
    if (batch != NULL) {
        if (self->parallel->decide != NULL) {
            BEGIN_WORK
            self->parallel->decide(self->stream, batch->memory);
            END_WORK
        }
        batch->planned = batch->decided = true;
        self->decided++;
        release(&batch->busy);
    }
    release(&self->busy);
    if (batch == NULL)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *parallel_append(PyObject *object, PyObject *argument) {
    parallel_object *self = (parallel_object *)object;
    if (parallel_take(self) < 0)
        return NULL;
    PyObject *result = NULL;
    batch_object *batch = next_batch(self, argument, self->appended);
    if (batch != NULL) {
        if (!batch->has_run)
            PyErr_SetString(PyExc_ValueError, "the batch has not run");
        else
            result = batch->last ? append_last(self, batch) : append_bits(self, batch);
        if (result != NULL)
            self->appended++;
        release(&batch->busy);
    }
    release(&self->busy);
    return result;
}

/* Whether the stream can be written in order from here; if not, with an exception. */
static bool can_write(const parallel_object *self) {
    if (self->parallel->serial_state == NULL)
        PyErr_SetString(PyExc_ValueError, "this encoder does not cut its input");
    else if (self->finished)
        PyErr_SetString(PyExc_ValueError, "the stream is finished");
    else if (!self->in_order && (self->position != 0 || self->handed_over))
        PyErr_SetString(PyExc_ValueError, "take_over() must be called before");
    else
        return true;
    return false;
}

/* The output of write(n), or of finish() if data is NULL. */
static PyObject *write_to_bytes(parallel_object *self, const uint8_t *data, size_t n) {
    const serial_encoder *serial = self->serial;
    void *state = self->parallel->serial_state(self->stream);
    uint8_t *out = output_buffer(self, serial->bound(state, n));
    if (out == NULL)
        return NULL;
    size_t size;
    BEGIN_WORK
    size = data == NULL ? serial->finish(state, &self->tail, out)
                        : serial->write(state, data, n, &self->tail, out);
    END_WORK
    self->in_order = true;
    self->finished = data == NULL;
    self->position += n;
    keep_last(self, NULL);
    return parallel_output(self, out, size);
}

static PyObject *parallel_write(PyObject *object, PyObject *data) {
    parallel_object *self = (parallel_object *)object;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = NULL;
    if (parallel_take(self) == 0) {
        if (can_write(self))
            result = view.len == 0 ? bytes_of(NULL, 0)
                                   : write_to_bytes(self, view.buf, (size_t)view.len);
        release(&self->busy);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *parallel_finish(PyObject *object, PyObject *unused) {
    parallel_object *self = (parallel_object *)object;
    (void)unused;
    if (parallel_take(self) < 0)
        return NULL;
    PyObject *result = can_write(self) ? write_to_bytes(self, NULL, 0) : NULL;
    release(&self->busy);
    return result;
}

static PyObject *parallel_hand_over(PyObject *object, PyObject *unused) {
    parallel_object *self = (parallel_object *)object;
    (void)unused;
    if (parallel_take(self) < 0)
        return NULL;
    PyObject *result = NULL;
    if (!self->in_order || self->finished) {
        PyErr_SetString(PyExc_ValueError, "the stream is not written in order");
    } else {
        void *state = self->parallel->serial_state(self->stream);
        unwritten_input input = self->serial->unwritten(state);
        result = Py_BuildValue("(y#n)", (const char *)input.data - input.before,
                               (Py_ssize_t)(input.before + input.size), (Py_ssize_t)input.before);
        if (result != NULL) {
            self->in_order = false;
            self->handed_over = true;
            self->position -= input.size;
        }
    }
    release(&self->busy);
    return result;
}

/* Whether take_over() can be called with such data; if not, with an exception. */
static bool can_take_over(const parallel_object *self, Py_ssize_t length, Py_ssize_t before) {
    if (self->parallel->serial_state == NULL) {
        PyErr_SetString(PyExc_ValueError, "this encoder does not cut its input");
        return false;
    }
    const char *reason = self->in_order                   ? "the stream is already written in order"
                         : self->finished                 ? "the stream is finished"
                         : self->joined != self->appended ? "batches remain to be appended"
                                                          : NULL;
    if (reason != NULL) {
        PyErr_SetString(PyExc_ValueError, reason);
        return false;
    }
    parallel_geometry wanted = geometry_at(self, self->position);
    /* At least one byte, because a block is written differently if nothing follows. */
    if (before < (Py_ssize_t)wanted.history || before >= length ||
        (size_t)(length - before) > wanted.unit) {
        PyErr_SetString(PyExc_ValueError,
                        "the data are not the input before and up to a unit of what follows");
        return false;
    }
    return true;
}

static PyObject *parallel_take_over(PyObject *object, PyObject *args) {
    parallel_object *self = (parallel_object *)object;
    Py_buffer view;
    Py_ssize_t before;
    if (!PyArg_ParseTuple(args, "y*n:take_over", &view, &before))
        return NULL;
    bool taken = false;
    if (parallel_take(self) == 0) {
        taken = can_take_over(self, view.len, before);
        if (taken) {
            unwritten_input input = {(const uint8_t *)view.buf + before, (size_t)before,
                                     (size_t)(view.len - before)};
            self->serial->resume(self->parallel->serial_state(self->stream), &input,
                                 self->position);
            self->in_order = true;
            self->handed_over = false;
            self->position += input.size;
        }
        release(&self->busy);
    }
    PyBuffer_Release(&view);
    if (!taken)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *parallel_repaired(PyObject *object, void *unused) {
    parallel_object *self = (parallel_object *)object;
    (void)unused;
    if (acquire(&self->busy) < 0)
        return NULL;
    uint64_t bytes = self->parallel->repaired(self->stream);
    release(&self->busy);
    return PyLong_FromUnsignedLongLong(bytes);
}

static PyMethodDef parallel_methods[] = {
    {"segment", (PyCFunction)(void (*)(void))parallel_segment, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("segment($self, data, before, size, position, last)\n--\n\n"
               "Make a part of the stream, to be run and joined.")},
    {"join", parallel_join, METH_O,
     PyDoc_STR(
         "join($self, segment, /)\n--\n\n"
         "Take the next segment: its guess is checked; if it has not run, it is parsed here.\n"
         "Return a Batch to decide, run and append.")},
    {"decide", parallel_decide, METH_O,
     PyDoc_STR("decide($self, batch, /)\n--\n\n"
               "Decide how the next batch is written, and plan it if it is not planned.")},
    {"append", parallel_append, METH_O,
     PyDoc_STR(
         "append($self, batch, /)\n--\n\nAppend the next batch, which has run; return bytes.")},
    {"write", parallel_write, METH_O,
     PyDoc_STR(
         "write($self, data, /)\n--\n\n"
         "Take input in order, as Encoder does; return the output that is complete. Only for\n"
         "encoders that cut the input into blocks.")},
    {"finish", parallel_finish, METH_NOARGS,
     PyDoc_STR("finish($self, /)\n--\n\nEnd a stream in order; return the rest of the output.")},
    {"hand_over", parallel_hand_over, METH_NOARGS,
     PyDoc_STR(
         "hand_over($self, /)\n--\n\n"
         "Stop writing in order. Return the unwritten input, with the input before it in front,\n"
         "and the size of the latter: segments begin with it.")},
    {"take_over", parallel_take_over, METH_VARARGS,
     PyDoc_STR("take_over($self, data, before, /)\n--\n\n"
               "Continue in order, after every batch was appended.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef parallel_attributes[] = {
    {"repaired", parallel_repaired, NULL,
     PyDoc_STR("Bytes of input that were parsed again because a guess was wrong."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot parallel_slots[] = {
    {Py_tp_doc, PyDoc_STR("ParallelEncoder(family, level)\n--\n\n"
                          "A raw DEFLATE stream made of segments, with the bytes of Encoder.")},
    {Py_tp_new, parallel_new},
    {Py_tp_dealloc, parallel_dealloc},
    {Py_tp_methods, parallel_methods},
    {Py_tp_getset, parallel_attributes},
    {0, NULL},
};

static PyType_Spec parallel_spec = {
    .name = "convert._native._binding.ParallelEncoder",
    .basicsize = sizeof(parallel_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = parallel_slots,
};

/* ---- PieceEncoder: pieces of a stream, each on its own ------------------------------------- */

typedef struct {
    PyObject_HEAD busy_flag busy;
    encoder_profile profile;
    const piece_encoder *pieces;
    void *state;
    uint8_t *out;
    size_t out_size;
} piece_object;

static PyObject *piece_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"family", "level", NULL};
    int family, level;
    encoder_profile profile;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:PieceEncoder", names, &family, &level) ||
        check_profile(family, level, &profile) < 0)
        return NULL;
    if (registry_pieces(profile) == NULL) {
        PyErr_SetString(PyExc_ValueError, "this encoder does not write pieces");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    piece_object *self = (piece_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->profile = profile;
    self->pieces = registry_pieces(profile);
    self->state = malloc(self->pieces->state_size(profile));
    if (self->state == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void piece_dealloc(PyObject *object) {
    free(((piece_object *)object)->state);
    free(((piece_object *)object)->out);
    free_object(object);
}

/* The pieces that the arguments describe; or -1 with an exception. */
static int pieces_in(const piece_object *self, const Py_buffer *view, Py_ssize_t before,
                     Py_ssize_t size, bool last, piece_input *input) {
    piece_geometry geometry = self->pieces->geometry(self->profile);
    if (before < 0 || size < 0 || before > view->len || size > view->len - before ||
        (size_t)before > geometry.before) {
        PyErr_SetString(PyExc_ValueError,
                        "the data do not contain the pieces and the input before them");
        return -1;
    }
    if (!last && (size_t)size % geometry.size != 0) {
        PyErr_SetString(PyExc_ValueError, "only the last piece may have another size");
        return -1;
    }
    *input = (piece_input){(const uint8_t *)view->buf + before, (size_t)before, (size_t)size, last};
    return 0;
}

/* The output of pieces. Called with the flag set. */
static PyObject *piece_output(piece_object *self, const piece_input *input) {
    size_t bound = parallel_pieces_bound(self->profile, input->size, input->last);
    if (self->out_size < bound) {
        free(self->out);
        self->out = malloc(bound);
        self->out_size = self->out != NULL ? bound : 0;
        if (self->out == NULL)
            return PyErr_NoMemory();
    }
    size_t size;
    BEGIN_WORK
    size = parallel_encode_pieces(self->state, self->profile, input, self->out);
    END_WORK
    return bytes_of(self->out, size);
}

static PyObject *piece_encode(PyObject *object, PyObject *args, PyObject *keywords) {
    static char *names[] = {"data", "before", "size", "last", NULL};
    piece_object *self = (piece_object *)object;
    Py_buffer view;
    Py_ssize_t before, size;
    int last;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*nnp:encode", names, &view, &before, &size,
                                     &last))
        return NULL;
    PyObject *result = NULL;
    piece_input input;
    if (pieces_in(self, &view, before, size, last != 0, &input) == 0 && acquire(&self->busy) == 0) {
        result = piece_output(self, &input);
        release(&self->busy);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyMethodDef piece_methods[] = {
    {"encode", (PyCFunction)(void (*)(void))piece_encode, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("encode($self, data, before, size, last)\n--\n\n"
               "Return the bytes of one or several pieces.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot piece_slots[] = {
    {Py_tp_doc,
     PyDoc_STR("PieceEncoder(family, level)\n--\n\n"
               "Encodes pieces of a stream, each on its own, with the bytes of Encoder.")},
    {Py_tp_new, piece_new},
    {Py_tp_dealloc, piece_dealloc},
    {Py_tp_methods, piece_methods},
    {0, NULL},
};

static PyType_Spec piece_spec = {
    .name = "convert._native._binding.PieceEncoder",
    .basicsize = sizeof(piece_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = piece_slots,
};

/* ---- The module ---------------------------------------------------------------------------- */

static PyObject *segment_geometry(PyObject *module, PyObject *args) {
    int family, level;
    encoder_profile profile;
    (void)module;
    if (!PyArg_ParseTuple(args, "ii:segment_geometry", &family, &level) ||
        check_profile(family, level, &profile) < 0)
        return NULL;
    const parallel_encoder *parallel = registry_parallel(profile);
    if (parallel == NULL)
        Py_RETURN_NONE;
    parallel_geometry geometry = parallel->geometry(profile);
    return Py_BuildValue("(nnnn)", (Py_ssize_t)geometry.unit, (Py_ssize_t)geometry.before,
                         (Py_ssize_t)geometry.after, (Py_ssize_t)geometry.history);
}

static PyObject *piece_geometry_of(PyObject *module, PyObject *args) {
    int family, level;
    encoder_profile profile;
    (void)module;
    if (!PyArg_ParseTuple(args, "ii:piece_geometry", &family, &level) ||
        check_profile(family, level, &profile) < 0)
        return NULL;
    const piece_encoder *pieces = registry_pieces(profile);
    if (pieces == NULL)
        Py_RETURN_NONE;
    piece_geometry geometry = pieces->geometry(profile);
    return Py_BuildValue("(nnO)", (Py_ssize_t)geometry.size, (Py_ssize_t)geometry.before,
                         geometry.empty_last ? Py_True : Py_False);
}

static PyMethodDef module_methods[] = {
    {"segment_geometry", segment_geometry, METH_VARARGS,
     PyDoc_STR(
         "segment_geometry(family, level, /)\n--\n\n"
         "Return (unit, before, after, history) in bytes, or None if the encoder is not parallel:\n"
         "segments are multiples of unit and need that much input around them.")},
    {"piece_geometry", piece_geometry_of, METH_VARARGS,
     PyDoc_STR("piece_geometry(family, level, /)\n--\n\n"
               "Return (size, before, empty_last), or None if the encoder does not write pieces.")},
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
        add_type(module, &batch_spec, &state->batch_type) < 0 ||
        add_type(module, &parallel_spec, &state->parallel_type) < 0 ||
        add_type(module, &piece_spec, &state->piece_type) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_GNU_GZIP", FAMILY_GNU_GZIP) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_GNU_RSYNCABLE", FAMILY_GNU_RSYNCABLE) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_ZLIB", FAMILY_ZLIB) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PIGZ", FAMILY_PIGZ) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_BUSYBOX", FAMILY_BUSYBOX) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_GO16", FAMILY_GO16) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_GO126", FAMILY_GO126) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_GO127", FAMILY_GO127) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_18_2", FAMILY_PGZIP_1_18_2) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_15_10", FAMILY_PGZIP_1_15_10) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_15_0", FAMILY_PGZIP_1_15_0) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_14_0", FAMILY_PGZIP_1_14_0) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_12_3", FAMILY_PGZIP_1_12_3) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_12_2", FAMILY_PGZIP_1_12_2) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_11_13", FAMILY_PGZIP_1_11_13) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_10_2", FAMILY_PGZIP_1_10_2) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_10_2_256K", FAMILY_PGZIP_1_10_2_256K) < 0 ||
        PyModule_AddIntConstant(module, "FAMILY_PGZIP_1_9_8_256K", FAMILY_PGZIP_1_9_8_256K) < 0 ||
        PyModule_AddIntConstant(module, "LEVEL_HUFFMAN", LEVEL_HUFFMAN) < 0 ||
        PyModule_AddIntConstant(module, "LEVEL_STORE", LEVEL_STORE) < 0)
        return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->encoder_type);
    Py_VISIT(state->segment_type);
    Py_VISIT(state->batch_type);
    Py_VISIT(state->parallel_type);
    Py_VISIT(state->piece_type);
    return 0;
}

static int module_clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->encoder_type);
    Py_CLEAR(state->segment_type);
    Py_CLEAR(state->batch_type);
    Py_CLEAR(state->parallel_type);
    Py_CLEAR(state->piece_type);
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
    .m_doc = PyDoc_STR(
        "Encoders with the bytes of Go's compress/flate, pgzip, pigz, GNU gzip, busybox and zlib."),
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
