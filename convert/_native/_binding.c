/*
 * The Python face of the core: convert._native._binding. The only file that knows Python.
 *
 * Built for the stable ABI of Python 3.11 on. Each call that works on data releases the
 * GIL; each object is used by one call at a time, and a second one while the first runs
 * raises RuntimeError instead of corrupting it. Memory is taken when an object is made.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "block_segment.h"
#include "block_stream.h"
#include "encoder.h"
#include "go126_chain_segment.h"

typedef struct {
    PyObject *encoder_type;
    PyObject *segment_type;
    PyObject *coding_type;
    PyObject *joiner_type;
} module_state;

static struct PyModuleDef module_definition;

/* ---- What all objects share ------------------------------------------------------------ */

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

/* Room for output. The limited API cannot shrink a bytes object, so output is made here and
 * copied: the copy is small beside making it. */
static uint8_t *new_room(size_t bound) {
    uint8_t *room = malloc(bound);
    if (room == NULL)
        PyErr_NoMemory();
    return room;
}

static PyObject *bytes_of(uint8_t *room, size_t size) {
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)room, (Py_ssize_t)size);
    free(room);
    return bytes;
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
    const token_encoder *tokens; /* one of the two ways, the other NULL */
    block_stream *blocks;
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
    uint8_t *out = new_room(bound);
    if (out == NULL)
        return NULL;
    size_t size;
    Py_BEGIN_ALLOW_THREADS
    if (data == NULL)
        size = self->blocks != NULL ? block_stream_finish(self->blocks, out)
                                    : self->tokens->finish(self->memory, out);
    else
        size = self->blocks != NULL ? block_stream_write(self->blocks, data, n, out)
                                    : self->tokens->write(self->memory, data, n, out);
    Py_END_ALLOW_THREADS
    return bytes_of(out, size);
}

static PyObject *encoder_write(PyObject *object, PyObject *data) {
    encoder_object *self = (encoder_object *)object;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = NULL;
    if (take(&self->busy) == 0) {
        if (self->finished)
            PyErr_SetString(PyExc_ValueError, "write() after finish()");
        else if (view.len == 0)
            result = PyBytes_FromStringAndSize(NULL, 0);
        else
            result = encoder_step(self, view.buf, (size_t)view.len);
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
    if (self->finished) {
        PyErr_SetString(PyExc_ValueError, "finish() called twice");
    } else {
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

/* ---- Segment: a part of a stream, coded from a guess ------------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    bool has_run;
    int generation;
    int level;
    Py_buffer view; /* the input, held for as long as anyone may look at it */
    block_segment *blocks;
    chain_segment *chain;
    void *memory;
} segment_object;

static PyObject *segment_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"generation", "level", "data", "before", "size",
                            "position", "last", NULL};
    int generation, level, last;
    PyObject *data;
    Py_ssize_t before, size;
    unsigned long long position;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iiOnnKp:Segment", names, &generation,
                                     &level, &data, &before, &size, &position, &last))
        return NULL;
    const block_encoder *blocks = find_block_encoder(generation, level);
    if (blocks == NULL && (generation != 126 || check_profile(generation, level) < 0)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "this encoder works in order only");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    segment_object *self = (segment_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->generation = generation;
    self->level = level;
    if (PyObject_GetBuffer(data, &self->view, PyBUF_SIMPLE) < 0)
        goto failed;

    size_t wanted = blocks != NULL ? block_segment_before(blocks) : chain_segment_before();
    if (position < wanted)
        wanted = (size_t)position;
    if (before < 0 || size < 0 || before > self->view.len || size > self->view.len - before ||
        (size_t)before < wanted || (unsigned long long)before > position) {
        PyErr_SetString(PyExc_ValueError, "the data do not hold the segment and what is before");
        goto failed;
    }
    size_t after = (size_t)(self->view.len - before - size);
    segment_input input = {(const uint8_t *)self->view.buf + before, (size_t)before,
                           (size_t)size, position, last != 0};
    if (blocks != NULL) {
        if (position % blocks->block_size != 0 ||
            (last == 0 && (size == 0 || (size_t)size % blocks->block_size != 0))) {
            PyErr_SetString(PyExc_ValueError, "a segment must be whole blocks");
            goto failed;
        }
        self->memory = malloc(block_segment_memory(blocks, (size_t)size));
        if (self->memory != NULL)
            self->blocks = block_segment_init(self->memory, blocks, level, &input);
    } else {
        if ((last == 0 && (size == 0 || after < chain_segment_after())) ||
            (last != 0 && after != 0)) {
            PyErr_SetString(PyExc_ValueError, "the data do not hold what is behind the segment");
            goto failed;
        }
        self->memory = malloc(chain_segment_memory((size_t)size));
        if (self->memory != NULL)
            self->chain = chain_segment_init(self->memory, level, &input, after);
    }
    if (self->memory == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    return (PyObject *)self;

failed:
    Py_DECREF(self);
    return NULL;
}

static void segment_dealloc(PyObject *object) {
    segment_object *self = (segment_object *)object;
    free(self->memory);
    if (self->view.obj != NULL)
        PyBuffer_Release(&self->view);
    free_object(object);
}

static PyObject *segment_run(PyObject *object, PyObject *unused) {
    segment_object *self = (segment_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    if (!self->has_run) {
        Py_BEGIN_ALLOW_THREADS
        if (self->blocks != NULL)
            block_segment_run(self->blocks);
        else
            chain_segment_run(self->chain);
        Py_END_ALLOW_THREADS
        self->has_run = true;
    }
    give_back(&self->busy);
    Py_RETURN_NONE;
}

static PyMethodDef segment_methods[] = {
    {"run", segment_run, METH_NOARGS,
     PyDoc_STR("run($self, /)\n--\n\nDo the work, on whichever thread.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot segment_slots[] = {
    {Py_tp_doc,
     PyDoc_STR("Segment(generation, level, data, before, size, position, last)\n--\n\n"
               "Part of a stream, to be worked on apart from the rest.")},
    {Py_tp_new, segment_new},
    {Py_tp_dealloc, segment_dealloc},
    {Py_tp_methods, segment_methods},
    {0, NULL},
};

static PyType_Spec segment_spec = {
    .name = "convert._native._binding.Segment",
    .basicsize = sizeof(segment_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = segment_slots,
};

/* ---- Coding: the blocks that a joined segment completes ---------------------------------- */

typedef struct {
    PyObject_HEAD
    busy_flag busy;
    bool has_run;
    PyObject *segment; /* its input is still needed */
    const void *joiner; /* that made it: only compared */
    unsigned long long number; /* among its codings */
    chain_coding *chain;
    void *memory;
} coding_object;

static void coding_dealloc(PyObject *object) {
    coding_object *self = (coding_object *)object;
    free(self->memory);
    Py_XDECREF(self->segment);
    free_object(object);
}

static PyObject *coding_run(PyObject *object, PyObject *unused) {
    coding_object *self = (coding_object *)object;
    (void)unused;
    if (take(&self->busy) < 0)
        return NULL;
    if (!self->has_run) {
        Py_BEGIN_ALLOW_THREADS
        chain_coding_run(self->chain);
        Py_END_ALLOW_THREADS
        self->has_run = true;
    }
    give_back(&self->busy);
    Py_RETURN_NONE;
}

static PyMethodDef coding_methods[] = {
    {"run", coding_run, METH_NOARGS,
     PyDoc_STR("run($self, /)\n--\n\nDo the work, on whichever thread.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot coding_slots[] = {
    {Py_tp_doc, PyDoc_STR("Blocks of a stream whose tokens are known, to be coded.")},
    {Py_tp_dealloc, coding_dealloc},
    {Py_tp_methods, coding_methods},
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
    int generation;
    int level;
    unsigned long long position; /* that the next segment must start at */
    unsigned long long joined;   /* codings made */
    unsigned long long appended; /* codings taken */
    bool finished;
    PyObject *latest; /* the latest coding: what it left over goes into the next */
    block_joiner *blocks;
    chain_joiner *chain;
    void *memory;
} joiner_object;

static PyObject *joiner_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"generation", "level", NULL};
    int generation, level;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "ii:Joiner", names, &generation, &level) ||
        check_profile(generation, level) < 0)
        return NULL;
    const block_encoder *blocks = find_block_encoder(generation, level);
    if (blocks == NULL && generation != 126) {
        PyErr_SetString(PyExc_ValueError, "this encoder works in order only");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    joiner_object *self = (joiner_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    self->generation = generation;
    self->level = level;
    self->memory = malloc(blocks != NULL ? block_joiner_memory(blocks) : chain_joiner_memory());
    if (self->memory == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    if (blocks != NULL)
        self->blocks = block_joiner_init(self->memory, blocks, level);
    else
        self->chain = chain_joiner_init(self->memory, level);
    return (PyObject *)self;
}

static void joiner_dealloc(PyObject *object) {
    joiner_object *self = (joiner_object *)object;
    free(self->memory);
    Py_XDECREF(self->latest);
    free_object(object);
}

static module_state *state_of(PyObject *object) {
    return PyType_GetModuleState(Py_TYPE(object));
}

/* The segment `object` is, if it may be joined now; else NULL with an exception. Borrowed. */
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
    give_back(&segment->busy);
    if (!segment->has_run || segment->generation != self->generation ||
        segment->level != self->level || self->finished) {
        PyErr_SetString(PyExc_ValueError, "not a segment that has run, of the same encoder");
        return NULL;
    }
    return segment;
}

static PyObject *join_blocks(joiner_object *self, segment_object *segment) {
    uint8_t *out = new_room(block_joiner_bound(self->blocks, segment->blocks));
    if (out == NULL)
        return NULL;
    size_t size;
    Py_BEGIN_ALLOW_THREADS
    size = block_joiner_join(self->blocks, segment->blocks, out);
    Py_END_ALLOW_THREADS
    return bytes_of(out, size);
}

static PyObject *join_chain(joiner_object *self, segment_object *segment) {
    PyTypeObject *type = (PyTypeObject *)state_of((PyObject *)self)->coding_type;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    coding_object *coding = (coding_object *)allocate(type, 0);
    if (coding == NULL)
        return NULL;
    atomic_flag_clear(&coding->busy);
    coding->segment = Py_NewRef((PyObject *)segment);
    coding->memory = malloc(chain_coding_memory(self->chain, segment->chain));
    if (coding->memory == NULL) {
        Py_DECREF(coding);
        return PyErr_NoMemory();
    }
    /* What the coding before left over is read out of it: it lives until then. */
    coding->chain = chain_coding_init(coding->memory, self->chain, segment->chain);
    Py_BEGIN_ALLOW_THREADS
    chain_joiner_join(self->chain, segment->chain, coding->chain);
    Py_END_ALLOW_THREADS
    coding->joiner = self;
    coding->number = self->joined++;
    Py_XDECREF(self->latest);
    self->latest = Py_NewRef((PyObject *)coding);
    return (PyObject *)coding;
}

static PyObject *joiner_join(PyObject *object, PyObject *argument) {
    joiner_object *self = (joiner_object *)object;
    if (take(&self->busy) < 0)
        return NULL;
    PyObject *result = NULL;
    segment_object *segment = next_segment(self, argument);
    if (segment != NULL) {
        const segment_input *input = segment->blocks != NULL
                                         ? block_segment_input(segment->blocks)
                                         : chain_segment_input(segment->chain);
        if (input->position != self->position) {
            PyErr_SetString(PyExc_ValueError, "segments must be joined in order");
        } else {
            result = self->blocks != NULL ? join_blocks(self, segment) : join_chain(self, segment);
            if (result != NULL) {
                self->position += input->size;
                self->finished = input->last;
            }
        }
    }
    give_back(&self->busy);
    return result;
}

static PyObject *joiner_append(PyObject *object, PyObject *argument) {
    joiner_object *self = (joiner_object *)object;
    module_state *state = state_of(object);
    if (state == NULL)
        return NULL;
    if (!Py_IS_TYPE(argument, (PyTypeObject *)state->coding_type)) {
        PyErr_SetString(PyExc_TypeError, "a Coding is wanted");
        return NULL;
    }
    coding_object *coding = (coding_object *)argument;
    if (take(&coding->busy) < 0)
        return NULL;
    give_back(&coding->busy);
    if (take(&self->busy) < 0)
        return NULL;
    if (!coding->has_run || coding->joiner != self || coding->number != self->appended) {
        PyErr_SetString(PyExc_ValueError, "not this joiner's next coding, or it has not run");
        give_back(&self->busy);
        return NULL;
    }
    self->appended++;
    PyObject *result = NULL;
    uint8_t *out = new_room(chain_coding_bound(coding->chain));
    if (out != NULL) {
        size_t size;
        Py_BEGIN_ALLOW_THREADS
        size = chain_joiner_append(self->chain, coding->chain, out);
        Py_END_ALLOW_THREADS
        result = bytes_of(out, size);
    }
    give_back(&self->busy);
    return result;
}

static PyObject *joiner_repaired(PyObject *object, void *unused) {
    joiner_object *self = (joiner_object *)object;
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->blocks != NULL
                                           ? block_joiner_repaired(self->blocks)
                                           : chain_joiner_repaired(self->chain));
}

static PyMethodDef joiner_methods[] = {
    {"join", joiner_join, METH_O,
     PyDoc_STR("join($self, segment, /)\n--\n\n"
               "Check and take the next segment; return bytes, or a Coding to run and append.")},
    {"append", joiner_append, METH_O,
     PyDoc_STR("append($self, coding, /)\n--\n\nTake the next coding that has run; return bytes.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef joiner_attributes[] = {
    {"repaired", joiner_repaired, NULL,
     PyDoc_STR("What was coded again because a guess was wrong: blocks, or bytes of input."), NULL},
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
    int generation, level;
    (void)module;
    if (!PyArg_ParseTuple(args, "ii:segment_geometry", &generation, &level) ||
        check_profile(generation, level) < 0)
        return NULL;
    const block_encoder *blocks = find_block_encoder(generation, level);
    if (blocks != NULL)
        return Py_BuildValue("(nnn)", (Py_ssize_t)blocks->block_size,
                             (Py_ssize_t)block_segment_before(blocks), (Py_ssize_t)1);
    if (generation == 126)
        return Py_BuildValue("(nnn)", (Py_ssize_t)1, (Py_ssize_t)chain_segment_before(),
                             (Py_ssize_t)chain_segment_after());
    Py_RETURN_NONE;
}

static PyMethodDef module_methods[] = {
    {"segment_geometry", segment_geometry, METH_VARARGS,
     PyDoc_STR("segment_geometry(generation, level, /)\n--\n\n"
               "(unit, before, after) in bytes of input, or None if the encoder works in order\n"
               "only: segments are multiples of unit, and need that much input around them.")},
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
