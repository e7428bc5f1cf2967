/*
 * Huffman codes with the lengths that Go finds.
 *
 * Algorithm: Huffman's method with two queues; if its tree is deeper than the limit, package
 * merge.
 *
 * Why the bytes are Go's: Go always uses package merge: lists of leaves (symbols by rising
 * frequency) and pairs (of neighbours in the list of the level below) are merged, and when a
 * leaf and a pair weigh the same, the pair comes first. Many optimal codes exist for one set of
 * frequencies; that rule selects one of them, and its lengths become part of the output.
 *
 * Package merge visits every level. When the limit does not bind, it gives the same lengths as
 * the two-queue method under the same rule for ties, which is many times cheaper. Proof: without
 * a limit the merged list satisfies list = merge(leaves, pairs(list)), and this is also the order
 * in which the two-queue method takes its nodes. In both, the first 2n-2 items are all nodes but
 * the root; the pairs among the first k items are the parents of the first 2 * pairs items; and
 * as depth never rises along the order, "among the first k(t) items" and "at depth t or more" are
 * the same. With a limit that the tree's depth respects, the lists of the levels agree with the
 * unlimited one as far as they are used, since omitting levels can only make later pairs heavier.
 */
#include "deflate/huffman.h"

#include <stdbool.h>

enum {
    MAX_LENGTH = 15,
    RADIX_BITS = 8,
    RADIX = 1 << RADIX_BITS,
};

typedef struct {
    uint32_t frequency;
    uint32_t symbol;
} leaf;

/* Order by frequency; equal ones stay in symbol order because radix sort is stable. */
static leaf *sort_leaves(leaf *list, leaf *spare, size_t n, uint32_t all_frequencies) {
    for (unsigned shift = 0; shift < 32 && all_frequencies >> shift != 0; shift += RADIX_BITS) {
        uint32_t start[RADIX] = {0};
        for (size_t i = 0; i < n; i++)
            start[list[i].frequency >> shift & (RADIX - 1)]++;
        uint32_t sum = 0;
        for (size_t d = 0; d < RADIX; d++) {
            uint32_t count = start[d];
            start[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            spare[start[list[i].frequency >> shift & (RADIX - 1)]++] = list[i];
        leaf *t = list;
        list = spare;
        spare = t;
    }
    return list;
}

/* Huffman's method with two queues. Set per_length[1..limit] to the number of leaves of each
 * depth; return false if the tree is deeper than the limit. */
static bool unlimited_lengths(const leaf *list, size_t n, int limit, uint32_t *per_length) {
    uint32_t weight[LITERAL_CODES];       /* of pairs, in the order they are made */
    uint16_t leaves_below[LITERAL_CODES]; /* leaves taken before pair i was complete */
    size_t taken_leaves = 0, taken_pairs = 0;

    for (size_t made = 0; made < n - 1; made++) {
        uint32_t sum = 0;
        for (int half = 0; half < 2; half++) {
            if (taken_pairs < made &&
                (taken_leaves == n || weight[taken_pairs] <= list[taken_leaves].frequency))
                sum += weight[taken_pairs++];
            else
                sum += list[taken_leaves++].frequency;
        }
        weight[made] = sum;
        leaves_below[made] = (uint16_t)taken_leaves;
    }

    /* Walk down by levels: the `pairs` first pairs have depth >= d, so their 2 * pairs
     * children, the first so many nodes, have depth >= d + 1. */
    size_t pairs = n - 1;
    size_t leaves = n;
    for (int depth = 1;; depth++) {
        /* nodes of depth >= depth: children of the first `pairs` pairs */
        size_t deeper_leaves = leaves_below[pairs - 1];
        size_t deeper_pairs = 2 * pairs - deeper_leaves;
        if (depth > 1)
            per_length[depth - 1] = (uint32_t)(leaves - deeper_leaves);
        leaves = deeper_leaves;
        if (deeper_pairs == 0) {
            per_length[depth] = (uint32_t)leaves;
            return true;
        }
        if (depth == limit)
            return false;
        pairs = deeper_pairs;
    }
}

/* Package merge over whole lists. `limit` is at most MAX_LENGTH and 2^limit >= n. */
static void limited_lengths(const leaf *list, size_t n, int limit, uint32_t *per_length) {
    /* leaves_in[level][i]: leaves among the first i items of that level's list. */
    uint16_t leaves_in[MAX_LENGTH + 1][2 * LITERAL_CODES + 1];
    uint32_t below[2 * LITERAL_CODES], merged[2 * LITERAL_CODES];
    size_t below_count = 0;

    for (int level = 1; level <= limit; level++) {
        size_t leaves = 0, pairs = 0, count = 0;
        size_t all_pairs = below_count / 2;
        leaves_in[level][0] = 0;
        while ((leaves < n || pairs < all_pairs) && count < 2 * n - 2) {
            bool take_pair = pairs < all_pairs;
            uint32_t sum = 0;
            if (take_pair) {
                sum = below[2 * pairs] + below[2 * pairs + 1];
                take_pair = leaves == n || sum <= list[leaves].frequency;
            }
            if (take_pair) {
                merged[count++] = sum;
                pairs++;
            } else {
                merged[count++] = list[leaves++].frequency;
            }
            leaves_in[level][count] = (uint16_t)leaves;
        }
        memcpy(below, merged, count * sizeof merged[0]);
        below_count = count;
    }

    /* From the top, 2n-2 items; each pair among them needs two items one level down. A leaf's
     * length is the number of levels at which it is needed. */
    size_t wanted = 2 * n - 2;
    size_t leaves = n;
    for (int level = limit, length = 0; level >= 1; level--, length++) {
        size_t here = leaves_in[level][wanted];
        if (length > 0)
            per_length[length] = (uint32_t)(leaves - here);
        leaves = here;
        wanted = 2 * (wanted - here);
    }
    per_length[limit] = (uint32_t)leaves;
}

static uint16_t reverse_bits(uint32_t v, unsigned n) {
    v = (v & 0x5555) << 1 | (v >> 1 & 0x5555);
    v = (v & 0x3333) << 2 | (v >> 2 & 0x3333);
    v = (v & 0x0f0f) << 4 | (v >> 4 & 0x0f0f);
    v = (v & 0x00ff) << 8 | (v >> 8 & 0x00ff);
    return (uint16_t)(v >> (16 - n));
}

void deflate_huffman_build(huffman_code *codes, const uint32_t *frequency, size_t n,
                           int max_length) {
    leaf one[LITERAL_CODES], two[LITERAL_CODES];
    size_t used = 0;
    uint32_t all = 0;

    memset(codes, 0, n * sizeof codes[0]);
    for (size_t i = 0; i < n; i++) {
        one[used].frequency = frequency[i];
        one[used].symbol = (uint32_t)i;
        used += frequency[i] != 0;
        all |= frequency[i];
    }
    if (used <= 2) {
        for (size_t i = 0; i < used; i++) {
            codes[one[i].symbol].bits = (uint16_t)i;
            codes[one[i].symbol].length = 1;
        }
        return;
    }

    const leaf *sorted = sort_leaves(one, two, used, all);
    uint32_t per_length[MAX_LENGTH + 1] = {0};
    if (!unlimited_lengths(sorted, used, max_length, per_length)) {
        memset(per_length, 0, sizeof per_length);
        limited_lengths(sorted, used, max_length, per_length);
    }

    /* The most frequent symbols get the shortest codes; among codes of one length values
     * rise with the symbol (RFC 1951, 3.2.2). */
    uint32_t next_code[MAX_LENGTH + 2];
    uint32_t code = 0;
    size_t end = used;
    for (int length = 1; length <= max_length; length++) {
        code <<= 1;
        next_code[length] = code;
        code += per_length[length];
        for (uint32_t k = 0; k < per_length[length]; k++)
            codes[sorted[--end].symbol].length = (uint16_t)length;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned length = codes[i].length;
        if (length != 0)
            codes[i].bits = reverse_bits(next_code[length]++, length);
    }
}

uint64_t deflate_huffman_cost(const huffman_code *codes, const uint32_t *frequency, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += frequency[i] * codes[i].length;
    return sum;
}

/* ---- The header of a dynamic block ---------------------------------------------------- */

static void put_symbol(dynamic_header *h, unsigned symbol) {
    h->symbols[h->count++] = (uint8_t)symbol;
    h->frequency[symbol]++;
}

static void put_run(dynamic_header *h, unsigned symbol, size_t argument) {
    put_symbol(h, symbol);
    h->symbols[h->count++] = (uint8_t)argument;
}

/* One run of equal code lengths, split as Go splits it: zeros in chunks of 138, a rest of 3 to
 * 10 as one short run; other lengths once, then in repeats of six; the remainder one by one. */
static void put_lengths(dynamic_header *h, unsigned length, size_t count) {
    if (length == 0) {
        while (count >= 11) {
            size_t n = count < 138 ? count : 138;
            put_run(h, CODEGEN_ZEROS_LONG, n - 11);
            count -= n;
        }
        if (count >= 3) {
            put_run(h, CODEGEN_ZEROS_SHORT, count - 3);
            count = 0;
        }
    } else {
        put_symbol(h, length);
        count--;
        while (count >= 3) {
            size_t n = count < 6 ? count : 6;
            put_run(h, CODEGEN_REPEAT, n - 3);
            count -= n;
        }
    }
    while (count-- > 0)
        put_symbol(h, length);
}

void deflate_header_make(dynamic_header *h, const huffman_code *literal, unsigned literals,
                         const huffman_code *offset, unsigned offsets) {
    /* Both alphabets' lengths as one sequence: a run may cross from one to the other. */
    uint8_t lengths[LITERAL_CODES + OFFSET_CODES];
    size_t total = 0;
    for (unsigned i = 0; i < literals; i++)
        lengths[total++] = (uint8_t)literal[i].length;
    for (unsigned i = 0; i < offsets; i++)
        lengths[total++] = (uint8_t)offset[i].length;

    h->count = 0;
    h->literals = literals;
    h->offsets = offsets;
    memset(h->frequency, 0, sizeof h->frequency);
    for (size_t i = 0; i < total;) {
        size_t run = 1;
        while (i + run < total && lengths[i + run] == lengths[i])
            run++;
        put_lengths(h, lengths[i], run);
        i += run;
    }

    deflate_huffman_build(h->codes, h->frequency, CODEGEN_CODES, 7);
    h->codegens = CODEGEN_CODES;
    while (h->codegens > 4 && h->frequency[deflate_codegen_order[h->codegens - 1]] == 0)
        h->codegens--;
    h->size = 3 + 5 + 5 + 4 + 3 * (uint64_t)h->codegens +
              deflate_huffman_cost(h->codes, h->frequency, CODEGEN_CODES) +
              2 * (uint64_t)h->frequency[CODEGEN_REPEAT] +
              3 * (uint64_t)h->frequency[CODEGEN_ZEROS_SHORT] +
              7 * (uint64_t)h->frequency[CODEGEN_ZEROS_LONG];
}

void deflate_header_write(const dynamic_header *h, bit_writer *out) {
    bits_put(out, 4, 3); /* not final, dynamic */
    bits_put(out, h->literals - 257, 5);
    bits_put(out, h->offsets - 1, 5);
    bits_put(out, h->codegens - 4, 4);
    for (unsigned i = 0; i < h->codegens; i++)
        bits_put(out, h->codes[deflate_codegen_order[i]].length, 3);
    for (size_t i = 0; i < h->count; i++) {
        unsigned symbol = h->symbols[i];
        bits_put(out, h->codes[symbol].bits, h->codes[symbol].length);
        if (symbol == CODEGEN_REPEAT)
            bits_put(out, h->symbols[++i], 2);
        else if (symbol == CODEGEN_ZEROS_SHORT)
            bits_put(out, h->symbols[++i], 3);
        else if (symbol == CODEGEN_ZEROS_LONG)
            bits_put(out, h->symbols[++i], 7);
    }
}
