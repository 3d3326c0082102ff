#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/model/precision.h"
#include "harness/selftest/selftest.h"

#include <stdio.h>
#include <string.h>

void lay_selftest_free(struct lay_selftest *selftest)
{
    lay_free(selftest->products);
    lay_free(selftest->answers);
    *selftest = (struct lay_selftest){0};
}

bool lay_selftest_products_hold(const struct lay_selftest_products *products)
{
    bool holds = true;
    for (size_t i = 0; i < products->n_layers; i++)
        holds = holds && products->layers[i].verdict.holds;
    return holds;
}

bool lay_selftest_holds(const struct lay_selftest *s)
{
    bool holds = true;
    for (size_t i = 0; i < s->n_products; i++)
        holds = holds && lay_selftest_products_hold(&s->products[i]);
    for (size_t i = 0; i < s->n_answers; i++)
        holds = holds && s->answers[i].holds;
    return holds;
}

/* --- for people --- */

/* Whether kernel k of layer l was named before. */
static bool named_before(const struct lay_selftest_products *p, size_t l, size_t k)
{
    const char *name = p->layers[l].kernels[k];
    for (size_t i = 0; i <= l; i++)
        for (size_t j = 0; j < (i < l ? LAY_SELFTEST_KERNEL_ROWS : k); j++)
            if (strcmp(p->layers[i].kernels[j], name) == 0)
                return true;
    return false;
}

static void put_kernels(struct lay_str *out, const struct lay_selftest_products *p)
{
    bool first = true;
    for (size_t l = 0; l < p->n_layers; l++)
        for (size_t k = 0; k < LAY_SELFTEST_KERNEL_ROWS; k++) {
            if (named_before(p, l, k))
                continue;
            lay_str_printf(out, "%s%s", first ? "" : ", ", p->layers[l].kernels[k]);
            first = false;
        }
}

static void put_products(struct lay_str *out, const struct lay_selftest_products *p)
{
    int64_t products = 0;
    for (size_t i = 0; i < p->n_layers; i++)
        products += p->layers[i].verdict.products;
    lay_str_printf(out, "%-5s products of %-38s %4lld compared, %s  ", lay_precision_name(p->dtype),
                   p->shape->name, (long long)products,
                   lay_selftest_products_hold(p) ? "same bits" : "DIFFER   ");
    put_kernels(out, p);
    lay_str_putc(out, '\n');
    for (size_t i = 0; i < p->n_layers; i++) {
        if (p->layers[i].verdict.holds)
            continue;
        lay_str_printf(out, "      %s: ", p->layers[i].name);
        lay_invariance_print(&p->layers[i].verdict, out);
        lay_str_putc(out, '\n');
    }
}

static void put_answers(struct lay_str *out, const struct lay_selftest_answers *a)
{
    lay_str_printf(out, "%-5s answers of  %-38s %4lld compared, %s\n", lay_precision_name(a->dtype),
                   a->system, (long long)a->requests * (long long)a->runs, a->holds ? "same bits" : "DIFFER");
    if (!a->holds)
        lay_str_printf(out, "      %s\n", a->where);
}

void lay_selftest_put_text(struct lay_str *out, const struct lay_selftest *s)
{
    lay_str_printf(out, "layeval %s, oneDNN %s, %s, bf16 %s, int8 %s\n", LAYEVAL_VERSION, lay_dnn_version(),
                   lay_dnn_isa(), lay_dnn_bf16_support(), lay_dnn_int8_support());
    for (size_t i = 0; i < s->n_products; i++)
        put_products(out, &s->products[i]);
    for (size_t i = 0; i < s->n_answers; i++)
        put_answers(out, &s->answers[i]);
    lay_str_printf(out, "%s (%.1f s)\n",
                   lay_selftest_holds(s)
                       ? "batch invariant: answers do not depend on batch size, neighbours, order or threads"
                       : "NOT batch invariant: see above; runs on this machine say so in their manifests",
                   s->seconds);
}

/* --- for programs --- */

static void put_layer(cJSON *list, const struct lay_selftest_layer *layer)
{
    cJSON *object = cJSON_CreateObject(), *kernels;
    if (!lay_json_add(list, NULL, object))
        return;
    cJSON_AddStringToObject(object, "layer", layer->name);
    cJSON_AddNumberToObject(object, "in", (double)layer->in);
    cJSON_AddNumberToObject(object, "out", (double)layer->out);
    cJSON_AddNumberToObject(object, "products", (double)layer->verdict.products);
    cJSON_AddBoolToObject(object, "invariant", layer->verdict.holds);
    kernels = cJSON_AddObjectToObject(object, "kernels");
    for (int i = 0; i < LAY_SELFTEST_KERNEL_ROWS; i++) {
        char rows[24];
        snprintf(rows, sizeof rows, "%lld", (long long)lay_selftest_kernel_rows[i]);
        cJSON_AddStringToObject(kernels, rows, layer->kernels[i]);
    }
    if (layer->verdict.holds)
        return;
    cJSON *at = cJSON_AddObjectToObject(object, "differs");
    cJSON_AddNumberToObject(at, "rows", (double)layer->verdict.trial.rows);
    cJSON_AddNumberToObject(at, "first", (double)layer->verdict.trial.first);
    cJSON_AddNumberToObject(at, "threads", layer->verdict.trial.threads);
    cJSON_AddNumberToObject(at, "row", (double)layer->verdict.row);
}

void lay_selftest_put_json(struct lay_str *out, const struct lay_selftest *s)
{
    lay_mem_watch_cjson();
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "layeval", LAYEVAL_VERSION);
    cJSON_AddStringToObject(root, "onednn", lay_dnn_version());
    cJSON_AddStringToObject(root, "isa", lay_dnn_isa());
    cJSON_AddStringToObject(root, "bf16", lay_dnn_bf16_support());
    cJSON_AddStringToObject(root, "int8", lay_dnn_int8_support());
    cJSON_AddBoolToObject(root, "batch_invariant", lay_selftest_holds(s));
    cJSON *products = cJSON_AddArrayToObject(root, "products");
    for (size_t i = 0; i < s->n_products; i++) {
        cJSON *object = cJSON_CreateObject();
        if (!lay_json_add(products, NULL, object))
            break;
        cJSON_AddStringToObject(object, "shape", s->products[i].shape->name);
        cJSON_AddStringToObject(object, "dtype", lay_precision_name(s->products[i].dtype));
        cJSON_AddBoolToObject(object, "invariant", lay_selftest_products_hold(&s->products[i]));
        cJSON_AddNumberToObject(object, "seconds", s->products[i].seconds);
        cJSON *layers = cJSON_AddArrayToObject(object, "layers");
        for (size_t l = 0; l < s->products[i].n_layers; l++)
            put_layer(layers, &s->products[i].layers[l]);
    }
    cJSON *answers = cJSON_AddArrayToObject(root, "answers");
    for (size_t i = 0; i < s->n_answers; i++) {
        const struct lay_selftest_answers *a = &s->answers[i];
        cJSON *object = cJSON_CreateObject();
        if (!lay_json_add(answers, NULL, object))
            break;
        cJSON_AddStringToObject(object, "system", a->system);
        cJSON_AddStringToObject(object, "dtype", lay_precision_name(a->dtype));
        cJSON_AddBoolToObject(object, "invariant", a->holds);
        cJSON_AddNumberToObject(object, "requests", (double)a->requests);
        cJSON_AddNumberToObject(object, "runs", (double)a->runs);
        cJSON_AddNumberToObject(object, "seconds", a->seconds);
        if (!a->holds)
            cJSON_AddStringToObject(object, "differs", a->where);
    }
    cJSON_AddNumberToObject(root, "seconds", s->seconds);
    lay_json_put(out, root, 2);
    out->failed |= lay_mem_cjson_failed();
    lay_str_putc(out, '\n');
    cJSON_Delete(root);
}
