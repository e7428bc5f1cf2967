/*
 * The Python face of sha256.h: convert._native._lanes.
 *
 * Built for the stable ABI of Python 3.11 on. Hashing releases the GIL; each object is used
 * by one call at a time, and a second one while the first runs raises RuntimeError.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <string.h>

#include "sha256.h"

typedef struct {
    PyObject *type;
} module_state;

static struct PyModuleDef module_definition;

typedef struct {
    PyObject_HEAD
    atomic_flag busy;
    uint64_t size; /* bytes taken */
    uint32_t state[SHA256_WORDS];
    uint8_t rest[SHA256_BLOCK]; /* size % SHA256_BLOCK bytes that make no block yet */
} sha256_object;

static int take(sha256_object *self) {
    if (atomic_flag_test_and_set_explicit(&self->busy, memory_order_acquire)) {
        PyErr_SetString(PyExc_RuntimeError, "the object is in use by another thread");
        return -1;
    }
    return 0;
}

static void give_back(sha256_object *self) {
    atomic_flag_clear_explicit(&self->busy, memory_order_release);
}

static PyObject *sha256_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, ":Sha256", names))
        return NULL;
    if (!sha256_available()) {
        PyErr_SetString(PyExc_OSError, "this processor has no SHA instructions");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    sha256_object *self = (sha256_object *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    atomic_flag_clear(&self->busy);
    memcpy(self->state, sha256_start, sizeof sha256_start);
    return (PyObject *)self;
}

static void sha256_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* The first n bytes of data[i] into hasher[i], for each i below lanes. */
static void update(sha256_object *const hasher[], const uint8_t *data[], size_t lanes, size_t n) {
    uint32_t *state[SHA256_LANES];
    const uint8_t *end[SHA256_LANES];
    size_t common = SIZE_MAX;
    if (n == 0)
        return;
    for (size_t i = 0; i < lanes; i++) {
        sha256_object *self = hasher[i];
        state[i] = self->state;
        end[i] = data[i] + n;
        size_t filled = self->size % SHA256_BLOCK;
        self->size += n;
        if (filled != 0) {
            size_t wanted = SHA256_BLOCK - filled < n ? SHA256_BLOCK - filled : n;
            memcpy(self->rest + filled, data[i], wanted);
            data[i] += wanted;
            if (filled + wanted == SHA256_BLOCK) {
                const uint8_t *block = self->rest;
                sha256_blocks(&state[i], &block, 1, 1);
            }
        }
        size_t blocks = (size_t)(end[i] - data[i]) / SHA256_BLOCK;
        common = blocks < common ? blocks : common;
    }
    sha256_blocks(state, data, lanes, common);
    for (size_t i = 0; i < lanes; i++) {
        data[i] += common * SHA256_BLOCK;
        size_t left = (size_t)(end[i] - data[i]) / SHA256_BLOCK; /* one, where filled differed */
        sha256_blocks(&state[i], &data[i], 1, left);
        data[i] += left * SHA256_BLOCK;
        /* Nothing is left where the bytes went into an unfinished block. */
        if (end[i] != data[i])
            memcpy(hasher[i]->rest, data[i], (size_t)(end[i] - data[i]));
    }
}

/* Pad (FIPS 180-4, 5.1.1) a copy of the state, and write the digest. */
static void finish(const sha256_object *self, uint8_t digest[4 * SHA256_WORDS]) {
    uint32_t words[SHA256_WORDS], *state = words;
    uint8_t last[2 * SHA256_BLOCK] = {0};
    const uint8_t *data = last;
    size_t filled = self->size % SHA256_BLOCK;
    memcpy(words, self->state, sizeof words);
    memcpy(last, self->rest, filled);
    last[filled] = 0x80;
    size_t blocks = filled + 1 + sizeof(uint64_t) <= SHA256_BLOCK ? 1 : 2;
    uint64_t bits = self->size * 8;
    for (size_t i = 0; i < sizeof bits; i++)
        last[blocks * SHA256_BLOCK - 1 - i] = (uint8_t)(bits >> (8 * i));
    sha256_blocks(&state, &data, 1, blocks);
    for (size_t i = 0; i < 4 * SHA256_WORDS; i++)
        digest[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
}

static PyObject *sha256_digest(PyObject *object, PyObject *unused) {
    sha256_object *self = (sha256_object *)object;
    uint8_t digest[4 * SHA256_WORDS];
    (void)unused;
    if (take(self) < 0)
        return NULL;
    finish(self, digest);
    give_back(self);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

static PyMethodDef sha256_methods[] = {
    {"digest", sha256_digest, METH_NOARGS,
     PyDoc_STR("digest()\n--\n\nThe 32 bytes for what was taken so far.")},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sha256_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("Sha256()\n--\n\nThe SHA-256 of one stream; see update().")},
    {Py_tp_new, sha256_new},
    {Py_tp_dealloc, sha256_dealloc},
    {Py_tp_methods, sha256_methods},
    {0, NULL},
};

static PyType_Spec sha256_spec = {
    .name = "convert._native._lanes.Sha256",
    .basicsize = sizeof(sha256_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = sha256_slots,
};

/* ---- update() -------------------------------------------------------------------------- */

/* What is held of the arguments: each lane's hasher is taken, its buffer open. */
typedef struct {
    size_t lanes;
    sha256_object *hasher[SHA256_LANES];
    Py_buffer view[SHA256_LANES];
} held;

static void let_go(held *all) {
    while (all->lanes > 0) {
        all->lanes--;
        PyBuffer_Release(&all->view[all->lanes]);
        give_back(all->hasher[all->lanes]);
        Py_DECREF(all->hasher[all->lanes]);
    }
}

static int hold(held *all, PyTypeObject *type, PyObject *hasher, PyObject *data) {
    if (hasher == NULL || data == NULL)
        return -1;
    if (!Py_IS_TYPE(hasher, type)) {
        PyErr_SetString(PyExc_TypeError, "update() wants objects of Sha256");
        return -1;
    }
    sha256_object *self = (sha256_object *)hasher;
    if (take(self) < 0)
        return -1;
    if (PyObject_GetBuffer(data, &all->view[all->lanes], PyBUF_SIMPLE) < 0) {
        give_back(self);
        return -1;
    }
    Py_INCREF(hasher);
    all->hasher[all->lanes++] = self;
    return 0;
}

static PyObject *module_update(PyObject *module, PyObject *args) {
    module_state *state = PyModule_GetState(module);
    PyObject *hashers, *buffers;
    held all = {0};
    if (!PyArg_ParseTuple(args, "OO:update", &hashers, &buffers))
        return NULL;
    Py_ssize_t lanes = PySequence_Size(hashers);
    if (lanes < 0 || lanes != PySequence_Size(buffers) || lanes < 1 || lanes > SHA256_LANES) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError,
                            "update() wants one buffer a stream, of 1 to LANES streams");
        return NULL;
    }
    size_t least = SIZE_MAX;
    for (Py_ssize_t i = 0; i < lanes; i++) {
        PyObject *hasher = PySequence_GetItem(hashers, i);
        PyObject *data = PySequence_GetItem(buffers, i);
        int failed = hold(&all, (PyTypeObject *)state->type, hasher, data);
        Py_XDECREF(hasher);
        Py_XDECREF(data);
        if (failed) {
            let_go(&all);
            return NULL;
        }
        size_t size = (size_t)all.view[i].len;
        least = size < least ? size : least;
    }
    const uint8_t *data[SHA256_LANES];
    for (size_t i = 0; i < all.lanes; i++)
        data[i] = all.view[i].buf;
    Py_BEGIN_ALLOW_THREADS
    update(all.hasher, data, all.lanes, least);
    Py_END_ALLOW_THREADS
    let_go(&all);
    return PyLong_FromSize_t(least);
}

static PyMethodDef module_methods[] = {
    {"update", module_update, METH_VARARGS,
     PyDoc_STR("update(hashers, buffers, /)\n--\n\n"
               "Take as many bytes of each buffer as the shortest has; return how many.")},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    state->type = PyType_FromModuleAndSpec(module, &sha256_spec, NULL);
    if (state->type == NULL || PyModule_AddType(module, (PyTypeObject *)state->type) < 0 ||
        PyModule_AddIntConstant(module, "LANES", sha256_available() ? SHA256_LANES : 0) < 0)
        return -1;
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->type);
    return 0;
}

static int module_clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->type);
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
    .m_name = "convert._native._lanes",
    .m_doc = PyDoc_STR("SHA-256 of several streams at once, on one core."),
    .m_size = sizeof(module_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__lanes(void) {
    return PyModuleDef_Init(&module_definition);
}
