/*
 * The deflate that gzip and zlib share since 1993: hash chains over a sliding window,
 * lazy matching from level 4 on, Huffman codes by a heap.
 *
 * Two programs write its bytes, and differ in little:
 *
 *   GNU gzip   (deflate.c, trees.c of 1.2.4 to 1.13): blocks of up to 32767 tokens, ended
 *              early where literals go badly; looks for matches past the end of the input,
 *              in what the window held before.
 *   zlib       (1.2.x and 1.3.x with memLevel 8): blocks of up to 16383 tokens; near the end
 *              is content with a match that reaches it.
 *
 * What makes the bytes is the state of the window as well as the rules, so the window
 * here is filled and moved when theirs is: 64 KiB, the upper half moved down when fewer
 * than MIN_LOOKAHEAD bytes are ahead and less than that would be left behind. How the
 * input is cut changes neither, for nothing is parsed before that many bytes are there.
 */
#include <string.h>

#include "zlib/zlib_encoder.h"

enum {
    WINDOW = 2 * WINDOW_SIZE,
    MIN_MATCH = 3,
    MAX_MATCH = 258,
    MIN_LOOKAHEAD = MAX_MATCH + MIN_MATCH + 1,
    MAX_DISTANCE = WINDOW_SIZE - MIN_LOOKAHEAD,
    FAR = 4096, /* a match of three bytes from further back costs more than it saves */
    HASH_BITS = 15,
    HASH_SHIFT = 5, /* after three bytes the first is shifted out */
    NOTHING = 0,    /* window position 0 is never pointed at */

    LITERALS = 256,
    END_OF_BLOCK = 256,
    LENGTH_CODES = 29,
    LITERAL_CODES = LITERALS + 1 + LENGTH_CODES,
    DISTANCE_CODES = 30,
    BITLEN_CODES = 19,
    FIXED_CODES = 288,
    MAX_BITS = 15,
    MAX_BITLEN_BITS = 7,
    REPEAT = 16,     /* the length before, 3 to 6 times */
    ZEROS_SHORT = 17, /* 3 to 10 */
    ZEROS_LONG = 18, /* 11 to 138 */

    GNU_TOKENS = 32767,
    ZLIB_TOKENS = 16383,
    GNU_LOOK = 4096, /* gzip considers ending a block each time it holds so many tokens more */
};

typedef struct {
    uint16_t good; /* with a match of that length in hand, search a quarter as long */
    uint16_t lazy; /* lazy levels: do not look for a better one; fast ones: do not hash inside */
    uint16_t nice; /* stop at a match of that length */
    uint16_t chain;
} level_rules;

static const level_rules RULES[10] = {
    {0, 0, 0, 0},
    {4, 4, 8, 4},        {4, 5, 16, 8},      {4, 6, 32, 32},      /* fast */
    {4, 4, 16, 16},      {8, 16, 32, 32},    {8, 16, 128, 128},   /* lazy */
    {8, 32, 128, 256},   {32, 128, 258, 1024}, {32, 258, 258, 4096},
};

typedef struct {
    bool gnu;
    int level;
    bool started; /* the hash of the first two bytes is made */
    bool ended;   /* the window was asked for more, and no input was left */
    level_rules rules;
    unsigned at;        /* window position of the next byte */
    unsigned ahead;     /* bytes from there on */
    long block;         /* where the block begins; below zero once that left the window */
    unsigned hash;
    unsigned match;     /* position of the last match found */
    unsigned length;    /* its length, at the end of a step */
    bool waiting;       /* lazy: the byte before `at` is not coded yet */
    unsigned tokens, matches, capacity;
    uint64_t word;      /* bits that fill no byte yet */
    unsigned count;
    uint16_t head[1 << HASH_BITS];
    uint16_t chain[WINDOW_SIZE];
    uint16_t distances[GNU_TOKENS + 1]; /* 0: a literal */
    uint8_t values[GNU_TOKENS + 1];     /* the literal, or length - MIN_MATCH */
    uint16_t literal_count[LITERAL_CODES];
    uint16_t distance_count[DISTANCE_CODES];
    uint8_t window[WINDOW + MAX_MATCH]; /* slack: words are compared */
} classic_stream;

/* ---- DEFLATE's alphabets (RFC 1951, 3.2.5) --------------------------------------------- */

static const uint8_t LENGTH_EXTRA[LENGTH_CODES] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                   2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint8_t LENGTH_BASE[LENGTH_CODES] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  10,
                                                  12, 14, 16, 20, 24, 28, 32, 40, 48, 56,
                                                  64, 80, 96, 112, 128, 160, 192, 224, 255};
static const uint8_t BITLEN_ORDER[BITLEN_CODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};

static unsigned highest_bit(unsigned v) {
    unsigned n = 0;
    while (v >>= 1)
        n++;
    return n;
}

/* Code, extra bits and base of a length - MIN_MATCH. */
static unsigned length_code(unsigned value) {
    if (value == MAX_MATCH - MIN_MATCH)
        return LENGTH_CODES - 1;
    if (value < 8)
        return value;
    unsigned high = highest_bit(value);
    return 4 * (high - 1) + (value >> (high - 2) & 3);
}

/* Code of a distance - 1. */
static unsigned distance_code(unsigned value) {
    if (value < 4)
        return value;
    unsigned high = highest_bit(value);
    return 2 * high + (value >> (high - 1) & 1);
}

static unsigned distance_extra(unsigned code) {
    return code < 4 ? 0 : code / 2 - 1;
}

static unsigned distance_base(unsigned code) {
    return code < 4 ? code : (2 + (code & 1)) << (code / 2 - 1);
}

/* ---- Huffman codes --------------------------------------------------------------------- */

typedef struct {
    uint8_t bits[FIXED_CODES];
    uint16_t code[FIXED_CODES]; /* first bit lowest */
    int last;                   /* largest symbol that occurs */
} huffman_code;

static unsigned reversed(unsigned code, unsigned bits) {
    unsigned r = 0;
    for (; bits > 0; bits--, code >>= 1)
        r = r << 1 | (code & 1);
    return r;
}

/* Canonical codes for lengths (RFC 1951, 3.2.2). */
static void assign_codes(huffman_code *h, int symbols) {
    unsigned per_length[MAX_BITS + 1] = {0}, next[MAX_BITS + 2] = {0};
    for (int i = 0; i < symbols; i++)
        per_length[h->bits[i]]++;
    per_length[0] = 0;
    for (int n = 1; n <= MAX_BITS; n++)
        next[n + 1] = (next[n] + per_length[n]) << 1;
    for (int i = 0; i < symbols; i++)
        if (h->bits[i] != 0)
            h->code[i] = (uint16_t)reversed(next[h->bits[i]]++, h->bits[i]);
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

/*
 * Build the code for the weights of `symbols` symbols with at most `most` bits.
 *
 * Which of several optimal codes comes out depends on how ties are broken, so the heap,
 * its order and the way too long codes are shortened are part of the bytes.
 */
static void build_code(huffman_code *h, uint16_t *weights, int symbols, int most) {
    forest f;
    int order[NODES]; /* nodes as they leave the heap, lightest first */
    int left = 0;
    f.size = 0;
    h->last = -1;
    memset(h->bits, 0, sizeof h->bits);
    for (int i = 0; i < symbols; i++) {
        if (weights[i] == 0)
            continue;
        f.heap[++f.size] = (uint16_t)i;
        f.weight[i] = weights[i];
        f.depth[i] = 0;
        h->last = i;
    }
    while (f.size < 2) { /* a code has two symbols at least */
        int extra = h->last < 2 ? ++h->last : 0;
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
            h->bits[n] = (uint8_t)length;
            per_length[length]++;
        }
    }
    if (overflow > 0) {
        /* Hang two of the cut leaves under the deepest one that has room, until all have a place. */
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
                    h->bits[leaf] = (uint8_t)length;
                    n--;
                }
            }
    }
    assign_codes(h, symbols);
}

static void fixed_codes(huffman_code *literals, huffman_code *distances) {
    for (int i = 0; i < FIXED_CODES; i++)
        literals->bits[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    assign_codes(literals, FIXED_CODES);
    memset(distances->bits, 5, DISTANCE_CODES);
    memset(distances->bits + DISTANCE_CODES, 0, sizeof distances->bits - DISTANCE_CODES);
    /* All 32 codes count, though two are never sent. */
    for (unsigned i = 0; i < DISTANCE_CODES; i++)
        distances->code[i] = (uint16_t)reversed(i, 5);
}

/* ---- Code lengths, run by run ----------------------------------------------------------- */

typedef struct {
    uint8_t symbol[LITERAL_CODES + DISTANCE_CODES];
    uint8_t extra[LITERAL_CODES + DISTANCE_CODES];
    int count;
    uint16_t weights[BITLEN_CODES];
} run_list;

static void add_run(run_list *runs, unsigned symbol, unsigned extra) {
    runs->symbol[runs->count] = (uint8_t)symbol;
    runs->extra[runs->count++] = (uint8_t)extra;
    runs->weights[symbol]++;
}

/* Literals and distances are cut into runs apart: none crosses from one to the other. */
static void add_lengths(run_list *runs, const uint8_t *bits, int symbols) {
    int before = -1;
    for (int i = 0; i < symbols;) {
        unsigned length = bits[i];
        int most = length == 0 ? 138 : (int)length == before ? 6 : 7;
        int n = 1;
        while (n < most && i + n < symbols && bits[i + n] == length)
            n++;
        i += n;
        if (length == 0 && n >= 3) {
            add_run(runs, n <= 10 ? ZEROS_SHORT : ZEROS_LONG, (unsigned)(n <= 10 ? n - 3 : n - 11));
        } else if (length != 0 && n >= ((int)length == before ? 3 : 4)) {
            if ((int)length != before) {
                add_run(runs, length, 0);
                n--;
            }
            add_run(runs, REPEAT, (unsigned)(n - 3));
        } else {
            for (; n > 0; n--)
                add_run(runs, length, 0);
        }
        before = (int)length;
    }
}

static unsigned run_extra_bits(unsigned symbol) {
    return symbol == REPEAT ? 2 : symbol == ZEROS_SHORT ? 3 : symbol == ZEROS_LONG ? 7 : 0;
}

/* ---- Blocks ------------------------------------------------------------------------------ */

static uint64_t coded_bits(const classic_stream *s, const huffman_code *literals,
                           const huffman_code *distances) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < LITERAL_CODES; i++)
        bits += (uint64_t)s->literal_count[i] *
                (literals->bits[i] + (i > LITERALS ? LENGTH_EXTRA[i - LITERALS - 1] : 0u));
    for (unsigned i = 0; i < DISTANCE_CODES; i++)
        bits += (uint64_t)s->distance_count[i] * (distances->bits[i] + distance_extra(i));
    return bits;
}

static void put_tokens(const classic_stream *s, const huffman_code *literals,
                       const huffman_code *distances, bit_writer *out) {
    for (unsigned i = 0; i < s->tokens; i++) {
        unsigned value = s->values[i];
        if (s->distances[i] == 0) {
            bits_put(out, literals->code[value], literals->bits[value]);
            continue;
        }
        unsigned code = length_code(value);
        unsigned symbol = LITERALS + 1 + code;
        bits_add(out, literals->code[symbol], literals->bits[symbol]);
        bits_add(out, value - LENGTH_BASE[code], LENGTH_EXTRA[code]);
        unsigned distance = s->distances[i] - 1u;
        code = distance_code(distance);
        bits_add(out, distances->code[code], distances->bits[code]);
        bits_put(out, distance - distance_base(code), distance_extra(code));
    }
    bits_put(out, literals->code[END_OF_BLOCK], literals->bits[END_OF_BLOCK]);
}

static void new_block(classic_stream *s) {
    memset(s->literal_count, 0, sizeof s->literal_count);
    memset(s->distance_count, 0, sizeof s->distance_count);
    s->literal_count[END_OF_BLOCK] = 1;
    s->tokens = s->matches = 0;
    s->block = (long)s->at;
}

/* Code the tokens held in the cheapest of the three ways, counted in whole bytes. */
static void end_block(classic_stream *s, bool last, bit_writer *out) {
    huffman_code fixed_literals, fixed_distances, literals, distances, bitlens;
    size_t size = (size_t)((long)s->at - s->block);

    fixed_codes(&fixed_literals, &fixed_distances);
    /* Counted first: a code may want symbols that do not occur, and counts them. */
    uint64_t fixed = coded_bits(s, &fixed_literals, &fixed_distances);
    uint16_t literal_weights[LITERAL_CODES], distance_weights[DISTANCE_CODES];
    memcpy(literal_weights, s->literal_count, sizeof literal_weights);
    memcpy(distance_weights, s->distance_count, sizeof distance_weights);
    build_code(&literals, literal_weights, LITERAL_CODES, MAX_BITS);
    build_code(&distances, distance_weights, DISTANCE_CODES, MAX_BITS);

    run_list runs = {.count = 0};
    add_lengths(&runs, literals.bits, literals.last + 1);
    add_lengths(&runs, distances.bits, distances.last + 1);
    uint16_t run_weights[BITLEN_CODES];
    memcpy(run_weights, runs.weights, sizeof run_weights);
    build_code(&bitlens, run_weights, BITLEN_CODES, MAX_BITLEN_BITS);
    int sent = BITLEN_CODES;
    while (sent > 4 && bitlens.bits[BITLEN_ORDER[sent - 1]] == 0)
        sent--;
    uint64_t dynamic = coded_bits(s, &literals, &distances) + 5 + 5 + 4 + 3 * (uint64_t)sent;
    for (unsigned i = 0; i < BITLEN_CODES; i++)
        dynamic += (uint64_t)runs.weights[i] * (bitlens.bits[i] + run_extra_bits(i));

    uint64_t fixed_bytes = (fixed + 3 + 7) >> 3, best = (dynamic + 3 + 7) >> 3;
    if (fixed_bytes <= best)
        best = fixed_bytes;
    if (size + 4 <= best && s->block >= 0) {
        bits_stored(out, s->window + s->block, size, last);
    } else if (fixed_bytes == best) {
        bits_put(out, (last ? 1 : 0) | 1 << 1, 3);
        put_tokens(s, &fixed_literals, &fixed_distances, out);
    } else {
        bits_put(out, (last ? 1 : 0) | 2 << 1, 3);
        bits_put(out, (unsigned)literals.last + 1 - 257, 5);
        bits_put(out, (unsigned)distances.last, 5);
        bits_put(out, (unsigned)sent - 4, 4);
        for (int i = 0; i < sent; i++)
            bits_put(out, bitlens.bits[BITLEN_ORDER[i]], 3);
        for (int i = 0; i < runs.count; i++) {
            unsigned symbol = runs.symbol[i];
            bits_add(out, bitlens.code[symbol], bitlens.bits[symbol]);
            bits_put(out, runs.extra[i], run_extra_bits(symbol));
        }
        put_tokens(s, &literals, &distances, out);
    }
    new_block(s);
}

/* Whether gzip ends the block here: many literals and half the size is saved anyway. */
static bool gnu_ends_early(const classic_stream *s) {
    if (s->level <= 2 || s->tokens % GNU_LOOK != 0 || s->matches >= s->tokens / 2)
        return false;
    uint64_t bits = (uint64_t)s->tokens * 8;
    for (unsigned i = 0; i < DISTANCE_CODES; i++)
        bits += (uint64_t)s->distance_count[i] * (5 + distance_extra(i));
    return bits >> 3 < (uint64_t)((long)s->at - s->block) / 2;
}

/* Take a token; tell whether the block ends with it. */
static bool token(classic_stream *s, unsigned distance, unsigned value) {
    s->distances[s->tokens] = (uint16_t)distance;
    s->values[s->tokens++] = (uint8_t)value;
    if (distance == 0) {
        s->literal_count[value]++;
    } else {
        s->matches++;
        s->literal_count[LITERALS + 1 + length_code(value)]++;
        s->distance_count[distance_code(distance - 1)]++;
    }
    return (s->gnu && gnu_ends_early(s)) || s->tokens == s->capacity;
}

/* ---- Matching ---------------------------------------------------------------------------- */

static void hash_byte(classic_stream *s, unsigned byte) {
    s->hash = (s->hash << HASH_SHIFT ^ byte) & ((1u << HASH_BITS) - 1);
}

/* Enter the string at a position; return the last one with its hash. */
static unsigned enter(classic_stream *s, unsigned position) {
    hash_byte(s, s->window[position + MIN_MATCH - 1]);
    unsigned found = s->head[s->hash];
    s->chain[position % WINDOW_SIZE] = (uint16_t)found;
    s->head[s->hash] = (uint16_t)position;
    return found;
}

static unsigned equal_bytes(const uint8_t *a, const uint8_t *b) {
    unsigned n = 0;
    while (n + 8 <= MAX_MATCH && load64(a + n) == load64(b + n))
        n += 8;
    while (n < MAX_MATCH && a[n] == b[n])
        n++;
    return n;
}

/* The longest match longer than `least` along the chain from `candidate`; `least` if none. */
static unsigned longest_match(classic_stream *s, unsigned candidate, unsigned least) {
    const uint8_t *here = s->window + s->at;
    unsigned limit = s->at > MAX_DISTANCE ? s->at - MAX_DISTANCE : NOTHING;
    unsigned left = least >= s->rules.good ? s->rules.chain / 4u : s->rules.chain;
    unsigned nice = s->rules.nice, best = least;
    if (!s->gnu && nice > s->ahead)
        nice = s->ahead;
    do {
        const uint8_t *there = s->window + candidate;
        if (there[best] == here[best] && there[best - 1] == here[best - 1]) {
            unsigned length = equal_bytes(here, there);
            if (length > best) {
                s->match = candidate;
                best = length;
                if (length >= nice)
                    break;
            }
        }
        candidate = s->chain[candidate % WINDOW_SIZE];
    } while (candidate > limit && --left != 0);
    return best < s->ahead ? best : s->ahead;
}

static bool reachable(const classic_stream *s, unsigned candidate) {
    return candidate != NOTHING && s->at - candidate <= MAX_DISTANCE &&
           (!s->gnu || s->at <= WINDOW - MIN_LOOKAHEAD);
}

/* zlib enters no string that the input does not fill. */
static bool may_enter(const classic_stream *s, unsigned position, unsigned end) {
    return s->gnu || position + MIN_MATCH <= end;
}

static void step_fast(classic_stream *s, bit_writer *out) {
    unsigned end = s->at + s->ahead;
    unsigned candidate = may_enter(s, s->at, end) ? enter(s, s->at) : NOTHING;
    bool ends;
    if (reachable(s, candidate))
        s->length = longest_match(s, candidate, MIN_MATCH - 1);
    if (s->length >= MIN_MATCH) {
        ends = token(s, s->at - s->match, s->length - MIN_MATCH);
        s->ahead -= s->length;
        if (s->length <= s->rules.lazy && (s->gnu || s->ahead >= MIN_MATCH)) {
            while (--s->length != 0)
                enter(s, ++s->at);
            s->at++;
        } else {
            s->at += s->length;
            s->length = 0;
            s->hash = s->window[s->at];
            hash_byte(s, s->window[s->at + 1]);
        }
    } else {
        ends = token(s, 0, s->window[s->at]);
        s->ahead--;
        s->at++;
    }
    if (ends)
        end_block(s, false, out);
}

static void step_lazy(classic_stream *s, bit_writer *out) {
    unsigned end = s->at + s->ahead;
    unsigned candidate = may_enter(s, s->at, end) ? enter(s, s->at) : NOTHING;
    unsigned before = s->length, match_before = s->match;
    s->length = MIN_MATCH - 1;
    if (before < s->rules.lazy && reachable(s, candidate)) {
        s->length = longest_match(s, candidate, before);
        if (s->length == MIN_MATCH && s->at - s->match > FAR)
            s->length--;
    }
    if (before >= MIN_MATCH && s->length <= before) {
        bool ends = token(s, s->at - 1 - match_before, before - MIN_MATCH);
        s->ahead -= before - 1;
        for (unsigned n = before - 2; n != 0; n--) {
            s->at++;
            if (may_enter(s, s->at, end))
                enter(s, s->at);
        }
        s->waiting = false;
        s->length = MIN_MATCH - 1;
        s->at++;
        if (ends)
            end_block(s, false, out);
        return;
    }
    if (s->waiting && token(s, 0, s->window[s->at - 1]))
        end_block(s, false, out);
    s->waiting = true;
    s->at++;
    s->ahead--;
}

/* ---- The stream -------------------------------------------------------------------------- */

static void slide(classic_stream *s) {
    memcpy(s->window, s->window + WINDOW_SIZE, WINDOW_SIZE);
    s->match -= WINDOW_SIZE;
    s->at -= WINDOW_SIZE;
    s->block -= WINDOW_SIZE;
    for (unsigned i = 0; i < 1u << HASH_BITS; i++)
        s->head[i] = (uint16_t)(s->head[i] >= WINDOW_SIZE ? s->head[i] - WINDOW_SIZE : NOTHING);
    for (unsigned i = 0; i < WINDOW_SIZE; i++)
        s->chain[i] = (uint16_t)(s->chain[i] >= WINDOW_SIZE ? s->chain[i] - WINDOW_SIZE : NOTHING);
}

/* Fill the window from input; return how much was taken. */
static size_t fill(classic_stream *s, const uint8_t *data, size_t n) {
    if (s->at >= WINDOW_SIZE + MAX_DISTANCE)
        slide(s);
    size_t room = WINDOW - s->at - s->ahead;
    size_t part = n < room ? n : room;
    memcpy(s->window + s->at + s->ahead, data, part);
    s->ahead += (unsigned)part;
    return part;
}

static void start(classic_stream *s) {
    s->hash = 0;
    for (unsigned i = 0; i < MIN_MATCH - 1; i++)
        hash_byte(s, s->window[i]);
    s->started = true;
}

/* Parse while enough lies ahead, or to the end. */
static void parse(classic_stream *s, bit_writer *out) {
    if (!s->started && (s->ahead >= MIN_LOOKAHEAD || s->ended))
        start(s);
    while (s->ahead >= MIN_LOOKAHEAD || (s->ended && s->ahead != 0)) {
        if (s->level <= 3)
            step_fast(s, out);
        else
            step_lazy(s, out);
    }
}

static void stream_init(classic_stream *s, int level, bool gnu) {
    memset(s, 0, sizeof *s);
    s->gnu = gnu;
    s->level = level;
    s->rules = RULES[level];
    s->capacity = gnu ? GNU_TOKENS : ZLIB_TOKENS;
    s->length = level <= 3 ? 0 : MIN_MATCH - 1;
    new_block(s);
}

static void gnu_init(void *state, int level) {
    stream_init(state, level, true);
}

static void zlib_init(void *state, int level) {
    stream_init(state, level, false);
}

static size_t stream_bound(const void *state, size_t n) {
    const classic_stream *s = state;
    /* No way of coding is worse than the fixed codes: 9 bits a literal, 31 for a match of
     * three bytes and more. Early ends come every GNU_LOOK tokens at most. */
    size_t unparsed = s->ahead + n + 1;
    size_t blocks = (s->tokens + unparsed) / GNU_LOOK + 2;
    return s->tokens * 4u + unparsed / 8 * 11 + 11 + blocks * 8 + 2 * BITS_SLACK;
}

static size_t stream_write(void *state, const uint8_t *data, size_t n, uint8_t *out) {
    classic_stream *s = state;
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    while (n > 0) {
        if (s->ahead < MIN_LOOKAHEAD) {
            size_t part = fill(s, data, n);
            data += part;
            n -= part;
        }
        parse(s, &w);
    }
    bits_flush(&w);
    s->word = w.word;
    s->count = w.count;
    return (size_t)(w.next - w.start);
}

static size_t stream_finish(void *state, uint8_t *out) {
    classic_stream *s = state;
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    /* The window moves once more where it would have for input. */
    fill(s, s->window, 0);
    if (s->gnu) /* gzip's fill_window: what follows the input is hashed, so it is made known */
        memset(s->window + s->at + s->ahead, 0, MIN_MATCH - 1);
    s->ended = true;
    parse(s, &w);
    if (s->waiting)
        token(s, 0, s->window[s->at - 1]);
    end_block(s, true, &w);
    bits_align(&w);
    return (size_t)(w.next - w.start);
}

const token_encoder classic_gnu = {
    .state_size = sizeof(classic_stream),
    .init = gnu_init,
    .bound = stream_bound,
    .write = stream_write,
    .finish = stream_finish,
};

const token_encoder classic_zlib = {
    .state_size = sizeof(classic_stream),
    .init = zlib_init,
    .bound = stream_bound,
    .write = stream_write,
    .finish = stream_finish,
};
