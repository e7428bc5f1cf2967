/*
 * Huffman codes as zlib and GNU gzip build them (trees.c, build_tree and gen_bitlen).
 *
 * Algorithm: a heap of nodes, the two lightest of which become one until a single node is left;
 * codes that are too long are shortened at the expense of others.
 *
 * Why the bytes are theirs: which of several optimal codes comes out depends on how ties are
 * broken, so the heap, its order and the way too long codes are shortened are part of the bytes.
 */
#include "zlib/codes.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_BITS = 15 };

static unsigned reversed(unsigned code, unsigned bits) {
    unsigned r = 0;
    for (; bits > 0; bits--, code >>= 1)
        r = r << 1 | (code & 1);
    return r;
}

/* Canonical codes for lengths (RFC 1951, 3.2.2). */
static void assign_codes(huffman_code *codes, int symbols) {
    unsigned per_length[MAX_BITS + 1] = {0}, next[MAX_BITS + 2] = {0};
    for (int i = 0; i < symbols; i++)
        per_length[codes[i].length]++;
    per_length[0] = 0;
    for (int n = 1; n <= MAX_BITS; n++)
        next[n + 1] = (next[n] + per_length[n]) << 1;
    for (int i = 0; i < symbols; i++)
        if (codes[i].length != 0)
            codes[i].bits = (uint16_t)reversed(next[codes[i].length]++, codes[i].length);
}

enum { NODES = 2 * LITERAL_CODES + 1 };

typedef struct {
    uint32_t weight[NODES];
    uint16_t parent[NODES];
    uint8_t depth[NODES]; /* height of the subtree: breaks ties between equal weights */
    uint16_t heap[NODES]; /* from 1 */
    int size;
} forest;

static bool lighter(const forest *f, int a, int b) {
    return f->weight[a] < f->weight[b] ||
           (f->weight[a] == f->weight[b] && f->depth[a] <= f->depth[b]);
}

static void sift_down(forest *f, int place) {
    int node = f->heap[place];
    for (int child = 2 * place; child <= f->size; place = child, child *= 2) {
        if (child < f->size && lighter(f, f->heap[child + 1], f->heap[child]))
            child++;
        if (lighter(f, node, f->heap[child]))
            break;
        f->heap[place] = f->heap[child];
    }
    f->heap[place] = (uint16_t)node;
}

void zlib_build_code(zlib_code *code, uint16_t *weights, int symbols, int most) {
    forest f;
    int order[NODES]; /* nodes as they leave the heap, lightest first */
    int left = 0;
    f.size = 0;
    code->last = -1;
    memset(code->codes, 0, sizeof code->codes);
    for (int i = 0; i < symbols; i++) {
        if (weights[i] == 0)
            continue;
        f.heap[++f.size] = (uint16_t)i;
        f.weight[i] = weights[i];
        f.depth[i] = 0;
        code->last = i;
    }
    while (f.size < 2) { /* a code has at least two symbols */
        int extra = code->last < 2 ? ++code->last : 0;
        weights[extra] = 1;
        f.heap[++f.size] = (uint16_t)extra;
        f.weight[extra] = 1;
        f.depth[extra] = 0;
    }
    for (int i = f.size / 2; i >= 1; i--)
        sift_down(&f, i);
    int node = symbols;
    do {
        int a = f.heap[1];
        f.heap[1] = f.heap[f.size--];
        sift_down(&f, 1);
        int b = f.heap[1];
        order[left++] = a;
        order[left++] = b;
        f.weight[node] = f.weight[a] + f.weight[b];
        f.depth[node] = (uint8_t)((f.depth[a] > f.depth[b] ? f.depth[a] : f.depth[b]) + 1);
        f.parent[a] = f.parent[b] = (uint16_t)node;
        f.heap[1] = (uint16_t)node++;
        sift_down(&f, 1);
    } while (f.size >= 2);

    /* Lengths from the root down, cut at `most`. */
    uint8_t bits[NODES];
    int per_length[MAX_BITS + 1] = {0};
    int overflow = 0;
    bits[node - 1] = 0;
    for (int i = left - 1; i >= 0; i--) {
        int n = order[i], length = bits[f.parent[n]] + 1;
        if (length > most) {
            length = most;
            overflow++;
        }
        bits[n] = (uint8_t)length;
        if (n < symbols) {
            code->codes[n].length = (uint16_t)length;
            per_length[length]++;
        }
    }
    if (overflow > 0) {
        /* Move two of the cut leaves below the deepest leaf above the limit, until all fit. */
        for (; overflow > 0; overflow -= 2) {
            int length = most - 1;
            while (per_length[length] == 0)
                length--;
            per_length[length]--;
            per_length[length + 1] += 2;
            per_length[most]--;
        }
        int i = 0;
        for (int length = most; length > 0; length--)
            for (int n = per_length[length]; n > 0;) {
                int leaf = order[i++];
                if (leaf < symbols) {
                    code->codes[leaf].length = (uint16_t)length;
                    n--;
                }
            }
    }
    assign_codes(code->codes, symbols);
}
