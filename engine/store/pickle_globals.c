/* The names that a torch pickle may mention, and what calling them means here. */
#include "engine/store/pickle_machine.h"

#include "engine/base/mem.h"

#include <string.h>

typedef enum lay_status (*call_function)(struct lay_pickle_machine *machine,
                                         const struct lay_pickle_value *arguments);

static enum lay_status call_ordered_dict(struct lay_pickle_machine *, const struct lay_pickle_value *);
static enum lay_status call_rebuild_tensor(struct lay_pickle_machine *, const struct lay_pickle_value *);
static enum lay_status call_rebuild_parameter(struct lay_pickle_machine *, const struct lay_pickle_value *);
static enum lay_status call_size(struct lay_pickle_machine *, const struct lay_pickle_value *);
static enum lay_status call_device(struct lay_pickle_machine *, const struct lay_pickle_value *);

/* Storages have an element type; those without `call` and element type are mere constants. */
static const struct {
    const char *module, *name;
    call_function call;
    enum lay_dtype dtype;
} globals[] = {
    {"collections", "OrderedDict", call_ordered_dict, LAY_DTYPE_COUNT},
    {"torch._utils", "_rebuild_tensor", call_rebuild_tensor, LAY_DTYPE_COUNT},
    {"torch._utils", "_rebuild_tensor_v2", call_rebuild_tensor, LAY_DTYPE_COUNT},
    {"torch._utils", "_rebuild_parameter", call_rebuild_parameter, LAY_DTYPE_COUNT},
    {"torch", "Size", call_size, LAY_DTYPE_COUNT},
    {"torch", "device", call_device, LAY_DTYPE_COUNT},
    {"torch", "FloatStorage", NULL, LAY_F32},
    {"torch", "HalfStorage", NULL, LAY_F16},
    {"torch", "BFloat16Storage", NULL, LAY_BF16},
    {"torch", "DoubleStorage", NULL, LAY_F64},
    {"torch", "CharStorage", NULL, LAY_I8},
    {"torch", "ByteStorage", NULL, LAY_U8},
    {"torch", "ShortStorage", NULL, LAY_I16},
    {"torch", "IntStorage", NULL, LAY_I32},
    {"torch", "LongStorage", NULL, LAY_I64},
    {"torch", "BoolStorage", NULL, LAY_BOOL},
    {"torch.storage", "UntypedStorage", NULL, LAY_U8}, /* counts bytes */
    {"torch", "float32", NULL, LAY_DTYPE_COUNT},
    {"torch", "float16", NULL, LAY_DTYPE_COUNT},
    {"torch", "bfloat16", NULL, LAY_DTYPE_COUNT},
    {"torch", "float64", NULL, LAY_DTYPE_COUNT},
    {"torch", "int64", NULL, LAY_DTYPE_COUNT},
};
#define N_GLOBALS (sizeof globals / sizeof *globals)

#define SHOWN_MAX 80 /* bytes of a foreign name in a message */

/* The name as a message may show it: no control bytes, no endless text. */
static const char *shown(struct lay_pickle_text text, char *out)
{
    const size_t n = text.length < SHOWN_MAX ? text.length : SHOWN_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = text.bytes[i] > ' ' && text.bytes[i] < 0x7f ? text.bytes[i] : '?';
    out[n] = 0;
    return out;
}

enum lay_status lay_pickle_push_global(struct lay_pickle_machine *machine, struct lay_pickle_text module,
                                       struct lay_pickle_text name)
{
    char a[SHOWN_MAX + 1], b[SHOWN_MAX + 1];
    for (size_t i = 0; i < N_GLOBALS; i++)
        if (lay_pickle_text_is(module, globals[i].module) && lay_pickle_text_is(name, globals[i].name))
            return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_GLOBAL, .index = i});
    return lay_fail(machine->err, LAY_ERR_INPUT,
                    "%s: pickle, byte %zu: refers to %s.%s, which has no place in a state dict (nothing was "
                    "run); if you trust the file, save its weights with torch.save(model.state_dict(), …) or "
                    "as safetensors",
                    machine->pickle->path, machine->at, shown(module, a), shown(name, b));
}

enum lay_status lay_pickle_call(struct lay_pickle_machine *machine, const struct lay_pickle_value *callable,
                                uint32_t arguments)
{
    const size_t i = callable->index;
    const struct lay_pickle_value copy = machine->pickle->values[arguments];
    if (globals[i].call)
        return globals[i].call(machine, &copy);
    return lay_fail(machine->err, LAY_ERR_INPUT, "%s: pickle, byte %zu: calls %s.%s, which is not a function",
                    machine->pickle->path, machine->at, globals[i].module, globals[i].name);
}

static enum lay_status pair_into(struct lay_pickle_machine *machine, uint32_t dict, uint32_t pair)
{
    const struct lay_pickle *pickle = machine->pickle;
    const struct lay_pickle_value *value = &pickle->values[pair];
    if ((value->kind != LAY_PICKLE_TUPLE && value->kind != LAY_PICKLE_LIST) || value->index != 2)
        return lay_pickle_damaged(machine, "an OrderedDict is made of something that is no pair");
    const struct lay_pickle_cell *key = &pickle->cells[value->first];
    return lay_pickle_append(machine, dict, key->value, pickle->cells[key->next].value);
}

/* OrderedDict() or OrderedDict([(key, value), …]). */
static enum lay_status call_ordered_dict(struct lay_pickle_machine *machine,
                                         const struct lay_pickle_value *arguments)
{
    const struct lay_pickle *pickle = machine->pickle;
    uint32_t cell = LAY_PICKLE_NONE;
    if (arguments->index > 1)
        return lay_pickle_damaged(machine, "OrderedDict has more than one argument");
    if (arguments->index == 1) {
        const struct lay_pickle_value *pairs = lay_pickle_item(pickle, arguments, 0);
        if (pairs->kind != LAY_PICKLE_LIST && pairs->kind != LAY_PICKLE_TUPLE)
            return lay_pickle_damaged(machine, "OrderedDict is made of something that is no list");
        cell = pairs->first;
    }
    LAY_TRY(lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_DICT}));
    const uint32_t dict = machine->stack[machine->n_stack - 1];
    for (; cell != LAY_PICKLE_NONE; cell = pickle->cells[cell].next)
        LAY_TRY(pair_into(machine, dict, pickle->cells[cell].value));
    return LAY_OK;
}

static enum lay_status call_size(struct lay_pickle_machine *machine, const struct lay_pickle_value *arguments)
{
    if (arguments->index != 1)
        return lay_pickle_damaged(machine, "torch.Size needs one argument");
    const struct lay_pickle_value *sizes = lay_pickle_item(machine->pickle, arguments, 0);
    if (sizes->kind != LAY_PICKLE_TUPLE)
        return lay_pickle_damaged(machine, "torch.Size is made of something that is no tuple");
    const uint32_t first = sizes->first, last = sizes->last;
    const size_t count = sizes->index;
    LAY_TRY(lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_TUPLE}));
    struct lay_pickle_value *size = &machine->pickle->values[machine->stack[machine->n_stack - 1]];
    size->first = first; /* tuples, unlike lists, never grow: cells may be shared */
    size->last = last;
    size->index = count;
    return LAY_OK;
}

static enum lay_status call_device(struct lay_pickle_machine *machine,
                                   const struct lay_pickle_value *arguments)
{
    (void)arguments;
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_OPAQUE});
}

/* A tuple of whole numbers from 0 on into at most LAY_TENSOR_MAX_RANK places. */
static enum lay_status read_sizes(struct lay_pickle_machine *machine, const struct lay_pickle_value *tuple,
                                  int *rank, int64_t *sizes)
{
    const struct lay_pickle *pickle = machine->pickle;
    if (tuple->kind != LAY_PICKLE_TUPLE)
        return lay_pickle_damaged(machine, "the shape or stride of a tensor is no tuple");
    if (tuple->index > LAY_TENSOR_MAX_RANK)
        return lay_pickle_damaged(machine, "a tensor has too many dimensions");
    *rank = 0;
    for (uint32_t cell = tuple->first; cell != LAY_PICKLE_NONE; cell = pickle->cells[cell].next) {
        const struct lay_pickle_value *size = &pickle->values[pickle->cells[cell].value];
        if (size->kind != LAY_PICKLE_INT || size->integer < 0 || *rank == LAY_TENSOR_MAX_RANK)
            return lay_pickle_damaged(machine, "a size or stride of a tensor is no whole number");
        sizes[(*rank)++] = size->integer;
    }
    return LAY_OK;
}

/* _rebuild_tensor(storage, offset, size, stride), _v2 also with requires_grad, hooks and metadata. */
static enum lay_status call_rebuild_tensor(struct lay_pickle_machine *machine,
                                           const struct lay_pickle_value *arguments)
{
    struct lay_pickle *pickle = machine->pickle;
    struct lay_pickle_tensor tensor = {0};
    int strides = 0;
    if (arguments->index < 4 || arguments->index > 7)
        return lay_pickle_damaged(machine, "a tensor is built from the wrong number of arguments");
    const struct lay_pickle_value *storage = lay_pickle_item(pickle, arguments, 0);
    const struct lay_pickle_value *offset = lay_pickle_item(pickle, arguments, 1);
    if (storage->kind != LAY_PICKLE_STORAGE || offset->kind != LAY_PICKLE_INT || offset->integer < 0)
        return lay_pickle_damaged(machine, "a tensor is built without a storage or an offset");
    tensor.storage = storage->index;
    tensor.offset = (size_t)offset->integer;
    LAY_TRY(read_sizes(machine, lay_pickle_item(pickle, arguments, 2), &tensor.rank, tensor.shape));
    LAY_TRY(read_sizes(machine, lay_pickle_item(pickle, arguments, 3), &strides, tensor.stride));
    if (strides != tensor.rank)
        return lay_pickle_damaged(machine, "shape and stride of a tensor differ in length");
    if (!lay_grow((void **)&pickle->tensors, &pickle->cap_tensors, pickle->n_tensors + 1,
                  sizeof *pickle->tensors))
        return lay_no_memory(machine->err, "a pickle");
    pickle->tensors[pickle->n_tensors] = tensor;
    return lay_pickle_push(
        machine, (struct lay_pickle_value){.kind = LAY_PICKLE_TENSOR, .index = pickle->n_tensors++});
}

/* _rebuild_parameter(tensor, requires_grad, hooks) is the tensor. */
static enum lay_status call_rebuild_parameter(struct lay_pickle_machine *machine,
                                              const struct lay_pickle_value *arguments)
{
    if (arguments->index != 3 || lay_pickle_item(machine->pickle, arguments, 0)->kind != LAY_PICKLE_TENSOR)
        return lay_pickle_damaged(machine, "a parameter is built from something that is no tensor");
    const struct lay_pickle_value tensor = *lay_pickle_item(machine->pickle, arguments, 0);
    return lay_pickle_push(machine, tensor);
}

/* The view of a legacy id: None, or (key, offset, count) in elements. */
static enum lay_status read_view(struct lay_pickle_machine *machine, const struct lay_pickle_value *view,
                                 struct lay_pickle_storage *storage)
{
    if (view->kind == LAY_PICKLE_OPAQUE)
        return LAY_OK;
    if (view->kind != LAY_PICKLE_TUPLE || view->index != 3)
        return lay_pickle_damaged(machine, "the view of a storage is no triple");
    const struct lay_pickle_value *offset = lay_pickle_item(machine->pickle, view, 1);
    const struct lay_pickle_value *count = lay_pickle_item(machine->pickle, view, 2);
    if (offset->kind != LAY_PICKLE_INT || count->kind != LAY_PICKLE_INT || offset->integer < 0 ||
        count->integer < 0 || (size_t)offset->integer > storage->count ||
        (size_t)count->integer > storage->count - (size_t)offset->integer)
        return lay_pickle_damaged(machine, "the view of a storage is outside of it");
    storage->view_offset = (size_t)offset->integer;
    storage->view_count = (size_t)count->integer;
    return LAY_OK;
}

/* ("storage", type, key, device, count), in legacy files with a sixth element, the view. */
enum lay_status lay_pickle_push_storage(struct lay_pickle_machine *machine, const struct lay_pickle_value *id)
{
    struct lay_pickle *pickle = machine->pickle;
    if (id->index != 5 && id->index != 6)
        return lay_pickle_damaged(machine, "a persistent id has the wrong length");
    const struct lay_pickle_value *word = lay_pickle_item(pickle, id, 0),
                                  *type = lay_pickle_item(pickle, id, 1),
                                  *key = lay_pickle_item(pickle, id, 2),
                                  *count = lay_pickle_item(pickle, id, 4);
    if (word->kind != LAY_PICKLE_TEXT || !lay_pickle_text_is(word->text, "storage") ||
        type->kind != LAY_PICKLE_GLOBAL || globals[type->index].dtype == LAY_DTYPE_COUNT ||
        key->kind != LAY_PICKLE_TEXT || count->kind != LAY_PICKLE_INT || count->integer < 0)
        return lay_pickle_damaged(machine, "a persistent id is not that of a storage");
    struct lay_pickle_storage storage = {
        .key = key->text,
        .dtype = globals[type->index].dtype,
        .count = (size_t)count->integer,
        .view_count = (size_t)count->integer,
    };
    if (id->index == 6)
        LAY_TRY(read_view(machine, lay_pickle_item(pickle, id, 5), &storage));
    if (!lay_grow((void **)&pickle->storages, &pickle->cap_storages, pickle->n_storages + 1,
                  sizeof *pickle->storages))
        return lay_no_memory(machine->err, "a pickle");
    pickle->storages[pickle->n_storages] = storage;
    return lay_pickle_push(
        machine, (struct lay_pickle_value){.kind = LAY_PICKLE_STORAGE, .index = pickle->n_storages++});
}
