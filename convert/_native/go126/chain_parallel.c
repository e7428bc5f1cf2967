/*
 * Levels 2 to 9 of go1.26 on many cores (two_step.h).
 *
 * Segments are parsed apart, each after some input of the one before. Joining looks
 * whether the tokens of the stream so far end where a token of the next segment ends, with
 * the parser in the same state (go126_chain.c says what that is); if not, input is parsed
 * again from there until they meet. Blocks are then cut from the joined tokens.
 *
 * What was not parsed apart is parsed from where a token of the stream ends, which is as good
 * a place to start as any.
 */
#include <string.h>

#include "deflate/bit_span.h"
#include "go126/chain.h"
#include "parallel/memory.h"
#include "parallel/two_step.h"

enum {
    /* Parsed before a segment at lazy levels, where any common token boundary will do. */
    WARMUP_LAZY = 2048,
    /* At greedy levels both parses must have agreed for a whole window. */
    WARMUP_GREEDY = 3 * WINDOW_SIZE,
    BEFORE = WARMUP_GREEDY + WINDOW_SIZE,
    AFTER = 1024, /* the last token's reach, and the lookahead behind it */
    /* A token can end this far behind a segment. */
    OVERHANG = CHAIN_MAX_MATCH,
    /* Greedy: how often, in bytes, a repair looks whether it has met the guess. */
    MEETING_STEP = 512,
    FIXED_TOKEN_BYTES = 4,
    BLOCK_OVERHEAD = 16,
};

typedef struct {
    int level;
    segment_input input;
    uint64_t first; /* stream position of the first token kept: at or behind the segment's start */
    uint64_t end;   /* and behind the last: likewise for the segment's end */
    token_list tokens;
    entered_set entered; /* greedy: at `first` */
    chain_parser parser;
} chain_segment;

typedef struct {
    coding_bits made; /* first of all: see there */
    segment_input input;
    chain_cutter cutter; /* as it stood before the first block */
    token_list tokens;
    uint8_t *bits;
} chain_coding;

typedef struct {
    int level;
    chain_cutter cutter;
    uint64_t position; /* tokens are known up to here */
    token_list tokens; /* the last of them, that are in no block yet */
    sequence sequences[CHAIN_BLOCK_TOKENS];
    uint8_t literals[CHAIN_BLOCK_TOKENS];
    uint64_t repaired;
    entered_set entered; /* greedy: at `position` */
    chain_parser parser; /* for repairs, and without a guess */
} chain_joiner;

/* ---- Greedy levels: what is in the chains ---------------------------------------------- */

static void set_entered(entered_set *set, uint64_t position, bool is) {
    uint64_t bit = UINT64_C(1) << (position & 63);
    uint64_t *word = &set->word[position % WINDOW_SIZE / 64];
    *word = is ? *word | bit : *word & ~bit;
}

static void enter_literals(entered_set *set, uint64_t position, uint64_t n) {
    for (uint64_t i = n > WINDOW_SIZE ? n - WINDOW_SIZE : 0; i < n; i++)
        set_entered(set, position + i, true);
}

static void enter_match(entered_set *set, uint64_t position, uint32_t length, uint32_t skip) {
    set_entered(set, position, true);
    for (uint32_t i = 1; i < length; i++)
        set_entered(set, position + i, length <= skip);
}

/* A walk over tokens, one literal run or match at a time. */
typedef struct {
    const token_list *list;
    size_t index;
    uint32_t skip; /* literals of the sequence at index that are behind us */
    size_t literals;
    uint64_t position;
} token_walk;

static uint32_t run_left(const token_walk *w) {
    uint32_t run =
        w->index < w->list->count ? w->list->sequences[w->index].literals : w->list->tail;
    return run - w->skip;
}

static bool walk_done(const token_walk *w) {
    return w->index == w->list->count && run_left(w) == 0;
}

/* Step over literals up to `limit`, or over the match behind them. */
static void walk_step(token_walk *w, uint64_t limit, entered_set *set, uint32_t skip) {
    uint32_t run = run_left(w);
    if (run > 0) {
        uint32_t n = limit - w->position < run ? (uint32_t)(limit - w->position) : run;
        if (set != NULL)
            enter_literals(set, w->position, n);
        w->skip += n;
        w->literals += n;
        w->position += n;
    } else {
        uint32_t length = w->list->sequences[w->index].length + 3u;
        if (set != NULL)
            enter_match(set, w->position, length, skip);
        w->index++;
        w->skip = 0;
        w->position += length;
    }
}

static void clear_tokens(token_list *list) {
    list->count = 0;
    list->literal_count = 0;
    list->tail = 0;
}

/* ---- Segments --------------------------------------------------------------------------- */

static size_t max_sequences(size_t size) {
    return (size + WARMUP_GREEDY + OVERHANG) / CHAIN_MIN_MATCH + 2;
}

static size_t max_literals(size_t size) {
    return size + WARMUP_GREEDY + OVERHANG;
}

static size_t segment_memory(encoder_profile profile, size_t size) {
    (void)profile;
    return aligned(sizeof(chain_segment)) + aligned(max_sequences(size) * sizeof(sequence)) +
           aligned(max_literals(size));
}

static void *segment_init(void *memory, encoder_profile profile, const segment_input *input) {
    uint8_t *p = memory;
    chain_segment *s = memory;
    s->level = profile.level;
    s->input = *input;
    p += aligned(sizeof *s);
    s->tokens = (token_list){.sequences = (sequence *)(void *)p};
    p += aligned(max_sequences(input->size) * sizeof(sequence));
    s->tokens.literals = p;
    return s;
}

/* The input as the parser sees it, from the first byte there is. */
static chain_input whole_input(const segment_input *input) {
    return (chain_input){
        .data = input->data - input->before,
        .size = input->before + input->size + input->after,
        .origin = input->position - input->before,
        .final = input->last,
    };
}

/* Everything before this is in tokens for good. */
static uint64_t settled(const chain_parser *p, const chain_input *in) {
    return in->origin + p->next - (p->literal_waits ? 1 : 0);
}

static void segment_run(void *segment, const void *previous) {
    (void)previous; /* what is before a segment says all */
    chain_segment *s = segment;
    chain_parser *p = &s->parser;
    chain_input in = whole_input(&s->input);
    bool greedy;
    size_t begin = s->input.before;
    size_t stop = begin + s->input.size;

    chain_init(p, s->level);
    greedy = p->rules.lazy == 0;
    memset(&s->entered, 0, sizeof s->entered);
    if (s->input.position == 0) {
        s->first = 0;
    } else {
        size_t warmup = greedy ? WARMUP_GREEDY : WARMUP_LAZY;
        if (warmup > begin)
            warmup = begin;
        chain_start(p, s->level, &in, begin - warmup, NULL);
        uint64_t position = in.origin + begin - warmup;
        chain_parse(p, &in, begin, &s->tokens);
        s->first = settled(p, &in);
        if (greedy) {
            token_walk walk = {.list = &s->tokens, .position = position};
            while (!walk_done(&walk))
                walk_step(&walk, UINT64_MAX, &s->entered, p->rules.skip);
        }
        clear_tokens(&s->tokens);
    }
    if (s->first < in.origin + stop)
        chain_parse(p, &in, s->input.last ? SIZE_MAX : stop, &s->tokens);
    s->end = settled(p, &in);
}

/* ---- Joining ---------------------------------------------------------------------------- */

static size_t joiner_memory(encoder_profile profile) {
    (void)profile;
    return sizeof(chain_joiner);
}

static void *joiner_init(void *memory, encoder_profile profile) {
    chain_joiner *j = memory;
    memset(j, 0, sizeof *j);
    j->tokens.sequences = j->sequences;
    j->tokens.literals = j->literals;
    j->level = profile.level;
    chain_init(&j->parser, j->level);
    j->cutter.lazy = j->parser.rules.lazy != 0;
    return j;
}

static uint64_t repaired(const void *joiner) {
    return ((const chain_joiner *)joiner)->repaired;
}

/* Tokens that a coding can get: the segment's, or as many from a repair, and fewer than a
 * block's that were left before. */
static size_t coding_sequences(size_t size) {
    return max_sequences(size) + CHAIN_BLOCK_TOKENS + 1;
}

static size_t coding_literals(size_t size) {
    return max_literals(size) + CHAIN_BLOCK_TOKENS;
}

static size_t bits_size(size_t size) {
    /* No block is larger than in the fixed code: 9 bits for a literal, 31 for a match. */
    size_t bytes = size + OVERHANG;
    return CHAIN_BLOCK_TOKENS * FIXED_TOKEN_BYTES + bytes / 8 * 9 + 16 +
           (bytes / CHAIN_BLOCK_TOKENS + 3) * BLOCK_OVERHEAD + BITS_SLACK;
}

static size_t coding_memory(encoder_profile profile, size_t size) {
    (void)profile;
    return aligned(sizeof(chain_coding)) + aligned(coding_sequences(size) * sizeof(sequence)) +
           aligned(coding_literals(size)) + bits_size(size);
}

static chain_coding *coding_init(void *memory, const segment_input *input) {
    uint8_t *p = memory;
    chain_coding *c = memory;
    memset(c, 0, sizeof *c);
    c->input = *input;
    p += aligned(sizeof *c);
    c->tokens.sequences = (sequence *)(void *)p;
    p += aligned(coding_sequences(input->size) * sizeof(sequence));
    c->tokens.literals = p;
    p += aligned(coding_literals(input->size));
    c->bits = p;
    return c;
}

/* Add the tokens from a walk's place on. */
static void append_tokens(token_list *to, const token_walk *from) {
    const token_list *list = from->list;
    size_t n = list->count - from->index;
    if (n > 0) {
        memcpy(to->sequences + to->count, list->sequences + from->index, n * sizeof(sequence));
        to->sequences[to->count].literals += to->tail - from->skip;
        to->count += n;
        to->tail = list->tail;
    } else {
        to->tail += list->tail - from->skip;
    }
    size_t literals = list->literal_count - from->literals;
    memcpy(to->literals + to->literal_count, list->literals + from->literals, literals);
    to->literal_count += literals;
}

static bool same_set(const entered_set *a, const entered_set *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* Parse on until a token ends at or behind index `stop`, and keep count of what is entered. */
static void parse_on(chain_joiner *j, const chain_input *in, size_t stop, token_list *tokens) {
    token_walk walk = {.list = tokens,
                       .index = tokens->count,
                       .skip = tokens->tail,
                       .position = j->position};
    chain_parse(&j->parser, in, stop, tokens);
    j->position = settled(&j->parser, in);
    while (!j->cutter.lazy && !walk_done(&walk))
        walk_step(&walk, UINT64_MAX, &j->entered, j->parser.rules.skip);
}

/*
 * Bring the walk over the segment's tokens to a place where the true stream stands too and
 * from where both go on alike, adding true tokens to the coding until there is one, or to
 * the segment's end.
 */
static void meet(chain_joiner *j, const chain_segment *s, token_walk *walk, chain_coding *c) {
    bool greedy = !j->cutter.lazy;
    uint32_t skip = j->parser.rules.skip;
    if (walk->position == j->position && (!greedy || same_set(&j->entered, &s->entered)))
        return;

    chain_input in = whole_input(&s->input);
    entered_set guess = s->entered;
    uint64_t began = j->position;
    size_t stop = s->input.last ? in.size : s->input.before + s->input.size;
    uint64_t look_again = 0;
    chain_start(&j->parser, j->level, &in, (size_t)(began - in.origin),
                greedy ? &j->entered : NULL);
    for (;;) {
        /* The guess up to where the truth is ... */
        while (walk->position < j->position && !walk_done(walk))
            walk_step(walk, j->position, greedy ? &guess : NULL, skip);
        if (walk->position == j->position) {
            if (!greedy)
                break;
            if (j->position >= look_again) {
                if (same_set(&j->entered, &guess))
                    break;
                look_again = j->position + MEETING_STEP;
            }
        }
        if (j->position >= in.origin + stop)
            break;
        /* ... and the truth one token on, or more. */
        parse_on(j, &in, (size_t)(j->position - in.origin) + 1, &c->tokens);
    }
    j->repaired += j->position - began;
}

/*
 * Cut off all whole blocks, at the end of the stream what is left behind them too, and code
 * them if `out` is not NULL. Gives a walk that stands behind them.
 */
static token_walk take_blocks(chain_cutter *cutter, const token_list *list,
                              const segment_input *input, bit_writer *out) {
    uint64_t origin = input->position - input->before;
    uint64_t end = input->position + input->size + input->after;
    token_walk at = {.list = list, .position = cutter->position};
    chain_block block;
    while (chain_cut(cutter, list, at.index, at.skip, input->last, end, &block)) {
        /* Blocks begun further back than the input at hand are too large to be stored. */
        bool storable = block.storable && at.position >= origin;
        token_block tokens = {
            .data = storable ? input->data - input->before + (at.position - origin) : NULL,
            .size = block.size,
            .literals = list->literals + at.literals,
            .literal_count = block.literals,
            .sequences = list->sequences + at.index,
            .count = block.sequences,
            .skip = at.skip,
            .tail = block.tail,
        };
        if (out != NULL)
            go126_code_smallest(&tokens, out);
        at.position = cutter->position;
        at.literals += block.literals;
        at.skip = block.tail + (block.sequences == 0 ? at.skip : 0);
        at.index += block.sequences;
    }
    return at;
}

/* Add the true tokens up to the end of the input. */
static void parse_here(chain_joiner *j, const segment_input *input, chain_coding *c) {
    chain_input in = whole_input(input);
    size_t at = (size_t)(j->position - in.origin);
    size_t stop = input->before + input->size;
    if (at >= stop)
        return;
    chain_start(&j->parser, j->level, &in, at, j->cutter.lazy ? NULL : &j->entered);
    parse_on(j, &in, input->last ? SIZE_MAX : stop, &c->tokens);
}

/* The same where a segment has most of them already. */
static void take_tokens(chain_joiner *j, const chain_segment *s, chain_coding *c) {
    token_walk walk = {.list = &s->tokens, .position = s->first};
    meet(j, s, &walk, c);
    if (walk.position != j->position)
        return;
    append_tokens(&c->tokens, &walk);
    /* Only the last window of it can matter later, but it is all cheap. */
    while (!j->cutter.lazy && !walk_done(&walk))
        walk_step(&walk, UINT64_MAX, &j->entered, j->parser.rules.skip);
    j->position = s->end;
}

static bool join(void *joiner, const segment_input *input, const void *segment, void *coding) {
    chain_joiner *j = joiner;
    chain_coding *c = coding_init(coding, input);
    c->cutter = j->cutter;
    append_tokens(&c->tokens, &(token_walk){.list = &j->tokens});
    if (segment != NULL)
        take_tokens(j, segment, c);
    else
        parse_here(j, input, c);

    token_walk left = take_blocks(&j->cutter, &c->tokens, input, NULL);
    clear_tokens(&j->tokens);
    append_tokens(&j->tokens, &left);
    return false;
}

static void end(void *joiner, bit_writer *out) {
    (void)joiner;
    go126_code_end(NULL, out);
}

/* ---- Coding ----------------------------------------------------------------------------- */

static void coding_run(void *coding) {
    chain_coding *c = coding;
    bit_writer w;
    bits_init(&w, c->bits);
    take_blocks(&c->cutter, &c->tokens, &c->input, &w);
    c->made.piece = bits_piece(&w);
}

static two_step_geometry geometry(encoder_profile profile) {
    (void)profile;
    return (two_step_geometry){.unit = 1, .before = BEFORE, .after = AFTER, .history = BEFORE};
}

const two_step_encoder go126_chain_two_step = {
    .geometry = geometry,
    .segment_memory = segment_memory,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .joiner_memory = joiner_memory,
    .joiner_init = joiner_init,
    .coding_memory = coding_memory,
    .join = join,
    .coding_run = coding_run,
    .end = end,
    .repaired = repaired,
};
