/*
 * Go up to 1.26, levels 2 to 9, and Go up to 1.6, levels 1 to 9 (compress/flate/deflate.go).
 *
 * Algorithm: hash chains over four bytes; up to Go 1.6 over three, and matches of three bytes
 * count. Greedy levels (up to 3) take the first match they find; lazy levels (4 to 9) hold a match back for one byte and replace it, by a literal, if a longer
 * one starts there.
 *
 * Why the bytes are Go's: every position is searched and entered under the same conditions, with
 * Go's limits on length, distance and number of candidates, and among equal lengths the nearest
 * candidate wins. A few searches are shortened where Go would discard the result. The chains are
 * stored differently (see `links`), but list the same positions in the same order.
 *
 * Why parsing can start anywhere: at lazy levels every position is entered into the chains, so
 * what a search finds depends on the input and the position alone, and the tokens after a token
 * boundary depend on nothing but that boundary. (This includes a boundary with a pending match:
 * had a match been pending, the literal before the boundary would have been written only because
 * the search at the boundary found a longer one, and a parse that starts at the boundary makes
 * that same search.) At greedy levels the inner bytes of long matches are not entered; there the
 * tokens also depend on which of the last 32 KiB of positions were.
 */
#include "go126/chain.h"

#include <string.h>

#include "deflate/match.h"

enum {
    MAX_MATCH = GO126_CHAIN_MAX_MATCH,
    HASH_SIZE = 1 << GO126_CHAIN_HASH_BITS,
    WINDOW_MASK = WINDOW_SIZE - 1,
    /* A match of the least length from further away costs more than literals do. */
    FAR = 4096,
    /* Links are positions modulo this. */
    LINK_RANGE = 1 << 16,
    /* The distance of a link to nowhere: too far from any position that can read the link, since
     * a whole window later it has wrapped around to 0, which is not a distance either. */
    NO_LINK = WINDOW_SIZE,
    /* Coordinates start here, so that 0 is too far from everything. */
    FIRST = WINDOW_SIZE + 1,
};
static const uint32_t RENUMBER_AT = UINT32_C(1) << 31;

/* level:                                  lazy nice chain skip */
static const go126_chain_rules levels[10] = {[1] = {0, 8, 4, 4}, /* up to Go 1.6 */
                                             [2] = {0, 16, 8, 5},       [3] = {0, 32, 32, 6},
                                             [4] = {4, 16, 16, 0},      [5] = {16, 32, 32, 0},
                                             [6] = {16, 128, 128, 0},   [7] = {32, 128, 256, 0},
                                             [8] = {128, 258, 1024, 0}, [9] = {258, 258, 4096, 0}};

/* Of the first `least` bytes: 4, or 3 up to Go 1.6. So are all constants `least` here. */
static inline uint32_t hash(const uint8_t *p, const uint32_t least) {
    if (least == GO16_CHAIN_MIN_MATCH) /* of Go's rolling hash nothing older is left */
        return (((uint32_t)p[0] << 12) + ((uint32_t)p[1] << 6) + p[2]) & (HASH_SIZE - 1);
    uint32_t v = load32(p);
    v = v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24; /* Go reads it big-endian */
    return v * UINT32_C(0x1e35a7bd) >> (32 - GO126_CHAIN_HASH_BITS);
}

/* Go's length for "none". */
static inline uint32_t no_match(const uint32_t least) {
    return least - 1;
}

/* Where the parser stops if more input may follow. */
static inline uint32_t lookahead(const uint32_t least) {
    return least + MAX_MATCH;
}

uint64_t go126_chain_window_start(uint64_t start, uint64_t position, uint64_t end, uint32_t least) {
    while (position > start + 2 * WINDOW_SIZE - lookahead(least) && end > start + 2 * WINDOW_SIZE)
        start += WINDOW_SIZE;
    return start;
}

void go126_chain_init(go126_chain_parser *p, int level, uint32_t least) {
    p->rules = levels[level];
    p->least = least;
    p->bias = FIRST;
    p->window_start = 0;
    p->next = 0;
    p->length = no_match(least);
    p->distance = 0;
    p->literal_pending = false;
    memset(p->head, 0, sizeof p->head);
    memset(p->links, 0, sizeof p->links);
}

void go126_chain_slide(go126_chain_parser *p, size_t n) {
    p->next -= n;
    p->bias += (uint32_t)n;
    if (p->bias > RENUMBER_AT) {
        /* Links are indexed by position modulo the window: move by whole windows. */
        uint32_t down = (p->bias - FIRST) / LINK_RANGE * LINK_RANGE;
        for (size_t i = 0; i < HASH_SIZE; i++)
            p->head[i] = p->head[i] > down ? p->head[i] - down : 0;
        p->bias -= down;
    }
}

/* What is known about a position before it is entered. */
typedef struct {
    uint64_t link;    /* to be stored for it */
    uint32_t nearest; /* distance to the latest with the same hash; more than the window: none */
} entry;

/* Make index i the latest position with its hash. Its link is not stored yet: until the search
 * from here is done, the place holds the link of the position one window before. */
static inline entry enter_head(go126_chain_parser *p, const uint8_t *data, size_t i,
                               const uint32_t least) {
    uint32_t here = (uint32_t)i + p->bias;
    uint32_t *head = &p->head[hash(data + i, least)];
    uint32_t before = *head;
    uint32_t distance = here - before;
    *head = here;
    if (distance > WINDOW_SIZE)
        return (entry){(here - NO_LINK) & 0xffff, distance};
    return (entry){(before & 0xffff) | p->links[before & WINDOW_MASK] << 16, distance};
}

static inline void store_link(go126_chain_parser *p, size_t i, uint64_t link) {
    p->links[((uint32_t)i + p->bias) & WINDOW_MASK] = link;
}

static inline void enter(go126_chain_parser *p, const uint8_t *data, size_t i,
                         const uint32_t least) {
    store_link(p, i, enter_head(p, data, i, least).link);
}

static bool is_entered(const go126_entered_set *set, uint64_t position) {
    return (set->word[position % WINDOW_SIZE / 64] >> (position & 63) & 1) != 0;
}

void go126_chain_start(go126_chain_parser *p, int level, const go126_chain_input *in, size_t at,
                       const go126_entered_set *entered) {
    const uint32_t least = GO126_CHAIN_MIN_MATCH;
    go126_chain_init(p, level, least);
    p->window_start = go126_chain_window_start(0, in->origin + at, in->origin + in->size, least);
    size_t from = at > WINDOW_SIZE ? at - WINDOW_SIZE : 0;
    size_t end = in->size < no_match(least) ? 0 : in->size - no_match(least);
    for (size_t i = from; i < at && i < end; i++)
        if (entered == NULL || is_entered(entered, in->origin + i))
            enter(p, in->data, i, least);
    p->next = at;
}

/* A search: the best match so far, and what a better one must satisfy. */
typedef struct {
    const uint8_t *s;
    uint32_t most;   /* bytes that may be compared */
    uint32_t enough; /* a match this long ends the search */
    uint32_t best;
    uint32_t best_distance;
    uint32_t least;
    /* A longer match must be equal in the `least` bytes that end one byte behind the best one. */
    const uint8_t *tail;
    uint32_t want;
} search;

static inline void set_best(search *m, uint32_t length) {
    m->best = length;
    m->tail = m->s + length - no_match(m->least);
    m->want = load32(m->tail);
}

/* Check a candidate that has `want`: take it if it is longer; return whether it ends the search. */
static NEVER_INLINE bool improve(search *m, uint32_t distance) {
    uint32_t n = (uint32_t)match_length(m->s, m->s - distance, m->most);
    if (n <= m->best || (n == m->least && distance > FAR))
        return false;
    m->best_distance = distance;
    if (n >= m->enough) {
        m->best = n;
        return true;
    }
    set_best(m, n);
    return false;
}

/*
 * Search for a match longer than m->best among the level's number of candidates: those on the
 * chain that starts with `link`, the link of `here`, within max_distance. Of equally long matches
 * the nearest wins.
 *
 * Walking a chain means waiting for one load after the other, so each link holds the next four
 * positions. Each is at most a window further back than the one before: the first that is too far
 * ends the chain. Distances are negative here, because then one comparison detects both a
 * candidate that is too far and one that wrapped around to 0.
 */
static ALWAYS_INLINE void find_match(const go126_chain_parser *p, search *m, uint32_t here,
                                     uint64_t link, uint32_t max_distance, const uint32_t least) {
    const uint32_t compared = least == GO16_CHAIN_MIN_MATCH ? 0xffffff : 0xffffffff;
    const uint8_t *tail = m->tail;
    uint32_t want = m->want;
    uint32_t tries = p->rules.chain; /* a multiple of four at every level */
    const uint32_t furthest = 0 - max_distance;
    for (;;) {
        uint64_t next = p->links[link >> 48 & WINDOW_MASK];
        for (int i = 0; i < 4; i++) {
            int32_t back = (int16_t)(uint16_t)(link - here);
            link >>= 16;
            if ((uint32_t)back < furthest)
                return;
            if (((load32(tail + back) ^ want) & compared) == 0) {
                if (improve(m, (uint32_t)-back))
                    return;
                tail = m->tail;
                want = m->want;
            }
        }
        tries -= 4;
        if (tries == 0)
            return;
        link = next;
    }
}

/* Where Go's window starts: it limits the distance of matches. */
typedef struct {
    uint64_t start;
    size_t moves_at; /* index from which the window may have moved */
    uint32_t least;
} window;

static inline uint32_t max_distance_at(window *w, const go126_chain_input *in, size_t i) {
    uint64_t position = in->origin + i;
    if (i >= w->moves_at) {
        w->start = go126_chain_window_start(w->start, position, in->origin + in->size, w->least);
        uint64_t moves = w->start + 2 * WINDOW_SIZE - lookahead(w->least);
        w->moves_at = moves > in->origin ? (size_t)(moves - in->origin) : 0;
    }
    uint64_t distance = position - w->start;
    return distance < WINDOW_SIZE ? (uint32_t)distance : WINDOW_SIZE;
}

/* Return the length of the best match longer than `length` and set its distance, or `length`. */
static inline uint32_t longest_match(const go126_chain_parser *p, const uint8_t *s, uint32_t here,
                                     uint64_t link, uint32_t max_distance, uint32_t length,
                                     size_t left, uint32_t *distance, const uint32_t least) {
    search m;
    m.least = least;
    m.s = s;
    m.most = left < MAX_MATCH ? (uint32_t)left : MAX_MATCH;
    m.enough = p->rules.nice < m.most ? p->rules.nice : m.most;
    m.best_distance = 0;
    set_best(&m, length);
    find_match(p, &m, here, link, max_distance, least);
    if (m.best > length)
        *distance = m.best_distance;
    return m.best;
}

/* The end of a token list, in local variables. */
typedef struct {
    sequence *sequence;
    uint8_t *literal;
    uint32_t tail;
} token_end;

static token_end end_of(const token_list *list) {
    return (token_end){list->sequences + list->count, list->literals + list->literal_count,
                       list->tail};
}

static void set_end(token_list *list, token_end end) {
    list->count = (size_t)(end.sequence - list->sequences);
    list->literal_count = (size_t)(end.literal - list->literals);
    list->tail = end.tail;
}

static inline void add_literal(token_end *out, uint8_t value) {
    *out->literal++ = value;
    out->tail++;
}

static inline void add_match(token_end *out, uint32_t length, uint32_t distance) {
    *out->sequence++ = (sequence){out->tail, (uint16_t)(length - 3), (uint16_t)(distance - 1)};
    out->tail = 0;
}

static ALWAYS_INLINE void parse_lazy(go126_chain_parser *p, const go126_chain_input *in,
                                     size_t stop, token_list *list, const uint32_t least) {
    const uint8_t *const data = in->data;
    const size_t size = in->size;
    const size_t enter_end = size < no_match(least) ? 0 : size - no_match(least);
    token_end out = end_of(list);
    window w = {p->window_start, 0, least};
    size_t s = p->next;
    uint32_t length = p->length, distance = p->distance;
    bool pending = p->literal_pending;

    for (;;) {
        size_t left = size - s;
        if (left < lookahead(least)) {
            if (!in->final)
                break;
            if (left == 0) {
                if (pending)
                    add_literal(&out, data[s - 1]);
                pending = false;
                break;
            }
        }
        entry entered = {0, WINDOW_SIZE + 1};
        if (s < enter_end)
            entered = enter_head(p, data, s, least);
        uint32_t nearest = entered.nearest;
        uint32_t old_length = length, old_distance = distance;
        length = no_match(least);
        if (nearest <= WINDOW_SIZE && old_length < p->rules.lazy && left > old_length) {
            /* Go searches for any match, but one that is not longer than the pending match is
             * not used, and cannot end the search either: the pending match is shorter than
             * `lazy`, which is at most `nice`. */
            uint32_t max_distance = max_distance_at(&w, in, s);
            if (left > least)
                PREFETCH(&p->head[hash(data + s + 1, least)]);
            if (nearest <= max_distance)
                length = longest_match(p, data + s, (uint32_t)s + p->bias, entered.link,
                                       max_distance, old_length, left, &distance, least);
        }
        if (s < enter_end)
            store_link(p, s, entered.link);
        if (old_length >= least && length <= old_length) {
            add_match(&out, old_length, old_distance);
            size_t match_end = s + old_length - 1;
            size_t last = match_end < enter_end ? match_end : enter_end;
            for (size_t i = s + 1; i < last; i++)
                enter(p, data, i, least);
            s = match_end;
            pending = false;
            length = no_match(least);
            if (s >= stop)
                break;
        } else {
            bool written = pending;
            if (written)
                add_literal(&out, data[s - 1]);
            s++;
            pending = true;
            if (written && s > stop) /* the literal ended at s - 1 */
                break;
        }
    }
    p->next = s;
    p->length = length;
    p->distance = distance;
    p->literal_pending = pending;
    p->window_start = w.start;
    set_end(list, out);
}

static ALWAYS_INLINE void parse_greedy(go126_chain_parser *p, const go126_chain_input *in,
                                       size_t stop, token_list *list, const uint32_t least) {
    const uint8_t *const data = in->data;
    const size_t size = in->size;
    const size_t enter_end = size < no_match(least) ? 0 : size - no_match(least);
    token_end out = end_of(list);
    window w = {p->window_start, 0, least};
    size_t s = p->next;

    while (s < stop) {
        size_t left = size - s;
        if (left < lookahead(least) && (!in->final || left == 0))
            break;
        uint32_t length = no_match(least), distance = 0;
        if (s < enter_end) {
            entry entered = enter_head(p, data, s, least);
            uint32_t nearest = entered.nearest;
            if (nearest <= WINDOW_SIZE) {
                uint32_t max_distance = max_distance_at(&w, in, s);
                if (nearest <= max_distance)
                    length = longest_match(p, data + s, (uint32_t)s + p->bias, entered.link,
                                           max_distance, no_match(least), left, &distance, least);
            }
            store_link(p, s, entered.link);
        }
        if (length < least) {
            add_literal(&out, data[s++]);
            continue;
        }
        add_match(&out, length, distance);
        if (length <= p->rules.skip) {
            size_t match_end = s + length;
            size_t last = match_end < enter_end ? match_end : enter_end;
            for (size_t i = s + 1; i < last; i++)
                enter(p, data, i, least);
        }
        s += length;
    }
    p->next = s;
    p->window_start = w.start;
    set_end(list, out);
}

void go126_chain_parse(go126_chain_parser *p, const go126_chain_input *in, size_t stop,
                       token_list *out) {
    if (p->least == GO16_CHAIN_MIN_MATCH) {
        if (p->rules.lazy != 0)
            parse_lazy(p, in, stop, out, GO16_CHAIN_MIN_MATCH);
        else
            parse_greedy(p, in, stop, out, GO16_CHAIN_MIN_MATCH);
    } else if (p->rules.lazy != 0) {
        parse_lazy(p, in, stop, out, GO126_CHAIN_MIN_MATCH);
    } else {
        parse_greedy(p, in, stop, out, GO126_CHAIN_MIN_MATCH);
    }
}

/* ---- Cutting into blocks --------------------------------------------------------------- */

bool go126_chain_cut(go126_chain_cutter *c, const token_list *list, size_t first, uint32_t skip,
                     bool rest, uint64_t end, go126_chain_block *block) {
    size_t tokens = 0, size = 0, literals = 0;
    size_t i = first;
    uint32_t last_length = 0; /* of the block's last token, as a match; 0: a literal */
    uint32_t tail = 0;
    for (; tokens < GO126_CHAIN_BLOCK_TOKENS; i++) {
        uint32_t run = (i < list->count ? list->sequences[i].literals : list->tail) - skip;
        skip = 0;
        size_t space = GO126_CHAIN_BLOCK_TOKENS - tokens;
        if (i == list->count || run >= space) {
            tail = run < space ? run : (uint32_t)space;
            literals += tail;
            size += tail;
            tokens += tail;
            if (tail != 0)
                last_length = 0;
            break;
        }
        last_length = list->sequences[i].length + 3u;
        literals += run;
        size += run + last_length;
        tokens += run + 1;
    }
    if (tokens < GO126_CHAIN_BLOCK_TOKENS && !(rest && tokens > 0))
        return false;

    /* Go can store the block if its first byte is still in the window when the parser makes the
     * last token: one byte into a pending match, otherwise at the token's start; a lazy parser
     * writes a literal when it is one byte behind it. */
    uint64_t block_end = c->position + size;
    uint64_t parser_at;
    if (tokens < GO126_CHAIN_BLOCK_TOKENS)
        parser_at = block_end; /* flushed at the end of the stream */
    else if (c->lazy)
        parser_at = last_length != 0 ? block_end - last_length + 1 : block_end;
    else
        parser_at = last_length != 0 ? block_end - last_length : block_end - 1;
    c->window_start = go126_chain_window_start(c->window_start, parser_at, end, c->least);

    block->sequences = i - first;
    block->tail = tail;
    block->literals = literals;
    block->size = size;
    block->storable = c->position >= c->window_start;
    c->position = block_end;
    return true;
}
