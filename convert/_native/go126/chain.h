/* Levels 2 to 9 of Go up to 1.26, and all of Go up to 1.6: the parser, its tokens, and cutting them into blocks. */
#ifndef IMGCONV_GO126_CHAIN_H
#define IMGCONV_GO126_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/tokens.h"
#include "encoder.h"

enum {
    GO126_CHAIN_HASH_BITS = 17,
    GO126_CHAIN_MIN_MATCH = 4,
    GO16_CHAIN_MIN_MATCH = 3, /* up to Go 1.6 */
    GO126_CHAIN_MAX_MATCH = 258,
    GO126_CHAIN_BLOCK_TOKENS = 1 << 14,
    /* Earlier input that may still be needed, for matches and stored blocks. */
    GO126_CHAIN_HISTORY = 2 * WINDOW_SIZE,
};

/* How thoroughly a level searches. */
typedef struct {
    uint32_t lazy;  /* 0: greedy. Else: a match this long is taken without looking further */
    uint32_t nice;  /* a match this long ends the search */
    uint32_t chain; /* candidates tried */
    uint32_t skip;  /* greedy: longer matches' inner bytes are not entered into the chains */
} go126_chain_rules;

/* The parser. Positions are indices into the caller's buffer plus `bias`, so that the buffer may
 * be moved. */
typedef struct {
    go126_chain_rules rules;
    uint32_t least; /* the length of the shortest match: 4, or 3 up to Go 1.6 */
    uint32_t bias;
    uint64_t window_start; /* stream position of Go's window, which limits matches */
    size_t next;           /* everything before this index is in tokens or pending */
    uint32_t length;       /* lazy: of the pending match at next-1; less than `least`: none */
    uint32_t distance;
    bool literal_pending;                      /* lazy: the byte at next-1 is not yet in a token */
    uint32_t head[1 << GO126_CHAIN_HASH_BITS]; /* latest position with this hash */
    /* By position modulo the window: the four latest earlier positions with the same hash,
     * modulo 2^16, the latest in the lowest bits. Behind the first of a chain comes one that is
     * too far away, and behind that any value. */
    uint64_t links[WINDOW_SIZE];
} go126_chain_parser;

/* A view of the stream: `data[0]` is at stream position `origin`, and `size` bytes are known;
 * with `final` there are no more. */
typedef struct {
    const uint8_t *data;
    size_t size;
    uint64_t origin;
    bool final;
} go126_chain_input;

/* Up to Go 1.6 one byte behind the input is read, whatever it is. */
void go126_chain_init(go126_chain_parser *p, int level, uint32_t least);

/* Which of the last 32 KiB of positions are in the chains; a bit by position modulo 32 KiB. */
typedef struct {
    uint64_t word[WINDOW_SIZE / 64];
} go126_entered_set;

/* Start a parse at index `at` as if everything before had been parsed, and the positions in
 * `entered` had been entered into the chains; with NULL all of them, which is exact for levels 4
 * to 9 and a guess for 2 and 3. Not for Go up to 1.6. At least min(position, 32 KiB) bytes before `at` are needed. */
void go126_chain_start(go126_chain_parser *p, int level, const go126_chain_input *in, size_t at,
                       const go126_entered_set *entered);

/* Parse until a token ends at or behind index `stop` (or the input ends), adding to `out`, which
 * must have space for as many tokens as there are bytes from `next` to the end. */
void go126_chain_parse(go126_chain_parser *p, const go126_chain_input *in, size_t stop,
                       token_list *out);

/* The buffer was moved: what was at index n is at 0 now. */
void go126_chain_slide(go126_chain_parser *p, size_t n);

/* Where Go's window starts when its parser is at `position` and the stream is known up to `end`;
 * `start` is an earlier result. The window of 64 KiB moves by 32 KiB once it has been parsed up
 * to the lookahead, and only if there is more input. */
uint64_t go126_chain_window_start(uint64_t start, uint64_t position, uint64_t end, uint32_t least);

/* Cuts the tokens of a stream into blocks of 16,384. */
typedef struct {
    bool lazy;
    uint32_t least; /* as that of the parser */
    uint64_t window_start;
    uint64_t position; /* of the next block's first byte */
} go126_chain_cutter;

typedef struct {
    size_t sequences; /* taken completely, the first without its `skip` literals */
    uint32_t tail;    /* literals taken from the next sequence, or from the list's tail */
    size_t literals;  /* in the block */
    size_t size;      /* bytes of input */
    bool storable;    /* its bytes are still in Go's window */
} go126_chain_block;

/* Cut the next block from the list, starting at sequence `first`, of which `skip` literals belong
 * to the block before. Return false if there are too few tokens; with `rest`, any number of
 * remaining tokens is a block. `end` as in go126_chain_window_start(). */
bool go126_chain_cut(go126_chain_cutter *c, const token_list *list, size_t first, uint32_t skip,
                     bool rest, uint64_t end, go126_chain_block *block);

#endif
