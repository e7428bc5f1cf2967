/*
 * Go 1.27, levels 7 to 9: hash chains and lazy matching.
 *
 * Every position is entered into a chain of positions whose next four bytes have the same
 * hash. A match is held back for one position, in case a longer one begins there; a match
 * about to be written is once more looked for by where its end stood last. Tokens are cut
 * into blocks of 32,768, wherever in the input that is.
 *
 * Input passes through a window of 64 KiB. Whenever it is full the encoder takes a step: it
 * goes on until too little lies ahead, then the window moves on by half. Where the steps
 * fall fixes the bytes, as level 9 prices literals by what lies ahead at the start of
 * a step, long skips stop at the end of the window, and a block can be stored only while the
 * window still has all of it. As steps are counted from the start of the stream, the size
 * of the writes does not matter.
 */
#ifndef IMGCONV_GO127_CHAIN_H
#define IMGCONV_GO127_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go127/block_writer.h"

enum {
    CHAIN_HALF = 32768,
    CHAIN_WINDOW = 2 * CHAIN_HALF,
    CHAIN_HASH_BITS = 17,
    CHAIN_BLOCK_TOKENS = 32768,
    CHAIN_PENALTY = 8,
    CHAIN_MIN_MATCH = 4,
    CHAIN_MAX_MATCH = 258,
    /* A step stops when less than this lies ahead, unless nothing will follow. */
    CHAIN_LOOKAHEAD = CHAIN_MIN_MATCH + CHAIN_MAX_MATCH,
};

/* Tokens gathered; literals apart from the matches between them. */
typedef struct {
    sequence *sequences;
    size_t count;
    uint8_t *literals;
    size_t literal_count;
    uint32_t run; /* literals behind the last sequence */
} chain_tokens;

typedef struct {
    int32_t lazy;  /* do not look for a better match than one this long */
    int32_t nice;  /* a match this long is taken without looking further */
    int32_t chain; /* how many candidates are looked at */
    bool weigh;    /* prefer matches by what they save, not by length alone */
} chain_tuning;

typedef struct {
    chain_tuning tune;

    /* The window, which the owner moves, and positions as indexes into it. */
    const uint8_t *window;
    int32_t index;       /* the next to be looked at */
    int32_t end;         /* of the input there is */
    int32_t insert_end;  /* no position from here on has the bytes for a hash */
    uint32_t origin;     /* added to positions in the tables */
    uint32_t chain_head; /* entry of the last position with the hash of the present one */

    /* The match at the position before, held back; its length is CHAIN_MIN_MATCH - 1 if none. */
    int32_t length;
    int32_t offset;
    bool literal_waits;      /* the byte before `index` is not written yet */
    uint16_t literal_streak; /* literals since the last match; Go lets it wrap */

    /* Where tokens go. Whenever there are `full` of them the owner is told, while `index` stands
     * behind the last; it may empty the list. */
    chain_tokens tokens;
    size_t full;
    void (*on_full)(void *owner, bool closing);
    void *owner;

    uint8_t literal_price[256]; /* level 9: bits per literal, estimated at each step */
    uint32_t head[1 << CHAIN_HASH_BITS];
    uint32_t previous[CHAIN_HALF];
} chain_parser;

/* At the start of a stream, with nobody told of tokens. */
void go127_chain_init(chain_parser *parser, int level);

/* Go through the window until too little lies ahead; when closing, to its end. */
void go127_chain_step(chain_parser *parser, bool closing);

/* Between steps: the window begins CHAIN_HALF later. The owner sets `window` and `end`. */
void go127_chain_move(chain_parser *parser);

/* In the middle of a stream: as if all in the window before `index` had been entered, and
 * nothing else were known. */
void go127_chain_start(chain_parser *parser, int level, const uint8_t *window, int32_t index);

/* What a parser is between a move and the next step. Equal snapshots mean that the parse
 * goes on alike. */
typedef struct {
    int32_t index;
    int32_t length;
    int32_t offset;
    uint32_t literal_waits;
    uint32_t literal_streak;
    /* Distances from `index`, 0 for what is out of reach. */
    uint16_t head[1 << CHAIN_HASH_BITS];
    uint16_t previous[CHAIN_HALF];
} chain_snapshot;

void go127_chain_save(const chain_parser *parser, chain_snapshot *snapshot);
/* Tokens and window are left alone. */
void go127_chain_load(chain_parser *parser, const chain_snapshot *snapshot);

#endif
