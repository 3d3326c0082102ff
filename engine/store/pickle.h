/* The machine that reads the pickles of torch.save: a closed list of opcodes, a closed list of globals, no
 * calls into anything. What a pickle builds becomes plain values; tensors and storages become descriptions,
 * whose data the file formats around the pickle look up afterwards.
 *
 * Strings point into the pickle's bytes, which must outlive the machine. */
#ifndef LAY_STORE_PICKLE_H
#define LAY_STORE_PICKLE_H

#include "engine/store/parse.h"

/* Far beyond real checkpoints (a 7B model: 300 tensors, 40 KB); they bound what a hostile file can take. */
#define LAY_PICKLE_MAX_BYTES ((size_t)256 << 20)
#define LAY_PICKLE_MAX_VALUES ((size_t)1 << 23)
#define LAY_PICKLE_MAX_STACK ((size_t)1 << 20)
#define LAY_PICKLE_MAX_MEMO ((size_t)1 << 23)

#define LAY_PICKLE_NONE UINT32_MAX /* no cell */

enum lay_pickle_kind {
    LAY_PICKLE_OPAQUE, /* None, a float, a device: of no interest */
    LAY_PICKLE_BOOL,
    LAY_PICKLE_INT,
    LAY_PICKLE_TEXT,
    LAY_PICKLE_TUPLE,
    LAY_PICKLE_LIST,
    LAY_PICKLE_DICT,
    LAY_PICKLE_GLOBAL,
    LAY_PICKLE_STORAGE,
    LAY_PICKLE_TENSOR,
    LAY_PICKLE_MARK
};

struct lay_pickle_text {
    const char *bytes; /* no NUL at the end */
    size_t length;
};

struct lay_pickle_value {
    enum lay_pickle_kind kind;
    uint32_t first, last; /* TUPLE, LIST, DICT: cells, LAY_PICKLE_NONE when empty */
    union {
        int64_t integer; /* BOOL, INT */
        size_t index;    /* GLOBAL, STORAGE, TENSOR; TUPLE, LIST, DICT: the number of cells */
        struct lay_pickle_text text;
    };
};

/* An element of a container; `key` is used in dicts. */
struct lay_pickle_cell {
    uint32_t key, value, next;
};

/* One mention of a storage. `data` is filled in by the file format. */
struct lay_pickle_storage {
    struct lay_pickle_text key;
    enum lay_dtype dtype;
    size_t count;                   /* elements */
    size_t view_offset, view_count; /* the part that tensors see (legacy files) */
    const unsigned char *data;      /* `count` elements */
};

struct lay_pickle_tensor {
    size_t storage;
    size_t offset; /* elements into the view */
    int rank;
    int64_t shape[LAY_TENSOR_MAX_RANK], stride[LAY_TENSOR_MAX_RANK];
};

struct lay_pickle {
    const char *path;
    struct lay_pickle_value *values;
    struct lay_pickle_cell *cells;
    struct lay_pickle_storage *storages;
    struct lay_pickle_tensor *tensors;
    size_t n_values, n_cells, n_storages, n_tensors;
    size_t cap_values, cap_cells, cap_storages, cap_tensors;
    uint32_t root; /* the value that STOP returned */
};

/* Runs one pickle. *used gets its length, the STOP included. Free `pickle` in any case. */
enum lay_status lay_pickle_run(const char *path, const unsigned char *data, size_t size,
                               struct lay_pickle *pickle, size_t *used, struct lay_err *err);
void lay_pickle_free(struct lay_pickle *pickle);

bool lay_pickle_text_is(struct lay_pickle_text text, const char *wanted);

/* The value under a text key of a dict; NULL when there is none. */
const struct lay_pickle_value *lay_pickle_get(const struct lay_pickle *pickle,
                                              const struct lay_pickle_value *dict, const char *key);

/* The tensors of the state dict that the pickle's root is or wraps, checked against their storages. */
enum lay_status lay_pickle_collect(const struct lay_pickle *pickle, struct lay_tensor_list *list,
                                   struct lay_err *err);

#endif
