/* The parsers of encoders that look for no matches: of each block they say the kind alone. */
#ifndef IMGCONV_PLAIN_PARSE_H
#define IMGCONV_PLAIN_PARSE_H

#include "encoder.h"

void parse_as_literals(void *parser, const block_input *block, block_room room,
                       parsed_block *parsed);
void parse_as_stored(void *parser, const block_input *block, block_room room,
                     parsed_block *parsed);

#endif
