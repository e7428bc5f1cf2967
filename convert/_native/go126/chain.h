/*
 * Go up to 1.26, levels 2 to 9 (compress/flate/deflate.go): the parser, its tokens, and
 * cutting them into blocks.
 */
#ifndef IMGCONV_GO126_CHAIN_H
#define IMGCONV_GO126_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoder.h"
#include "go126/block_writer.h"

enum {
    CHAIN_HASH_BITS = 17,
    CHAIN_MIN_MATCH = 4,
    CHAIN_MAX_MATCH = 258,
    /* Away from the end of the stream Go stops parsing when fewer bytes than this lie
     * ahead, and waits for more input. */
    CHAIN_LOOKAHEAD = CHAIN_MIN_MATCH + CHAIN_MAX_MATCH,
    CHAIN_BLOCK_TOKENS = 1 << 14,
    /* Input behind the parser that may still be wanted, for matches and stored blocks. */
    CHAIN_HISTORY = 2 * WINDOW_SIZE,
};

/* Tokens in order, as sequences and the values of all their literals. */
typedef struct {
    sequence *sequences;
    size_t count;
    uint8_t *literals;
    size_t literal_count;
    uint32_t tail; /* literals behind the last sequence */
} token_list;

/* How hard a level searches. */
typedef struct {
    uint32_t lazy;  /* 0: greedy. Else: a match this long is taken without looking further */
    uint32_t nice;  /* a match this long ends the search */
    uint32_t chain; /* candidates tried */
    uint32_t skip;  /* greedy: longer matches' inner bytes are not entered into the chains */
} chain_rules;

/* The parser. Positions are kept as indices into the caller's buffer plus `bias`, so that
 * the buffer may slide under it. */
typedef struct {
    chain_rules rules;
    uint32_t bias;
    uint64_t window_start; /* stream position of Go's window, which limits matches */
    /* where the parse stands: everything before `next` is in tokens or pending */
    size_t next;
    uint32_t length; /* lazy: the match at next-1 that waits for a better one; less than 4: none */
    uint32_t distance;
    bool literal_waits; /* lazy: the byte at next-1 is not yet in a token */
    uint32_t head[1 << CHAIN_HASH_BITS]; /* latest position with this hash */
    /* By position modulo the window: the four latest positions before it with the same hash,
     * modulo 2^16, the latest lowest. Behind the first of a chain comes one out of reach, and
     * behind that anything. */
    uint64_t links[WINDOW_SIZE];
} chain_parser;

/* A view of the stream: `data[0]` lies at stream position `origin`, `size` bytes are known;
 * `final`: and there are no more. */
typedef struct {
    const uint8_t *data;
    size_t size;
    uint64_t origin;
    bool final;
} chain_input;

void chain_init(chain_parser *p, int level);

/* Which of the last 32 KiB of positions are in the chains, by stream position modulo 32 KiB. */
typedef struct {
    uint64_t word[WINDOW_SIZE / 64];
} entered_set;

/* Start a parse at index `at` as if everything before had been parsed, of which at least
 * min(position, 32 KiB) bytes are there, and those positions entered that `entered` says, or
 * all: that is exact for levels 4 to 9 and a guess for 2 and 3. */
void chain_start(chain_parser *p, int level, const chain_input *in, size_t at,
                 const entered_set *entered);

/* Parse until a token ends at or behind index `stop` (or input runs out), adding to `out`,
 * which must have room for the bytes from next to the end. */
void chain_parse(chain_parser *p, const chain_input *in, size_t stop, token_list *out);

/* The buffer has slid: what was at index n is at 0 now. */
void chain_slide(chain_parser *p, size_t n);

/* Where Go's window starts when its parser is at `position` and the stream known up to
 * `end`; `start` is an earlier value. It moves by 32 KiB once the window of 64 KiB has been
 * parsed but for the lookahead, and only if there is input to fill it with. */
uint64_t chain_window_start(uint64_t start, uint64_t position, uint64_t end);

/* Cuts a stream of tokens into blocks of 16,384. */
typedef struct {
    bool lazy;
    uint64_t window_start;
    uint64_t position; /* of the next block's first byte */
} chain_cutter;

typedef struct {
    size_t sequences; /* taken whole from the list, the first perhaps without `skip` literals */
    uint32_t tail;    /* literals of the next sequence (or of the list's tail) taken */
    size_t literals;  /* all literals in the block */
    size_t size;      /* bytes of input */
    bool storable;    /* its bytes are still in Go's window */
} chain_block;

/* The next whole block of the list from sequence `first` on, of which `skip` literals are
 * gone already; false if there are not enough tokens for one. With `rest`, whatever is
 * left is a block. `end` as in chain_window_start(). */
bool chain_cut(chain_cutter *c, const token_list *list, size_t first, uint32_t skip, bool rest,
               uint64_t end, chain_block *block);

#endif
