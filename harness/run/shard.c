#include "harness/run/shard.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum lay_status lay_shard_parse(const char *text, struct lay_shard *shard, struct lay_err *err)
{
    char *slash, *end = NULL;
    const long long index = strtoll(text, &slash, 10);
    const long long count = *slash == '/' ? strtoll(slash + 1, &end, 10) : 0;
    if (strspn(text, "0123456789/") == strlen(text) && end && end > slash + 1 && !*end && index >= 1 &&
        index <= count && count <= LAY_SHARDS_MAX) {
        *shard = (struct lay_shard){index, count};
        return LAY_OK;
    }
    return lay_fail(err, LAY_ERR_USAGE,
                    "--shard: \"%s\" is not of the form 2/4: this part, from 1 on, of so many (at most %d)",
                    text, LAY_SHARDS_MAX);
}

/* --- dividing --- */

/* What stays together: a sample, or an official batch. */
struct unit {
    size_t first, end; /* samples of the cell's data */
    size_t length;     /* bytes of their texts */
};

/* What a shard has got so far. */
struct load {
    int64_t index; /* of the shard */
    size_t units, length;
};

static size_t text_length(const struct lay_sample *sample)
{
    size_t length = strlen(sample->question) + (sample->second ? strlen(sample->second) : 0);
    for (size_t i = 0; i < sample->n_choices; i++)
        length += strlen(sample->choices[i]);
    return length;
}

static int longest_first(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int lightest_first(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    if (x->units != y->units)
        return x->units < y->units ? -1 : 1;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The units of a cell, longest first; returns how many. `units` has room for one per sample. */
static size_t cut(const struct lay_workload_cell *cell, size_t batch, struct unit *units)
{
    size_t count = 0;
    for (size_t first = 0; first < cell->wanted; first += batch) {
        const size_t left = cell->data->count - first;
        struct unit *unit = &units[count++];
        *unit = (struct unit){.first = first, .end = first + (batch < left ? batch : left)};
        for (size_t i = unit->first; i < unit->end; i++)
            unit->length += text_length(&cell->data->samples[i]);
    }
    qsort(units, count, sizeof *units, longest_first);
    return count;
}

static void take(struct lay_workload_cell *cell, const struct unit *unit)
{
    for (size_t i = unit->first; i < unit->end && i < cell->wanted; i++) {
        cell->chosen[i] = true;
        cell->n_chosen++;
    }
}

/* In rounds: every shard gets one of the longest that are left, the lightest shard the longest of them. */
static void deal(struct lay_shard shard, struct lay_workload_cell *cell, const struct unit *units,
                 size_t n_units, struct load *loads)
{
    const size_t count = (size_t)shard.count;
    for (size_t start = 0; start < n_units; start += count) {
        qsort(loads, count, sizeof *loads, lightest_first);
        for (size_t i = 0; i < count && start + i < n_units; i++) {
            loads[i].units++;
            loads[i].length += units[start + i].length;
            if (loads[i].index == shard.index)
                take(cell, &units[start + i]);
        }
    }
}

static enum lay_status refuse_empty(struct lay_shard shard, int64_t official_batch, size_t n_units,
                                    struct lay_err *err)
{
    if (n_units >= (size_t)shard.count)
        return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--shard %lld/%lld: there are only %zu %s to share; use at most %zu",
                    (long long)shard.index, (long long)shard.count, n_units,
                    official_batch > 0 ? "official batches" : "samples", n_units);
}

enum lay_status lay_shard_choose(struct lay_shard shard, int64_t official_batch,
                                 struct lay_workload *workload, struct lay_err *err)
{
    const size_t batch = official_batch > 0 ? (size_t)official_batch : 1;
    size_t most = 0, n_units = 0;
    enum lay_status status = LAY_OK;
    if (shard.count == 0)
        return LAY_OK;
    for (size_t c = 0; c < workload->count; c++)
        most = workload->cells[c].wanted > most ? workload->cells[c].wanted : most;
    struct unit *units = lay_alloc(most, sizeof *units);
    struct load *loads = lay_alloc((size_t)shard.count, sizeof *loads);
    if (!units || !loads) {
        status = lay_no_memory(err, "the shard");
        goto done;
    }
    for (int64_t i = 0; i < shard.count; i++)
        loads[i].index = i + 1;
    workload->samples = 0;
    for (size_t c = 0; c < workload->count; c++) {
        struct lay_workload_cell *cell = &workload->cells[c];
        cell->n_chosen = 0;
        cell->chosen = lay_alloc(cell->wanted, sizeof *cell->chosen);
        if (!cell->chosen) {
            status = lay_no_memory(err, "the shard");
            goto done;
        }
        const size_t of_cell = cut(cell, batch, units);
        deal(shard, cell, units, of_cell, loads);
        n_units += of_cell;
        workload->samples += cell->n_chosen;
    }
    status = refuse_empty(shard, official_batch, n_units, err);
done:
    lay_free(units);
    lay_free(loads);
    return status;
}

/* --- in a manifest --- */

bool lay_shard_read(const cJSON *manifest, struct lay_shard *shard, int64_t *samples)
{
    static const char where[] = "shard";
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(manifest, where);
    int64_t n = 0;
    *shard = (struct lay_shard){0};
    if (!cJSON_IsObject(object) || lay_json_get_int(object, where, "index", &shard->index, NULL) != LAY_OK ||
        lay_json_get_int(object, where, "count", &shard->count, NULL) != LAY_OK ||
        lay_json_get_int(object, where, "samples", &n, NULL) != LAY_OK)
        return false;
    if (samples)
        *samples = n;
    return true;
}

void lay_shard_label(const cJSON *manifest, char label[LAY_SHARD_LABEL])
{
    struct lay_shard shard;
    label[0] = 0;
    if (lay_shard_read(manifest, &shard, NULL))
        snprintf(label, LAY_SHARD_LABEL, " [shard %lld/%lld]", (long long)shard.index,
                 (long long)shard.count);
}
