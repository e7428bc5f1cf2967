/*
 * The deflate that GNU gzip and zlib have in common since 1993.
 *
 * Algorithm: hash chains over a sliding window, lazy matching from level 4 on, Huffman codes by a
 * heap. Two programs write its bytes, with small differences:
 *
 *   GNU gzip   (deflate.c, trees.c of 1.2.4 to 1.13): blocks of up to 32767 tokens, ended early
 *              where literals compress badly; searches for matches past the end of the input, in
 *              what the window held before.
 *   zlib       (1.2.x and 1.3.x with memLevel 8): blocks of up to 16383 tokens; near the end it
 *              is content with a match up to the end of the input.
 *
 * Why the bytes are theirs: the bytes depend on the state of the window as well as on the rules,
 * so the window is filled and moved when theirs is: 64 KiB, the upper half moved down when fewer
 * than MIN_LOOKAHEAD bytes follow and less space than that would remain. How the input is split
 * into calls changes neither, because nothing is parsed before that many bytes are known. Ties in
 * the heap, and the way too long codes are shortened, are theirs too.
 */
#include <string.h>

#include "deflate/tables.h"
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
    NOTHING = 0,    /* no match refers to window position 0 */

    MAX_BITS = 15,
    MAX_CODEGEN_BITS = 7,

    GNU_TOKENS = 32767,
    ZLIB_TOKENS = 16383,
    GNU_CHECK = 4096, /* gzip considers ending a block after every so many tokens */
};

typedef struct {
    uint16_t good; /* with a match of this length, try a quarter of the candidates */
    uint16_t lazy; /* lazy levels: do not search for a better one; fast ones: do not hash inside */
    uint16_t nice; /* a match of this length ends the search */
    uint16_t chain;
} level_rules;

static const level_rules RULES[10] = {
    {0, 0, 0, 0},      {4, 4, 8, 4},         {4, 5, 16, 8},        {4, 6, 32, 32}, /* fast */
    {4, 4, 16, 16},    {8, 16, 32, 32},      {8, 16, 128, 128},                    /* lazy */
    {8, 32, 128, 256}, {32, 128, 258, 1024}, {32, 258, 258, 4096},
};

typedef struct {
    bool gnu;
    int level;
    bool started; /* the hash of the first two bytes is computed */
    bool ended;   /* no input follows */
    level_rules rules;
    unsigned at;        /* window position of the next byte */
    unsigned lookahead; /* bytes from there on */
    long block;         /* where the block begins; negative once that left the window */
    unsigned hash;
    unsigned match;  /* position of the last match found */
    unsigned length; /* its length, at the end of a step */
    bool pending;    /* lazy: the byte before `at` is in no token yet */
    unsigned tokens, matches, capacity;
    uint16_t head[1 << HASH_BITS];
    uint16_t chain[WINDOW_SIZE];
    uint16_t distances[GNU_TOKENS + 1]; /* 0: a literal */
    uint8_t values[GNU_TOKENS + 1];     /* the literal, or length - MIN_MATCH */
    uint16_t literal_count[LITERAL_CODES];
    uint16_t distance_count[OFFSET_CODES];
    uint8_t window[WINDOW + MAX_MATCH]; /* slack for comparing words */
} serial_state;

/* ---- Huffman codes --------------------------------------------------------------------- */

typedef struct {
    huffman_code codes[LITERAL_CODES];
    int last; /* the largest symbol that occurs */
} code_table;

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

/*
 * Build the code for the weights of `symbols` symbols with at most `most` bits.
 *
 * Which of several optimal codes comes out depends on how ties are broken, so the heap,
 * its order and the way too long codes are shortened are part of the bytes.
 */
static void build_code(code_table *h, uint16_t *weights, int symbols, int most) {
    forest f;
    int order[NODES]; /* nodes as they leave the heap, lightest first */
    int left = 0;
    f.size = 0;
    h->last = -1;
    memset(h->codes, 0, sizeof h->codes);
    for (int i = 0; i < symbols; i++) {
        if (weights[i] == 0)
            continue;
        f.heap[++f.size] = (uint16_t)i;
        f.weight[i] = weights[i];
        f.depth[i] = 0;
        h->last = i;
    }
    while (f.size < 2) { /* a code has at least two symbols */
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
            h->codes[n].length = (uint16_t)length;
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
                    h->codes[leaf].length = (uint16_t)length;
                    n--;
                }
            }
    }
    assign_codes(h->codes, symbols);
}

/* ---- Code lengths, run by run ----------------------------------------------------------- */

typedef struct {
    uint8_t symbol[LITERAL_CODES + OFFSET_CODES];
    uint8_t extra[LITERAL_CODES + OFFSET_CODES];
    int count;
    uint16_t weights[CODEGEN_CODES];
} run_list;

static void add_run(run_list *runs, unsigned symbol, unsigned extra) {
    runs->symbol[runs->count] = (uint8_t)symbol;
    runs->extra[runs->count++] = (uint8_t)extra;
    runs->weights[symbol]++;
}

/* Literals and distances are cut into runs separately: no run crosses from one to the other. */
static void add_lengths(run_list *runs, const huffman_code *codes, int symbols) {
    int before = -1;
    for (int i = 0; i < symbols;) {
        unsigned length = codes[i].length;
        int most = length == 0 ? 138 : (int)length == before ? 6 : 7;
        int n = 1;
        while (n < most && i + n < symbols && codes[i + n].length == length)
            n++;
        i += n;
        if (length == 0 && n >= 3) {
            add_run(runs, n <= 10 ? CODEGEN_ZEROS_SHORT : CODEGEN_ZEROS_LONG,
                    (unsigned)(n <= 10 ? n - 3 : n - 11));
        } else if (length != 0 && n >= ((int)length == before ? 3 : 4)) {
            if ((int)length != before) {
                add_run(runs, length, 0);
                n--;
            }
            add_run(runs, CODEGEN_REPEAT, (unsigned)(n - 3));
        } else {
            for (; n > 0; n--)
                add_run(runs, length, 0);
        }
        before = (int)length;
    }
}

static unsigned run_extra_bits(unsigned symbol) {
    return symbol == CODEGEN_REPEAT        ? 2
           : symbol == CODEGEN_ZEROS_SHORT ? 3
           : symbol == CODEGEN_ZEROS_LONG  ? 7
                                           : 0;
}

/* ---- Blocks ------------------------------------------------------------------------------ */

static uint64_t coded_bits(const serial_state *s, const huffman_code *literals,
                           const huffman_code *distances) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < LITERAL_CODES; i++)
        bits += (uint64_t)s->literal_count[i] *
                (literals[i].length +
                 (i >= LENGTH_CODE_0 ? deflate_length_extra_bits[i - LENGTH_CODE_0] : 0u));
    for (unsigned i = 0; i < OFFSET_CODES; i++)
        bits +=
            (uint64_t)s->distance_count[i] * (distances[i].length + deflate_offset_extra_bits[i]);
    return bits;
}

static void put_tokens(const serial_state *s, const huffman_code *literals,
                       const huffman_code *distances, bit_writer *out) {
    for (unsigned i = 0; i < s->tokens; i++) {
        unsigned value = s->values[i];
        if (s->distances[i] == 0) {
            bits_put(out, literals[value].bits, literals[value].length);
            continue;
        }
        unsigned code = deflate_length_codes[value];
        huffman_code length = literals[LENGTH_CODE_0 + code];
        bits_add(out, length.bits, length.length);
        bits_add(out, value - deflate_length_base[code], deflate_length_extra_bits[code]);
        unsigned distance = s->distances[i] - 1u;
        code = offset_code(distance);
        bits_add(out, distances[code].bits, distances[code].length);
        bits_put(out, distance - deflate_offset_base[code], deflate_offset_extra_bits[code]);
    }
    bits_put(out, literals[END_OF_BLOCK].bits, literals[END_OF_BLOCK].length);
}

static void new_block(serial_state *s) {
    memset(s->literal_count, 0, sizeof s->literal_count);
    memset(s->distance_count, 0, sizeof s->distance_count);
    s->literal_count[END_OF_BLOCK] = 1;
    s->tokens = s->matches = 0;
    s->block = (long)s->at;
}

/* Write the tokens in the smallest of the three ways, counted in whole bytes. */
static void end_block(serial_state *s, bool last, bit_writer *out) {
    code_table literals, distances, codegens;
    size_t size = (size_t)((long)s->at - s->block);

    /* Computed first: building a code may add symbols that do not occur to the counts. */
    uint64_t fixed = coded_bits(s, deflate_fixed_literals, deflate_fixed_offsets);
    uint16_t literal_weights[LITERAL_CODES], distance_weights[OFFSET_CODES];
    memcpy(literal_weights, s->literal_count, sizeof literal_weights);
    memcpy(distance_weights, s->distance_count, sizeof distance_weights);
    build_code(&literals, literal_weights, LITERAL_CODES, MAX_BITS);
    build_code(&distances, distance_weights, OFFSET_CODES, MAX_BITS);

    run_list runs = {.count = 0};
    add_lengths(&runs, literals.codes, literals.last + 1);
    add_lengths(&runs, distances.codes, distances.last + 1);
    uint16_t run_weights[CODEGEN_CODES];
    memcpy(run_weights, runs.weights, sizeof run_weights);
    build_code(&codegens, run_weights, CODEGEN_CODES, MAX_CODEGEN_BITS);
    int sent = CODEGEN_CODES;
    while (sent > 4 && codegens.codes[deflate_codegen_order[sent - 1]].length == 0)
        sent--;
    uint64_t dynamic =
        coded_bits(s, literals.codes, distances.codes) + 5 + 5 + 4 + 3 * (uint64_t)sent;
    for (unsigned i = 0; i < CODEGEN_CODES; i++)
        dynamic += (uint64_t)runs.weights[i] * (codegens.codes[i].length + run_extra_bits(i));

    uint64_t fixed_bytes = (fixed + 3 + 7) >> 3, best = (dynamic + 3 + 7) >> 3;
    if (fixed_bytes <= best)
        best = fixed_bytes;
    if (size + 4 <= best && s->block >= 0) {
        bits_stored(out, s->window + s->block, size, last);
    } else if (fixed_bytes == best) {
        bits_put(out, (last ? 1 : 0) | 1 << 1, 3);
        put_tokens(s, deflate_fixed_literals, deflate_fixed_offsets, out);
    } else {
        bits_put(out, (last ? 1 : 0) | 2 << 1, 3);
        bits_put(out, (unsigned)literals.last + 1 - 257, 5);
        bits_put(out, (unsigned)distances.last, 5);
        bits_put(out, (unsigned)sent - 4, 4);
        for (int i = 0; i < sent; i++)
            bits_put(out, codegens.codes[deflate_codegen_order[i]].length, 3);
        for (int i = 0; i < runs.count; i++) {
            unsigned symbol = runs.symbol[i];
            bits_add(out, codegens.codes[symbol].bits, codegens.codes[symbol].length);
            bits_put(out, runs.extra[i], run_extra_bits(symbol));
        }
        put_tokens(s, literals.codes, distances.codes, out);
    }
    new_block(s);
}

/* Whether gzip ends the block here: many literals, and half the size is saved anyway. */
static bool gnu_ends_early(const serial_state *s) {
    if (s->level <= 2 || s->tokens % GNU_CHECK != 0 || s->matches >= s->tokens / 2)
        return false;
    uint64_t bits = (uint64_t)s->tokens * 8;
    for (unsigned i = 0; i < OFFSET_CODES; i++)
        bits += (uint64_t)s->distance_count[i] * (5 + deflate_offset_extra_bits[i]);
    return bits >> 3 < (uint64_t)((long)s->at - s->block) / 2;
}

/* Add a token; return whether the block ends with it. */
static bool add_token(serial_state *s, unsigned distance, unsigned value) {
    s->distances[s->tokens] = (uint16_t)distance;
    s->values[s->tokens++] = (uint8_t)value;
    if (distance == 0) {
        s->literal_count[value]++;
    } else {
        s->matches++;
        s->literal_count[LENGTH_CODE_0 + deflate_length_codes[value]]++;
        s->distance_count[offset_code(distance - 1)]++;
    }
    return (s->gnu && gnu_ends_early(s)) || s->tokens == s->capacity;
}

/* ---- Matching ---------------------------------------------------------------------------- */

static void hash_byte(serial_state *s, unsigned byte) {
    s->hash = (s->hash << HASH_SHIFT ^ byte) & ((1u << HASH_BITS) - 1);
}

/* Enter the string at a position; return the last one with its hash. */
static unsigned enter(serial_state *s, unsigned position) {
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
static unsigned longest_match(serial_state *s, unsigned candidate, unsigned least) {
    const uint8_t *here = s->window + s->at;
    unsigned limit = s->at > MAX_DISTANCE ? s->at - MAX_DISTANCE : NOTHING;
    unsigned left = least >= s->rules.good ? s->rules.chain / 4u : s->rules.chain;
    unsigned nice = s->rules.nice, best = least;
    if (!s->gnu && nice > s->lookahead)
        nice = s->lookahead;
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
    return best < s->lookahead ? best : s->lookahead;
}

static bool can_match(const serial_state *s, unsigned candidate) {
    return candidate != NOTHING && s->at - candidate <= MAX_DISTANCE &&
           (!s->gnu || s->at <= WINDOW - MIN_LOOKAHEAD);
}

/* zlib enters no string that extends past the input. */
static bool may_enter(const serial_state *s, unsigned position, unsigned end) {
    return s->gnu || position + MIN_MATCH <= end;
}

static void step_fast(serial_state *s, bit_writer *out) {
    unsigned end = s->at + s->lookahead;
    unsigned candidate = may_enter(s, s->at, end) ? enter(s, s->at) : NOTHING;
    bool ends;
    if (can_match(s, candidate))
        s->length = longest_match(s, candidate, MIN_MATCH - 1);
    if (s->length >= MIN_MATCH) {
        ends = add_token(s, s->at - s->match, s->length - MIN_MATCH);
        s->lookahead -= s->length;
        if (s->length <= s->rules.lazy && (s->gnu || s->lookahead >= MIN_MATCH)) {
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
        ends = add_token(s, 0, s->window[s->at]);
        s->lookahead--;
        s->at++;
    }
    if (ends)
        end_block(s, false, out);
}

static void step_lazy(serial_state *s, bit_writer *out) {
    unsigned end = s->at + s->lookahead;
    unsigned candidate = may_enter(s, s->at, end) ? enter(s, s->at) : NOTHING;
    unsigned before = s->length, match_before = s->match;
    s->length = MIN_MATCH - 1;
    if (before < s->rules.lazy && can_match(s, candidate)) {
        s->length = longest_match(s, candidate, before);
        if (s->length == MIN_MATCH && s->at - s->match > FAR)
            s->length--;
    }
    if (before >= MIN_MATCH && s->length <= before) {
        bool ends = add_token(s, s->at - 1 - match_before, before - MIN_MATCH);
        s->lookahead -= before - 1;
        for (unsigned n = before - 2; n != 0; n--) {
            s->at++;
            if (may_enter(s, s->at, end))
                enter(s, s->at);
        }
        s->pending = false;
        s->length = MIN_MATCH - 1;
        s->at++;
        if (ends)
            end_block(s, false, out);
        return;
    }
    if (s->pending && add_token(s, 0, s->window[s->at - 1]))
        end_block(s, false, out);
    s->pending = true;
    s->at++;
    s->lookahead--;
}

/* ---- The stream -------------------------------------------------------------------------- */

static void move_window(serial_state *s) {
    memcpy(s->window, s->window + WINDOW_SIZE, WINDOW_SIZE);
    s->match -= WINDOW_SIZE;
    s->at -= WINDOW_SIZE;
    s->block -= WINDOW_SIZE;
    for (unsigned i = 0; i < 1u << HASH_BITS; i++)
        s->head[i] = (uint16_t)(s->head[i] >= WINDOW_SIZE ? s->head[i] - WINDOW_SIZE : NOTHING);
    for (unsigned i = 0; i < WINDOW_SIZE; i++)
        s->chain[i] = (uint16_t)(s->chain[i] >= WINDOW_SIZE ? s->chain[i] - WINDOW_SIZE : NOTHING);
}

/* Fill the window from the input; return how much was taken. */
static size_t fill(serial_state *s, const uint8_t *data, size_t n) {
    if (s->at >= WINDOW_SIZE + MAX_DISTANCE)
        move_window(s);
    size_t space = WINDOW - s->at - s->lookahead;
    size_t part = n < space ? n : space;
    memcpy(s->window + s->at + s->lookahead, data, part);
    s->lookahead += (unsigned)part;
    return part;
}

static void start(serial_state *s) {
    s->hash = 0;
    for (unsigned i = 0; i < MIN_MATCH - 1; i++)
        hash_byte(s, s->window[i]);
    s->started = true;
}

/* Parse while enough input follows, or to the end. */
static void parse(serial_state *s, bit_writer *out) {
    if (!s->started && (s->lookahead >= MIN_LOOKAHEAD || s->ended))
        start(s);
    while (s->lookahead >= MIN_LOOKAHEAD || (s->ended && s->lookahead != 0)) {
        if (s->level <= 3)
            step_fast(s, out);
        else
            step_lazy(s, out);
    }
}

static size_t state_size(encoder_profile profile) {
    (void)profile;
    return sizeof(serial_state);
}

static void init(void *state, encoder_profile profile) {
    serial_state *s = state;
    memset(s, 0, sizeof *s);
    s->gnu = profile.family == FAMILY_GNU_GZIP;
    s->level = profile.level;
    s->rules = RULES[profile.level];
    s->capacity = s->gnu ? GNU_TOKENS : ZLIB_TOKENS;
    s->length = profile.level <= 3 ? 0 : MIN_MATCH - 1;
    new_block(s);
}

static size_t bound(const void *state, size_t n) {
    const serial_state *s = state;
    /* No choice is larger than the fixed codes: 9 bits for a literal, 31 for a match of three
     * bytes or more. Blocks have at least GNU_CHECK tokens. */
    size_t unparsed = s->lookahead + n + 1;
    size_t blocks = (s->tokens + unparsed) / GNU_CHECK + 2;
    return s->tokens * 4u + unparsed / 8 * 11 + 11 + blocks * 8 + 2 * BITS_SLACK;
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    while (n > 0) {
        if (s->lookahead < MIN_LOOKAHEAD) {
            size_t part = fill(s, data, n);
            data += part;
            n -= part;
        }
        parse(s, &w);
    }
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    /* The window moves once more where it would have moved for input. */
    fill(s, s->window, 0);
    if (s->gnu) /* gzip hashes bytes behind the input, which its fill_window sets to zero */
        memset(s->window + s->at + s->lookahead, 0, MIN_MATCH - 1);
    s->ended = true;
    parse(s, &w);
    if (s->pending)
        add_token(s, 0, s->window[s->at - 1]);
    end_block(s, true, &w);
    bits_align(&w);
    return bits_to_tail(&w, tail);
}

const serial_encoder zlib_serial = {
    .state_size = state_size,
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
