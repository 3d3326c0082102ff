/* The packed cache: what packing gave, kept in files, so that the next start maps them instead of packing
 * again.
 *
 * One file per part of a system (encoder, bridge, LLM) and precision, named after a key: a hash over the
 * identity of the weight files (lay_checkpoint_identity), the precision, the versions of oneDNN and of our
 * packing, and the instruction set. The files of the weights are not read again, so the key must stand for
 * their content: it does as long as a change to a file changes its size, its times, its inode or one of 64
 * sampled pages. Everything that is read from the cache is checked against its checksums. Nothing here can
 * fail a run: a copy that cannot be used or written is a line in `notes`. */
#ifndef LAY_ENGINE_PACK_CACHE_H
#define LAY_ENGINE_PACK_CACHE_H

#include "engine/model/precision.h"
#include "engine/store/weights.h"

struct lay_cached_part {
    const char *name; /* "llm": begins the file's name */
    struct lay_weights *weights;
    struct lay_precision precision;
    /* Loads the part's model through `weights`; keeps nothing when it fails. May be called twice. */
    enum lay_status (*load)(void *context, struct lay_err *err);
    void *context;
};

/* Loads a part, from `dir` if it can be, else by packing it and leaving a copy there. *packed holds the
 * layers' memory then: close it after them; NULL when the part was packed. Lines for the user are appended to
 * `notes`. Returns what `load` returns. */
enum lay_status lay_pack_cache_load(const char *dir, const struct lay_cached_part *part,
                                    struct lay_packed **packed, struct lay_str *notes, struct lay_err *err);

#endif
