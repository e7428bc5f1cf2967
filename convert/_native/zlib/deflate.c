/*
 * The deflate that zlib, GNU gzip and busybox have in common since 1993.
 *
 * Algorithm: hash chains over a sliding window, lazy matching from level 4 on. Its programs differ
 * a little:
 *
 *   GNU gzip   (deflate.c of 1.2.4 to 1.13): blocks of up to 32767 tokens, ended early where
 *              literals compress badly; searches for matches past the end of the input, in what
 *              the window held before. With --rsyncable (from 1.7 on, and in Debian's earlier
 *              ones) a block also ends, padded to a whole byte, where the sum of the last 4096
 *              bytes is a multiple of 4096: what follows does not depend on what was before.
 *   busybox    (archival/gzip.c): gzip 1.2.4 with CONFIG_GZIP_FAST=0, level 6, a smaller hash
 *              table and blocks of up to 8191 tokens.
 *   zlib       (1.2.x and 1.3.x with memLevel 8): blocks of up to 16383 tokens; near the end it
 *              is content with a match up to the end of the input.
 *
 * Why the bytes are theirs: the bytes depend on the state of the window as well as on the rules,
 * so the window is filled and moved when theirs is, given all input at once: 64 KiB, the upper
 * half moved down when it is full and fewer than MIN_LOOKAHEAD bytes follow. Nothing is parsed
 * before that many bytes are known. Chains are stored differently (see `links`), but list the same
 * positions in the same order.
 */
#include "zlib/deflate.h"

#include <string.h>

#include "deflate/match.h"

enum {
    MIN_MATCH = ZLIB_MIN_MATCH,
    MAX_MATCH = ZLIB_MAX_MATCH,
    MIN_LOOKAHEAD = MAX_MATCH + MIN_MATCH + 1,
    MAX_DISTANCE = WINDOW_SIZE - MIN_LOOKAHEAD,
    NO_MATCH = MIN_MATCH - 1,
    FAR = 4096,  /* a match of three bytes from further back costs more than it saves */
    NOTHING = 0, /* no match refers to window position 0 */
    /* The distance of a link to nowhere: too far from any position that can read the link. */
    NO_LINK = WINDOW_SIZE,
    LAST_FAST_LEVEL = 3,

    GNU_CHECK = 4096,         /* gzip considers ending a block after every so many tokens */
    LEAST_TOKENS = GNU_CHECK, /* of a block that is not ended by a rolling sum */
    SUM_WINDOW = 4096,        /* rsyncable: bytes in the rolling sum */
    NO_CUT = -1,
};

static const zlib_level LEVELS[10] = {
    {0, 0, 0, 0},      {4, 4, 8, 4},         {4, 5, 16, 8},        {4, 6, 32, 32}, /* fast */
    {4, 4, 16, 16},    {8, 16, 32, 32},      {8, 16, 128, 128},                    /* lazy */
    {8, 32, 128, 256}, {32, 128, 258, 1024}, {32, 258, 258, 4096},
};

const zlib_program zlib_zlib = {.hash_bits = 15, .tokens = 16383};
const zlib_program zlib_gnu_gzip = {
    .gnu = true, .search_bounded = true, .end_cleared = true, .hash_bits = 15, .tokens = 32767};
const zlib_program zlib_gnu_rsyncable = {.gnu = true,
                                         .search_bounded = true,
                                         .end_cleared = true,
                                         .rsyncable = true,
                                         .hash_bits = 15,
                                         .tokens = 32767};
const zlib_program zlib_busybox = {.gnu = true, .hash_bits = 13, .tokens = 8191};

/* ---- Blocks ------------------------------------------------------------------------------ */

static void end_block(zlib_stream *s, bool last, bit_writer *out) {
    const uint8_t *data = s->block >= 0 ? s->window + s->block : NULL;
    zlib_write_block(&s->tokens, data, (size_t)((long)s->at - s->block), last, out);
    s->block = (long)s->at;
}

/* Whether gzip ends the block here: many literals, and half the size is saved anyway. */
static NEVER_INLINE bool gnu_ends_early(const zlib_stream *s) {
    const zlib_tokens *t = &s->tokens;
    if (s->level_number <= 2 || t->matches >= t->count / 2)
        return false;
    uint64_t bits = (uint64_t)t->count * 8;
    for (unsigned i = 0; i < OFFSET_CODES; i++)
        bits += (uint64_t)t->distance_count[i] * (5 + deflate_offset_extra_bits[i]);
    return bits >> 3 < (uint64_t)((long)s->at - s->block) / 2;
}

/* Whether the block ends with the token that was added last. */
static ALWAYS_INLINE bool block_ends(const zlib_stream *s, bool gnu) {
    if (s->tokens.count == s->program->tokens)
        return true;
    return gnu && s->tokens.count % GNU_CHECK == 0 && gnu_ends_early(s);
}

/* ---- The rolling sum --------------------------------------------------------------------- */

/* Take n bytes at a position into the sum. Only at the start of the stream is there nothing to
 * take out of it. */
static void roll(zlib_stream *s, unsigned position, unsigned n) {
    const uint8_t *w = s->window;
    uint32_t sum = s->sum;
    for (unsigned i = position; i < position + n; i++) {
        sum += w[i];
        if (i < SUM_WINDOW)
            continue;
        sum -= w[i - SUM_WINDOW];
        if (sum % SUM_WINDOW == 0 && s->cut == NO_CUT)
            s->cut = (long)i;
    }
    s->sum = sum;
}

/* Whether the block is to be cut here. */
static bool take_cut(zlib_stream *s) {
    if (s->cut == NO_CUT || (long)s->at <= s->cut)
        return false;
    s->cut = NO_CUT;
    return true;
}

/* End the block, and fill the last byte by an empty stored block. */
static void end_padded(zlib_stream *s, bit_writer *out) {
    end_block(s, false, out);
    bits_flush(out);
    if (out->count != 0)
        bits_stored(out, NULL, 0, false);
}

/* ---- Chains ------------------------------------------------------------------------------ */

/* Enter the string at a position; return the position of the one before it in its chain. */
static ALWAYS_INLINE unsigned enter(zlib_stream *s, unsigned position) {
    uint32_t v = load32(s->window + position);
    uint16_t *head = &s->head[(v << 10 ^ (v >> 3 & 0x1fe0) ^ (v >> 16 & 0xff)) & s->hash_mask];
    unsigned before = *head;
    *head = (uint16_t)position;
    /* Computed in any case: whether there is a string before it cannot be predicted. */
    uint64_t chained = ((before + s->window_base) & 0xffff) | s->links[before % WINDOW_SIZE] << 16;
    uint64_t none = (position + s->window_base - NO_LINK) & 0xffff;
    uint64_t far = 0 - (uint64_t)((before == NOTHING) | (position - before > MAX_DISTANCE));
    s->links[position % WINDOW_SIZE] = (chained & ~far) | (none & far);
    return before;
}

/* A search: the best match so far, and what a longer one must satisfy. */
typedef struct {
    const uint8_t *here;
    unsigned most;   /* bytes that may be compared */
    unsigned enough; /* a match this long ends the search */
    unsigned best, distance;
    /* A longer match is equal in the bytes that end one behind the best one: four, or three. */
    const uint8_t *tail;
    uint32_t mask, want;
} search;

static inline void set_best(search *m, unsigned length) {
    bool short_tail = length < MIN_MATCH;
    m->best = length;
    m->tail = short_tail ? m->here : m->here + length - 3;
    m->mask = short_tail ? 0xffffff : 0xffffffff;
    m->want = load32(m->tail) & m->mask;
}

/* Check a candidate that has `want`: take it if it is longer; return whether it ends the search. */
static NEVER_INLINE bool improve(search *m, unsigned distance) {
    unsigned n = (unsigned)match_length(m->here, m->here - distance, m->most);
    if (n <= m->best)
        return false;
    m->distance = distance;
    if (n >= m->enough) {
        m->best = n;
        return true;
    }
    set_best(m, n);
    return false;
}

/*
 * Search among `tries` candidates, a multiple of four, from the chain that begins with the link
 * of `here`, within max_distance. Of equally long matches the nearest wins.
 *
 * Walking a chain means waiting for one load after the other, so each link holds the next four
 * positions. Each is at most a window further back than the one before: the first that is too far
 * ends the chain. Distances are negative here, because then one comparison detects both a
 * candidate that is too far and one that wrapped around.
 */
static void find_match(const uint64_t *links, search *m, unsigned here, unsigned tries,
                       unsigned max_distance) {
    const uint8_t *tail = m->tail;
    uint32_t want = m->want, mask = m->mask;
    const uint32_t furthest = 0 - max_distance;
    uint64_t link = links[here % WINDOW_SIZE];
    for (;;) {
        uint64_t next = links[link >> 48 & (WINDOW_SIZE - 1)];
        for (int i = 0; i < 4; i++) {
            int32_t back = (int16_t)(uint16_t)(link - here);
            link >>= 16;
            if ((uint32_t)back < furthest)
                return;
            if ((load32(tail + back) & mask) == want) {
                if (improve(m, (unsigned)-back))
                    return;
                tail = m->tail;
                want = m->want;
                mask = m->mask;
            }
        }
        tries -= 4;
        if (tries == 0)
            return;
        link = next;
    }
}

/* The longest match at a position longer than `least`, whose latest candidate is at `nearest`;
 * `least` if there is none. */
static ALWAYS_INLINE unsigned longest_match(const zlib_stream *s, unsigned at, unsigned nearest,
                                            unsigned least, unsigned *distance, bool gnu) {
    unsigned lookahead = s->end - at;
    search m = {.here = s->window + at, .most = MAX_MATCH, .enough = s->level.nice};
    if (!gnu && m.most > lookahead)
        m.most = lookahead;
    if (!gnu && m.enough > lookahead)
        m.enough = lookahead;
    /* The programs let only the first candidate be this far away. */
    unsigned max_distance = MAX_DISTANCE;
    if (at - nearest < MAX_DISTANCE)
        max_distance = at > MAX_DISTANCE ? MAX_DISTANCE - 1 : at - 1;
    unsigned tries = least >= s->level.good ? s->level.chain / 4u : s->level.chain;
    set_best(&m, least);
    find_match(s->links, &m, (at + s->window_base) & 0xffff, tries, max_distance);
    if (m.best > least)
        *distance = m.distance;
    return m.best < lookahead ? m.best : lookahead;
}

static ALWAYS_INLINE bool can_match(const zlib_stream *s, unsigned at, unsigned candidate) {
    return candidate != NOTHING && at - candidate <= MAX_DISTANCE && at <= s->search_end;
}

/* ---- Steps ------------------------------------------------------------------------------- */

/* zlib enters no string that extends past the input. */
static ALWAYS_INLINE bool may_enter(const zlib_stream *s, unsigned position, bool gnu) {
    return gnu || position + MIN_MATCH <= s->end;
}

/* End the block in front of `at` if it ends with the last token or is cut there. */
static ALWAYS_INLINE void finish_token(zlib_stream *s, bool ends, bool rsyncable, bit_writer *out) {
    if (rsyncable && take_cut(s))
        end_padded(s, out);
    else if (ends)
        end_block(s, false, out);
}

static ALWAYS_INLINE void step_fast(zlib_stream *s, bit_writer *out, bool gnu, bool rsyncable) {
    const unsigned at = s->at;
    unsigned length = 1, distance = 0;
    unsigned candidate = may_enter(s, at, gnu) ? enter(s, at) : NOTHING;
    if (can_match(s, at, candidate))
        length = longest_match(s, at, candidate, NO_MATCH, &distance, gnu);
    if (length >= MIN_MATCH)
        zlib_add_match(&s->tokens, distance, length);
    else
        zlib_add_literal(&s->tokens, s->window[at]);
    bool ends = block_ends(s, gnu);
    if (length < MIN_MATCH)
        length = 1;
    else if (length <= s->level.lazy && (gnu || s->end - at - length >= MIN_MATCH))
        for (unsigned i = 1; i < length; i++)
            enter(s, at + i);
    if (rsyncable)
        roll(s, at, length);
    s->at = at + length;
    finish_token(s, ends, rsyncable, out);
}

/* Write the match that was found one byte before. */
static ALWAYS_INLINE void write_match(zlib_stream *s, unsigned length, bit_writer *out, bool gnu,
                                      bool rsyncable) {
    const unsigned at = s->at, after = at + length - 1;
    zlib_add_match(&s->tokens, s->distance, length);
    bool ends = block_ends(s, gnu);
    if (rsyncable)
        roll(s, at, length - 1);
    unsigned last = gnu || after + MIN_MATCH - 1 <= s->end ? after : s->end - MIN_MATCH + 1;
    for (unsigned i = at + 1; i < last; i++)
        enter(s, i);
    s->at = after;
    s->pending = false;
    s->length = NO_MATCH;
    finish_token(s, ends, rsyncable, out);
}

static ALWAYS_INLINE void step_lazy(zlib_stream *s, bit_writer *out, bool gnu, bool rsyncable) {
    const unsigned at = s->at;
    unsigned candidate = may_enter(s, at, gnu) ? enter(s, at) : NOTHING;
    unsigned before = s->length, length = NO_MATCH, distance = 0;
    if (before < s->level.lazy && can_match(s, at, candidate)) {
        length = longest_match(s, at, candidate, before, &distance, gnu);
        if (length == MIN_MATCH && distance > FAR)
            length = NO_MATCH;
    }
    if (before >= MIN_MATCH && length <= before) {
        write_match(s, before, out, gnu, rsyncable);
        return;
    }
    s->length = length;
    s->distance = distance;
    bool ends = false;
    if (s->pending) {
        zlib_add_literal(&s->tokens, s->window[at - 1]);
        ends = block_ends(s, gnu);
    }
    /* gzip looks for a cut before it rolls past the byte, and ends a block without tokens too. */
    finish_token(s, ends, rsyncable, out);
    if (rsyncable)
        roll(s, at, 1);
    s->pending = true;
    s->at = at + 1;
}

/* ---- The window -------------------------------------------------------------------------- */

static void move_window(zlib_stream *s) {
    memcpy(s->window, s->window + WINDOW_SIZE, WINDOW_SIZE);
    s->at -= WINDOW_SIZE;
    s->end -= WINDOW_SIZE;
    s->block -= WINDOW_SIZE;
    s->window_base = (s->window_base + WINDOW_SIZE) & 0xffff;
    if (s->cut != NO_CUT)
        s->cut -= WINDOW_SIZE;
    for (unsigned i = 0; i < 1u << ZLIB_HASH_BITS; i++)
        s->head[i] = (uint16_t)(s->head[i] >= WINDOW_SIZE ? s->head[i] - WINDOW_SIZE : NOTHING);
}

/* Whether the programs would move the window, if it were to be filled now. */
static bool would_move(const zlib_stream *s) {
    return s->at >= WINDOW_SIZE + MAX_DISTANCE;
}

/* Fill the window from the input; return how much was taken. */
static size_t fill(zlib_stream *s, const uint8_t *data, size_t n) {
    /* With all input at hand, the programs move the window only once it is full. */
    if (s->end == ZLIB_WINDOW)
        move_window(s);
    size_t space = ZLIB_WINDOW - s->end;
    size_t part = n < space ? n : space;
    memcpy(s->window + s->end, data, part);
    s->end += (unsigned)part;
    return part;
}

/* Enter the last strings of a dictionary, as far as they end in the input. */
static void enter_owed(zlib_stream *s) {
    for (; s->owed != 0; s->owed--)
        if (s->at - s->owed + MIN_MATCH <= s->end)
            enter(s, s->at - s->owed);
}

/* Parse while enough input follows, or to the end. */
static ALWAYS_INLINE void parse_as(zlib_stream *s, bit_writer *out, bool gnu, bool rsyncable) {
    const bool fast = s->level_number <= LAST_FAST_LEVEL;
    while (s->end - s->at >= MIN_LOOKAHEAD || (s->ended && s->at != s->end)) {
        /* zlib tries to fill the window before every step to the end, gzip no more. */
        if (!gnu && s->end - s->at < MIN_LOOKAHEAD && would_move(s))
            move_window(s);
        if (fast)
            step_fast(s, out, gnu, rsyncable);
        else
            step_lazy(s, out, gnu, rsyncable);
    }
}

static void parse(zlib_stream *s, bit_writer *out) {
    if (s->owed != 0 && (s->end - s->at >= MIN_LOOKAHEAD || s->ended))
        enter_owed(s);
    if (s->program->rsyncable)
        parse_as(s, out, true, true);
    else if (s->program->gnu)
        parse_as(s, out, true, false);
    else
        parse_as(s, out, false, false);
}

/* ---- The stream -------------------------------------------------------------------------- */

void zlib_init(zlib_stream *s, const zlib_program *program, int level) {
    /* Links do not matter before they are entered, nor does the window unless gzip searches it. */
    memset(s, 0, offsetof(zlib_stream, links));
    if (program->gnu)
        memset(s->window, 0, sizeof s->window);
    zlib_clear_tokens(&s->tokens);
    s->program = program;
    s->level_number = level;
    s->level = LEVELS[level];
    s->length = NO_MATCH;
    s->cut = NO_CUT;
    s->hash_mask = (1u << program->hash_bits) - 1;
    s->search_end = program->search_bounded ? ZLIB_WINDOW - MIN_LOOKAHEAD : ZLIB_WINDOW;
}

void zlib_set_dictionary(zlib_stream *s, const uint8_t *data, size_t n) {
    memcpy(s->window, data, n);
    /* The last strings need bytes that are not there yet; zlib enters them when they are. */
    s->owed = (unsigned)(n < MIN_MATCH - 1 ? n : MIN_MATCH - 1);
    for (unsigned i = 0; i + MIN_MATCH <= n; i++)
        enter(s, i);
    s->at = s->end = (unsigned)n;
    s->block = (long)n;
}

/* For so many tokens, and bytes that are in no token yet. */
static size_t bound_of(const zlib_program *program, size_t tokens, size_t unparsed) {
    /* No choice is larger than the fixed codes: 9 bits for a literal, 31 for a match of three
     * bytes or more. A block that is cut has at least one byte, and costs at most a header, an end
     * and an empty block besides. */
    size_t blocks = (tokens + unparsed) / LEAST_TOKENS + 2;
    size_t cuts = program->rsyncable ? unparsed : 0;
    return tokens * 4 + unparsed / 8 * 11 + 11 + (blocks + cuts) * 8 + 2 * BITS_SLACK;
}

size_t zlib_bound_of(const zlib_program *program, size_t n) {
    return bound_of(program, 0, n + 1);
}

size_t zlib_bound(const zlib_stream *s, size_t n) {
    return bound_of(s->program, s->tokens.count, s->end - s->at + n + 1);
}

void zlib_write(zlib_stream *s, const uint8_t *data, size_t n, bit_writer *out) {
    while (n > 0) {
        if (s->end - s->at < MIN_LOOKAHEAD) {
            size_t part = fill(s, data, n);
            data += part;
            n -= part;
        }
        parse(s, out);
    }
}

void zlib_end(zlib_stream *s, bool last, bit_writer *out) {
    /* gzip finds the end of its input when it tries to fill the window. */
    if (s->program->gnu && would_move(s))
        move_window(s);
    if (s->program->end_cleared)
        memset(s->window + s->end, 0, MIN_MATCH - 1);
    s->ended = true;
    parse(s, out);
    if (s->pending)
        zlib_add_literal(&s->tokens, s->window[s->at - 1]);
    if (last || s->tokens.count != 0)
        end_block(s, last, out);
}
