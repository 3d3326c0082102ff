/* The parsers behind lay_checkpoint_open. Each reads one file that is in memory, checks everything it says
 * and appends its tensors to a list. `path` stands for the file in messages and in tensor.file and must, like
 * `data`, outlive the list. Nothing here touches the file system, so fuzz targets call these directly. */
#ifndef LAY_STORE_PARSE_H
#define LAY_STORE_PARSE_H

#include "engine/store/checkpoint.h"

/* More than any published checkpoint has; keeps a hostile file from taking the memory. */
#define LAY_CHECKPOINT_MAX_TENSORS ((size_t)1 << 20)

struct lay_tensor_list {
    struct lay_tensor *items; /* names are owned, `file` and `data` are borrowed */
    size_t count, capacity;
};

/* Appends a copy of `tensor` with an own copy of the name. */
enum lay_status lay_tensor_list_add(struct lay_tensor_list *list, const struct lay_tensor *tensor,
                                    const char *name, size_t name_length, struct lay_err *err);
void lay_tensor_list_free(struct lay_tensor_list *list);

/* count and bytes of a tensor whose dtype, rank and shape are set; LAY_ERR_INPUT when a dimension is negative
 * or the product overflows. `name` is for the message. */
enum lay_status lay_tensor_measure(struct lay_tensor *tensor, const char *path, const char *name,
                                   struct lay_err *err);

enum lay_status lay_safetensors_parse(const char *path, const unsigned char *data, size_t size,
                                      struct lay_tensor_list *list, struct lay_err *err);
/* torch.save since 1.6: a zip with <top>/data.pkl and one stored entry per storage. */
enum lay_status lay_torch_zip_parse(const char *path, const unsigned char *data, size_t size,
                                    struct lay_tensor_list *list, struct lay_err *err);
/* torch.save before 1.6: five pickles, then the storages. */
enum lay_status lay_torch_legacy_parse(const char *path, const unsigned char *data, size_t size,
                                       struct lay_tensor_list *list, struct lay_err *err);

/* Finds out which of the three it is. *format gets "safetensors", "torch zip" or "torch legacy". */
enum lay_status lay_weight_file_parse(const char *path, const unsigned char *data, size_t size,
                                      const char **format, struct lay_tensor_list *list, struct lay_err *err);

#endif
