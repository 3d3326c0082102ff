/* Which weight files make up a checkpoint: a file, a directory, or the index of a sharded one. */
#ifndef LAY_STORE_INDEX_H
#define LAY_STORE_INDEX_H

#include "engine/base/err.h"
#include "engine/base/json.h"

#include <stddef.h>

#define LAY_CHECKPOINT_MAX_SHARDS 4096

struct lay_shard_list {
    char **paths; /* in order of name; owned */
    size_t count;
    char *index_path; /* NULL when there is no index */
    cJSON *index;     /* the parsed index; "weight_map" is an object of strings */
};

/* A directory is searched for model.safetensors, its index, pytorch_model.bin, its index, in this order.
 * Index entries are plain file names beside the index. Missing shards are LAY_ERR_INPUT with their names. */
enum lay_status lay_shards_find(const char *path, struct lay_shard_list *shards, struct lay_err *err);
void lay_shards_free(struct lay_shard_list *shards);

#endif
