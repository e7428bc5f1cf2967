/*
 * Running a piece encoder over several pieces in a row.
 *
 * Algorithm: the input is cut into pieces, each with the input in front of it that it refers to.
 * Whether the last one may be a whole piece, or an empty one follows it, is the encoder's choice.
 *
 * Why the bytes are the family's: the encoder sees the pieces that its serial encoder cuts the
 * stream into, and no piece depends on another's output.
 */
#include "parallel/pieces.h"

size_t parallel_pieces_bound(encoder_profile profile, size_t size, bool last) {
    const piece_encoder *e = registry_pieces(profile);
    size_t piece = e->geometry(profile).size;
    size_t bound = size / piece * e->bound(profile, piece);
    return last ? bound + e->bound(profile, size % piece) : bound;
}

size_t parallel_encode_pieces(void *state, encoder_profile profile, const piece_input *pieces,
                              uint8_t *out) {
    const piece_encoder *e = registry_pieces(profile);
    piece_geometry geometry = e->geometry(profile);
    size_t at = 0, made = 0;
    bool ended = pieces->size == 0 && !pieces->last;
    while (!ended) {
        size_t left = pieces->size - at, before = pieces->before + at;
        piece_input piece = {
            .data = pieces->data + at,
            .before = before < geometry.before ? before : geometry.before,
            .size = left < geometry.size ? left : geometry.size,
        };
        at += piece.size;
        bool followed = geometry.empty_last && piece.size == geometry.size;
        piece.last = pieces->last && at == pieces->size && !followed;
        made += e->encode(state, profile, &piece, out + made);
        ended = pieces->last ? piece.last : at == pieces->size;
    }
    return made;
}
