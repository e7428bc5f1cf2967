/*
 * Levels 7 to 9 of Go 1.27: the parser.
 *
 * Tokens are cut into blocks of 32,768, wherever in the input that is.
 *
 * Input passes through a window of 64 KiB. Whenever it is full, the encoder takes a step: it
 * parses until too little input follows, then the window moves by half. Where the steps fall
 * determines the bytes: level 9 prices literals by the input behind the start of a step, long
 * skips stop at the end of the window, and a block can be stored only while the window still
 * contains all of it. Steps are counted from the start of the stream, so the size of the writes
 * does not matter.
 */
#ifndef IMGCONV_GO127_CHAIN_H
#define IMGCONV_GO127_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/tokens.h"

enum {
    GO127_CHAIN_HALF = 32768,
    GO127_CHAIN_WINDOW = 2 * GO127_CHAIN_HALF,
    GO127_CHAIN_HASH_BITS = 17,
    GO127_CHAIN_BLOCK_TOKENS = 32768,
    GO127_CHAIN_PENALTY = 8,
    GO127_CHAIN_MIN_MATCH = 4,
    GO127_CHAIN_MAX_MATCH = 258,
    /* A step stops when less input than this follows, except in Close. */
    GO127_CHAIN_LOOKAHEAD = GO127_CHAIN_MIN_MATCH + GO127_CHAIN_MAX_MATCH,
};

typedef struct {
    int32_t lazy;  /* with a match this long, do not search for a better one */
    int32_t nice;  /* a match this long ends the search */
    int32_t chain; /* the number of candidates */
    bool weigh;    /* prefer matches by the bits they save, not by length alone */
} go127_chain_tuning;

typedef struct {
    go127_chain_tuning tune;

    /* The window, which the owner moves, and positions as indexes into it. */
    const uint8_t *window;
    int32_t index;       /* the next to be parsed */
    int32_t end;         /* of the known input */
    int32_t insert_end;  /* from here on too few bytes follow for a hash */
    uint32_t origin;     /* added to positions in the tables */
    uint32_t chain_head; /* entry of the last position with the hash of the present one */

    /* The pending match at the position before; its length is GO127_CHAIN_MIN_MATCH - 1 if none. */
    int32_t length;
    int32_t offset;
    bool literal_pending;    /* the byte before `index` is not written yet */
    uint16_t literal_streak; /* literals since the last match; Go lets it wrap */

    /* The tokens. Whenever there are `full` of them on_full() is called, with `index` behind the
     * last one; it may empty the list. */
    token_list tokens;
    size_t full;
    void (*on_full)(void *owner, bool closing);
    void *owner;

    uint8_t literal_price[256]; /* level 9: bits per literal, estimated at each step */
    uint32_t head[1 << GO127_CHAIN_HASH_BITS];
    uint32_t previous[GO127_CHAIN_HALF];
} go127_chain_parser;

/* At the start of a stream, without on_full(). */
void go127_chain_init(go127_chain_parser *parser, int level);

/* Parse the window until too little input follows; when closing, to its end. */
void go127_chain_step(go127_chain_parser *parser, bool closing);

/* Between steps: the window begins GO127_CHAIN_HALF later. The owner sets `window` and `end`. */
void go127_chain_move(go127_chain_parser *parser);

/* In the middle of a stream: as if all positions in the window before `index`, and no others, had
 * been entered. */
void go127_chain_start(go127_chain_parser *parser, int level, const uint8_t *window, int32_t index);

/* The state of a parser between a move and the next step. Parsers with equal snapshots parse every
 * continuation alike. */
typedef struct {
    int32_t index;
    int32_t length;
    int32_t offset;
    uint32_t literal_pending;
    uint32_t literal_streak;
    /* Distances from `index`, 0 for what is too far. */
    uint16_t head[1 << GO127_CHAIN_HASH_BITS];
    uint16_t previous[GO127_CHAIN_HALF];
} go127_chain_snapshot;

void go127_chain_save(const go127_chain_parser *parser, go127_chain_snapshot *snapshot);
/* Does not change tokens and window. */
void go127_chain_load(go127_chain_parser *parser, const go127_chain_snapshot *snapshot);

#endif
