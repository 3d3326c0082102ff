#include "engine/model/parameter.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum lay_status lay_parameter_add(struct lay_parameters *list, enum lay_module module, const char *prefix,
                                  const char *name, int rank, const int64_t *shape, float *value,
                                  float *gradient, struct lay_err *err)
{
    assert(rank >= 1 && rank <= 4);
    if (!lay_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items))
        return lay_no_memory(err, "parameters");
    struct lay_parameter *p = &list->items[list->count];
    *p = (struct lay_parameter){
        .module = module, .rank = rank, .count = 1, .value = value, .gradient = gradient};
    if (snprintf(p->name, sizeof p->name, "%s%s", prefix, name) >= (int)sizeof p->name)
        return lay_fail(err, LAY_ERR_INTERNAL, "parameter name too long: %s%s", prefix, name);
    for (int i = 0; i < rank; i++) {
        p->shape[i] = shape[i];
        p->count *= (size_t)shape[i];
    }
    list->count++;
    return LAY_OK;
}

void lay_parameters_free(struct lay_parameters *list)
{
    lay_free(list->items);
    *list = (struct lay_parameters){0};
}
