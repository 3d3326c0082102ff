/* Whole models that learn: the gradient of every parameter against finite differences of a reference in
 * double. */
#include "reference.h"
#include "world.h"

static void check_element(struct reference *r, const struct lay_parameter *p, size_t i, double weight,
                          const char *where)
{
    const double step = 1e-5;
    r->changed = &p->value[i];
    r->delta = step;
    const double above = reference_loss(r, samples, SAMPLES);
    r->delta = -step;
    const double below = reference_loss(r, samples, SAMPLES);
    const double expected = weight * (above - below) / (2 * step);
    if (!(fabs((double)p->gradient[i] - expected) <= 2e-5 * (1 + fabs(expected))))
        fail_msg("%s: %s[%zu] is %.9g, by differences %.9g", where, p->name, i, (double)p->gradient[i],
                 expected);
}

/* The largest gradient of a tensor, and a few from all over it. */
static void check_parameter(struct reference *r, const struct lay_parameter *p, double weight,
                            const char *where)
{
    enum { CHECKED = 3 };
    size_t largest = 0;
    for (size_t i = 1; i < p->count; i++)
        if (fabsf(p->gradient[i]) > fabsf(p->gradient[largest]))
            largest = i;
    check_element(r, p, largest, weight, where);
    for (size_t k = 0; k < CHECKED; k++) {
        const size_t i = p->count <= CHECKED ? k : (k * 7919 + 13 * k * k) % p->count;
        if (i < p->count && i != largest)
            check_element(r, p, i, weight, where);
    }
}

/* Tables of M2M100 and XLM-R are nn.Embeddings with a padding_idx, whose row gets no gradient, though the
 * second sample reads it; those of T5 have none, whose pads come with official padding only. */
static void check_pad_rows(const struct lay_trainable *t, const struct variant *v,
                           const struct lay_encoder_config *c, bool padded)
{
    static const char *const tables[] = {"shared.weight", "model.shared.weight",
                                         "roberta.embeddings.word_embeddings.weight",
                                         "roberta.embeddings.position_embeddings.weight"};
    int found = 0;
    for (size_t i = 0; i < lay_trainable_count(t); i++)
        for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
            const struct lay_parameter *p = lay_trainable_parameter(t, i);
            if (strcmp(p->name, tables[k]) != 0)
                continue;
            double sum = 0;
            for (int64_t e = 0; e < c->hidden_size; e++)
                sum += fabs((double)p->gradient[c->pad_id * c->hidden_size + e]);
            if ((sum != 0) != (padded && encoder_family(v) == LAY_FAMILY_MT5))
                fail_msg("%s: %s: gradients of the pad's row sum up to %g", v->name, p->name, sum);
            found++;
        }
    assert_int_equal(found, encoder_family(v) == LAY_FAMILY_XLMR ? 2 : 1);
}

/* `padded` as in struct reference. */
static void check_variant(const struct variant *v, int64_t padded)
{
    const struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 2.0, .official_padding = padded > 0};
    struct lay_trainable *t;
    struct lay_train_loss loss = {0};
    struct world w;
    world_open(v, &w);
    ok(lay_trainable_create(&w.parts, &options, &t, err));
    ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &loss, err));
    lay_trainable_collect(t, 0.25);
    struct reference r = {.trainable = t,
                          .llm = &w.llm,
                          .encoder = w.parts.encoder_config,
                          .method = v->method,
                          .mlp = v->mlp,
                          .no_soft_prompt = v->no_soft_prompt,
                          .dropout = v->dropout,
                          .padded = padded,
                          .wide = v->wide,
                          .average = v->average,
                          .hidden_gates = v->hidden_gates,
                          .n_language_layers = v->n_language_layers};
    memcpy(r.language_layers, v->language_layers, sizeof v->language_layers);
    assert_int_equal(loss.tokens, 14);
    assert_true(fabs(loss.sum - reference_loss(&r, samples, SAMPLES)) < 2e-5);
    for (size_t p = 0; p < lay_trainable_count(t); p++)
        check_parameter(&r, lay_trainable_parameter(t, p), 0.5, v->name);
    if (v->method != LAY_PLAIN)
        check_pad_rows(t, v, &w.encoder, padded > 0);
    lay_trainable_destroy(t);
    world_close(&w);
}

static void gradients_are_those_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        check_variant(&variants[i], 0);
}

/* The adapter reads pads, too. */
static void gradients_with_official_padding_are_those_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (variants[i].method == LAY_LAYALIGN)
            check_variant(&variants[i], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_loss),
        cmocka_unit_test(gradients_with_official_padding_are_those_of_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
