/* See plain_parse.h. */
#include "parallel/no_match.h"

void parse_as_literals(void *parser, const block_input *block, block_room room,
                       parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)room;
    parsed->kind = BLOCK_LITERALS;
}

void parse_as_stored(void *parser, const block_input *block, block_room room,
                     parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)room;
    parsed->kind = BLOCK_STORED;
}
