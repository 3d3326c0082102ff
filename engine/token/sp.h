/* The SentencePiece library behind a C interface: a vocabulary applied to a text, nothing else.
 * Exceptions end here; the handle may be used from several threads at once. */
#ifndef LAY_TOKEN_SP_H
#define LAY_TOKEN_SP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/base/err.h"

struct lay_sp;

/* `proto` as lay_sp_model_write leaves it. LAY_ERR_INPUT with the library's reason if it refuses the model.
 */
enum lay_status lay_sp_open(const char *name, const void *proto, size_t size, struct lay_sp **sp,
                            struct lay_err *err);
void lay_sp_close(struct lay_sp *sp); /* accepts NULL */

/* Calls emit(context, piece index) for each piece; a non-zero return ends the call with LAY_ERR_MEMORY. */
enum lay_status lay_sp_encode(const struct lay_sp *sp, const char *text, size_t length,
                              int (*emit)(void *context, int32_t index), void *context, struct lay_err *err);

#ifdef __cplusplus
}
#endif

#endif
