/*
 * See go126_chain.h.
 *
 * Hash chains over four bytes. Greedy levels (2, 3) take the first match they find; lazy
 * levels (4 to 9) hold a match back for one byte and drop it, for a literal, if a longer one
 * starts there.
 *
 * What matters for coding a stream in pieces: at lazy levels every position is entered
 * into the chains, so what a search finds depends on the input and the position alone, and
 * the tokens from a token boundary on depend on nothing but that boundary. (A boundary inside
 * the lazy dance is no exception: had a match been waiting, the literal before the boundary
 * would only have been written because the search at the boundary beat it, and a parse that
 * starts at the boundary makes that same search.) At greedy levels the inner bytes of long
 * matches are not entered; there it also depends on which of the last 32 KiB were.
 */
#include "go126/chain.h"

#include <string.h>

#include "deflate/match.h"

enum {
    MIN_MATCH = CHAIN_MIN_MATCH,
    MAX_MATCH = CHAIN_MAX_MATCH,
    HASH_SIZE = 1 << CHAIN_HASH_BITS,
    WINDOW_MASK = WINDOW_SIZE - 1,
    NO_MATCH = MIN_MATCH - 1, /* the length Go uses for "none" */
    /* A match of four bytes from further away costs more than literals do. */
    FAR = 4096,
    /* Links are positions modulo this. */
    LINK_RANGE = 1 << 16,
    /* A link that leads nowhere leads so far back: out of reach as seen from any position that
     * can see the link, for a whole window later it has come round to 0, which is no distance. */
    NO_LINK = WINDOW_SIZE,
    /* Coordinates start here, so that 0 is out of reach of everything. */
    FIRST = WINDOW_SIZE + 1,
};
static const uint32_t RENUMBER_AT = UINT32_C(1) << 31;

/* level:                                  lazy nice chain skip */
static const chain_rules levels[10] = {[2] = {0, 16, 8, 5},
                                       [3] = {0, 32, 32, 6},
                                       [4] = {4, 16, 16, 0},
                                       [5] = {16, 32, 32, 0},
                                       [6] = {16, 128, 128, 0},
                                       [7] = {32, 128, 256, 0},
                                       [8] = {128, 258, 1024, 0},
                                       [9] = {258, 258, 4096, 0}};

static inline uint32_t hash(const uint8_t *p) {
    uint32_t v = load32(p);
    v = v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24; /* Go reads it big-endian */
    return v * UINT32_C(0x1e35a7bd) >> (32 - CHAIN_HASH_BITS);
}

uint64_t chain_window_start(uint64_t start, uint64_t position, uint64_t end) {
    while (position > start + 2 * WINDOW_SIZE - CHAIN_LOOKAHEAD && end > start + 2 * WINDOW_SIZE)
        start += WINDOW_SIZE;
    return start;
}

void chain_init(chain_parser *p, int level) {
    p->rules = levels[level];
    p->bias = FIRST;
    p->window_start = 0;
    p->next = 0;
    p->length = NO_MATCH;
    p->distance = 0;
    p->literal_waits = false;
    memset(p->head, 0, sizeof p->head);
    memset(p->links, 0, sizeof p->links);
}

void chain_slide(chain_parser *p, size_t n) {
    p->next -= n;
    p->bias += (uint32_t)n;
    if (p->bias > RENUMBER_AT) {
        /* Links go by position modulo the window, so by whole windows. */
        uint32_t down = (p->bias - FIRST) / LINK_RANGE * LINK_RANGE;
        for (size_t i = 0; i < HASH_SIZE; i++)
            p->head[i] = p->head[i] > down ? p->head[i] - down : 0;
        p->bias -= down;
    }
}

/* What is known of a position before it is entered. */
typedef struct {
    uint64_t link;    /* to be kept for it */
    uint32_t nearest; /* the distance to the latest with the same hash, or more than the window */
} entry;

/* Make index i the latest position with its hash. Its link is not kept yet: the place belongs
 * to the position a window before, which a search from here may still pass. */
static inline entry enter_head(chain_parser *p, const uint8_t *data, size_t i) {
    uint32_t here = (uint32_t)i + p->bias;
    uint32_t *head = &p->head[hash(data + i)];
    uint32_t before = *head;
    uint32_t distance = here - before;
    *head = here;
    if (distance > WINDOW_SIZE)
        return (entry){(here - NO_LINK) & 0xffff, distance};
    return (entry){(before & 0xffff) | p->links[before & WINDOW_MASK] << 16, distance};
}

static inline void keep_link(chain_parser *p, size_t i, uint64_t link) {
    p->links[((uint32_t)i + p->bias) & WINDOW_MASK] = link;
}

static inline void enter(chain_parser *p, const uint8_t *data, size_t i) {
    keep_link(p, i, enter_head(p, data, i).link);
}

static bool is_entered(const entered_set *set, uint64_t position) {
    return (set->word[position % WINDOW_SIZE / 64] >> (position & 63) & 1) != 0;
}

void chain_start(chain_parser *p, int level, const chain_input *in, size_t at,
                 const entered_set *entered) {
    chain_init(p, level);
    p->window_start = chain_window_start(0, in->origin + at, in->origin + in->size);
    size_t from = at > WINDOW_SIZE ? at - WINDOW_SIZE : 0;
    size_t end = in->size < NO_MATCH ? 0 : in->size - NO_MATCH;
    for (size_t i = from; i < at && i < end; i++)
        if (entered == NULL || is_entered(entered, in->origin + i))
            enter(p, in->data, i);
    p->next = at;
}

/* A search under way: the best match so far, and what a better one must have. */
typedef struct {
    const uint8_t *s;
    uint32_t most;   /* bytes that may be compared */
    uint32_t enough; /* ends the search */
    uint32_t best;
    uint32_t best_distance;
    /* A longer match must agree in the four bytes that end just behind the best so far. */
    const uint8_t *tail;
    uint32_t want;
} search;

static inline void set_best(search *m, uint32_t length) {
    m->best = length;
    m->tail = m->s + length - NO_MATCH;
    m->want = load32(m->tail);
}

/* A candidate that agrees with `want`: take it if it is longer; true if it ends the search. */
static NEVER_INLINE bool improve(search *m, uint32_t distance) {
    uint32_t n = (uint32_t)match_length(m->s, m->s - distance, m->most);
    if (n <= m->best || (n == MIN_MATCH && distance > FAR))
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
 * Look for a match that is longer than m->best among the level's number of candidates, those
 * that `link`, the link of `here`, leads to, back to `reach`. Ties go to the nearer one.
 *
 * Walking a chain means waiting for one load after the other, so each link knows the next
 * four, each of which is at most a window further back than the one before: the first that
 * is out of reach ends the chain. Distances are negative here, as then one comparison finds
 * both what is out of reach and what came round to 0.
 */
static void find_match(const chain_parser *p, search *m, uint32_t here, uint64_t link,
                       uint32_t reach) {
    const uint8_t *tail = m->tail;
    uint32_t want = m->want;
    uint32_t tries = p->rules.chain; /* a multiple of four at every level */
    const uint32_t furthest = 0 - reach;
    for (;;) {
        uint64_t next = p->links[link >> 48 & WINDOW_MASK];
        for (int i = 0; i < 4; i++) {
            int32_t back = (int16_t)(uint16_t)(link - here);
            link >>= 16;
            if ((uint32_t)back < furthest)
                return;
            if (load32(tail + back) == want) {
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

/* How far a match at a position may reach back: Go's window ends where it has been cut. */
typedef struct {
    uint64_t start;
    size_t moves_at; /* index from which to look whether it has moved */
} window;

static inline uint32_t reach_at(window *w, const chain_input *in, size_t i) {
    uint64_t position = in->origin + i;
    if (i >= w->moves_at) {
        w->start = chain_window_start(w->start, position, in->origin + in->size);
        uint64_t moves = w->start + 2 * WINDOW_SIZE - CHAIN_LOOKAHEAD;
        w->moves_at = moves > in->origin ? (size_t)(moves - in->origin) : 0;
    }
    uint64_t reach = position - w->start;
    return reach < WINDOW_SIZE ? (uint32_t)reach : WINDOW_SIZE;
}

/* The length of the best match longer than `length`, whose distance is set; or `length`. */
static inline uint32_t longest_match(const chain_parser *p, const uint8_t *s, uint32_t here,
                                     uint64_t link, uint32_t reach, uint32_t length,
                                     size_t ahead, uint32_t *distance) {
    search m;
    m.s = s;
    m.most = ahead < MAX_MATCH ? (uint32_t)ahead : MAX_MATCH;
    m.enough = p->rules.nice < m.most ? p->rules.nice : m.most;
    m.best_distance = 0;
    set_best(&m, length);
    find_match(p, &m, here, link, reach);
    if (m.best > length)
        *distance = m.best_distance;
    return m.best;
}

/* The end of a token list, at hand. */
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

static void parse_lazy(chain_parser *p, const chain_input *in, size_t stop, token_list *list) {
    const uint8_t *const data = in->data;
    const size_t size = in->size;
    const size_t enter_end = size < NO_MATCH ? 0 : size - NO_MATCH;
    token_end out = end_of(list);
    window w = {p->window_start, 0};
    size_t s = p->next;
    uint32_t length = p->length, distance = p->distance;
    bool waits = p->literal_waits;

    for (;;) {
        size_t ahead = size - s;
        if (ahead < CHAIN_LOOKAHEAD) {
            if (!in->final)
                break;
            if (ahead == 0) {
                if (waits)
                    add_literal(&out, data[s - 1]);
                waits = false;
                break;
            }
        }
        entry entered = {0, WINDOW_SIZE + 1};
        if (s < enter_end)
            entered = enter_head(p, data, s);
        uint32_t nearest = entered.nearest;
        uint32_t old_length = length, old_distance = distance;
        length = NO_MATCH;
        if (nearest <= WINDOW_SIZE && old_length < p->rules.lazy && ahead > old_length) {
            /* Go looks for any match, but one no longer than the match that waits is not
             * used, and cannot end the search either: what waits is shorter than `lazy`,
             * which is at most `nice`. */
            uint32_t reach = reach_at(&w, in, s);
            if (ahead > MIN_MATCH)
                PREFETCH(&p->head[hash(data + s + 1)]);
            if (nearest <= reach)
                length = longest_match(p, data + s, (uint32_t)s + p->bias, entered.link, reach,
                                       old_length, ahead, &distance);
        }
        if (s < enter_end)
            keep_link(p, s, entered.link);
        if (old_length >= MIN_MATCH && length <= old_length) {
            add_match(&out, old_length, old_distance);
            size_t match_end = s + old_length - 1;
            size_t last = match_end < enter_end ? match_end : enter_end;
            for (size_t i = s + 1; i < last; i++)
                enter(p, data, i);
            s = match_end;
            waits = false;
            length = NO_MATCH;
            if (s >= stop)
                break;
        } else {
            bool written = waits;
            if (written)
                add_literal(&out, data[s - 1]);
            s++;
            waits = true;
            if (written && s > stop) /* it ended at s - 1 */
                break;
        }
    }
    p->next = s;
    p->length = length;
    p->distance = distance;
    p->literal_waits = waits;
    p->window_start = w.start;
    set_end(list, out);
}

static void parse_greedy(chain_parser *p, const chain_input *in, size_t stop, token_list *list) {
    const uint8_t *const data = in->data;
    const size_t size = in->size;
    const size_t enter_end = size < NO_MATCH ? 0 : size - NO_MATCH;
    token_end out = end_of(list);
    window w = {p->window_start, 0};
    size_t s = p->next;

    while (s < stop) {
        size_t ahead = size - s;
        if (ahead < CHAIN_LOOKAHEAD && (!in->final || ahead == 0))
            break;
        uint32_t length = NO_MATCH, distance = 0;
        if (s < enter_end) {
            entry entered = enter_head(p, data, s);
            uint32_t nearest = entered.nearest;
            if (nearest <= WINDOW_SIZE) {
                uint32_t reach = reach_at(&w, in, s);
                if (nearest <= reach)
                    length = longest_match(p, data + s, (uint32_t)s + p->bias, entered.link, reach,
                                           NO_MATCH, ahead, &distance);
            }
            keep_link(p, s, entered.link);
        }
        if (length < MIN_MATCH) {
            add_literal(&out, data[s++]);
            continue;
        }
        add_match(&out, length, distance);
        if (length <= p->rules.skip) {
            size_t match_end = s + length;
            size_t last = match_end < enter_end ? match_end : enter_end;
            for (size_t i = s + 1; i < last; i++)
                enter(p, data, i);
        }
        s += length;
    }
    p->next = s;
    p->window_start = w.start;
    set_end(list, out);
}

void chain_parse(chain_parser *p, const chain_input *in, size_t stop, token_list *out) {
    if (p->rules.lazy != 0)
        parse_lazy(p, in, stop, out);
    else
        parse_greedy(p, in, stop, out);
}

/* ---- Cutting into blocks --------------------------------------------------------------- */

bool chain_cut(chain_cutter *c, const token_list *list, size_t first, uint32_t skip, bool rest,
               uint64_t end, chain_block *block) {
    size_t tokens = 0, size = 0, literals = 0;
    size_t i = first;
    uint32_t last_length = 0; /* of the block's last token, as a match; 0: a literal */
    uint32_t tail = 0;
    for (; tokens < CHAIN_BLOCK_TOKENS; i++) {
        uint32_t run = (i < list->count ? list->sequences[i].literals : list->tail) - skip;
        skip = 0;
        size_t room = CHAIN_BLOCK_TOKENS - tokens;
        if (i == list->count || run >= room) {
            tail = run < room ? run : (uint32_t)room;
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
    if (tokens < CHAIN_BLOCK_TOKENS && !(rest && tokens > 0))
        return false;

    /* Go can store the block if its first byte has not left the window by the time its
     * parser makes the last token: one byte into a match that waited, else at the token's
     * start; a lazy parser writes a literal when it stands behind it. */
    uint64_t block_end = c->position + size;
    uint64_t parser_at;
    if (tokens < CHAIN_BLOCK_TOKENS)
        parser_at = block_end; /* flushed at the end of the stream */
    else if (c->lazy)
        parser_at = last_length != 0 ? block_end - last_length + 1 : block_end;
    else
        parser_at = last_length != 0 ? block_end - last_length : block_end - 1;
    c->window_start = chain_window_start(c->window_start, parser_at, end);

    block->sequences = i - first;
    block->tail = tail;
    block->literals = literals;
    block->size = size;
    block->storable = c->position >= c->window_start;
    c->position = block_end;
    return true;
}
