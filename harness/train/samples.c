#include "harness/train/samples.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/train/order.h"

#include <string.h>

#define DEV_EPOCH (-1) /* the order that the dev set is drawn with */

void lay_train_samples_free(struct lay_train_samples *samples)
{
    lay_train_set_free(&samples->set);
    lay_ids_free(&samples->ids);
    lay_free(samples->items);
    lay_free(samples->order);
    *samples = (struct lay_train_samples){0};
}

/* --- reading --- */

static enum lay_status find_languages(const struct lay_option_list *names, const struct lay_language **list,
                                      struct lay_err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        list[i] = lay_language_find(names->items[i]);
        if (!list[i])
            return lay_fail(err, LAY_ERR_USAGE,
                            "--lang: \"%s\" is not a language; `layeval tasks` lists them", names->items[i]);
    }
    return LAY_OK;
}

static bool is_json_lines(const char *path)
{
    const size_t length = strlen(path);
    return length > 6 && strcmp(path + length - 6, ".jsonl") == 0 && !lay_path_is_dir(path);
}

/* An item that stands twice would count twice. */
static enum lay_status check_tasks(const struct lay_option_list *tasks, struct lay_err *err)
{
    for (size_t i = 0; i < tasks->count; i++)
        for (size_t j = 0; j < i; j++)
            if (lay_train_data_same(tasks->items[i], tasks->items[j]))
                return lay_fail(err, LAY_ERR_USAGE,
                                "--task: %s and %s have the same training items; name one", tasks->items[j],
                                tasks->items[i]);
    return LAY_OK;
}

static enum lay_status read_set(const struct lay_train_options *options, bool text_prompt,
                                const struct lay_prompt_set *prompts, struct lay_train_set *set,
                                struct lay_err *err)
{
    const struct lay_language *languages[LAY_OPTION_LIST_MAX];
    LAY_TRY(find_languages(&options->languages, languages, err));
    const struct lay_train_data_options data = {
        .languages = options->languages.count ? languages : NULL,
        .n_languages = options->languages.count,
        .limit = options->limit,
        .prompts = prompts,
        .text_prompt = text_prompt,
    };
    if (is_json_lines(options->data))
        return lay_train_data_read_lines(set, options->data, &data, err);
    if (options->translation)
        return lay_train_data_read(set, "translation", options->data, &data, err);
    LAY_TRY(check_tasks(&options->tasks, err));
    for (size_t i = 0; i < options->tasks.count; i++)
        LAY_TRY(lay_train_data_read(set, options->tasks.items[i], options->data, &data, err));
    return LAY_OK;
}

/* --- tokens --- */

/* The content is cut, what the tokenizer puts at the end stays. */
static bool cut(struct lay_ids *ids, size_t begin, int64_t limit, bool keep_last)
{
    const size_t count = ids->count - begin;
    if (count <= (size_t)limit)
        return false;
    if (keep_last)
        ids->data[begin + (size_t)limit - 1] = ids->data[ids->count - 1];
    ids->count = begin + (size_t)limit;
    return true;
}

struct tokens {
    const struct lay_train_options *options;
    const struct lay_train_parts *parts;
};

/* A tokenizer of another model has tokens that this one has not. */
static enum lay_status check_ids(const struct lay_train_samples *s, size_t begin,
                                 const struct lay_train_item *item, int64_t vocab_size, const char *model,
                                 struct lay_err *err)
{
    char name[200];
    for (size_t i = begin; i < s->ids.count; i++)
        if (s->ids.data[i] < 0 || s->ids.data[i] >= vocab_size)
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: the tokenizer of the %s gives token %d, its configuration has %lld "
                            "(vocab_size); do they belong together?",
                            lay_train_item_name(&s->set, item, name, sizeof name), model, (int)s->ids.data[i],
                            (long long)vocab_size);
    return LAY_OK;
}

static enum lay_status put_source(const struct tokens *t, struct lay_train_samples *s,
                                  const struct lay_train_item *item, int64_t *n, struct lay_err *err)
{
    const size_t begin = s->ids.count;
    char name[200];
    struct lay_tokenizer *tokenizer = t->parts->encoder_tokenizer;
    if (!tokenizer)
        return LAY_OK;
    if (!item->source)
        return lay_fail(err, LAY_ERR_INPUT, "%s: has no source for the encoder to read",
                        lay_train_item_name(&s->set, item, name, sizeof name));
    if (item->language)
        LAY_TRY(lay_tokenizer_set_language(tokenizer, item->language->nllb, err));
    LAY_TRY(lay_tokenizer_encode(tokenizer, item->source, strlen(item->source), true, &s->ids, err));
    LAY_TRY(check_ids(s, begin, item, t->parts->encoder_config.vocab_size, "encoder", err));
    s->cut += cut(&s->ids, begin, t->options->source_length, true);
    *n = (int64_t)(s->ids.count - begin);
    return LAY_OK;
}

static enum lay_status put_prompt(const struct tokens *t, struct lay_train_samples *s,
                                  const struct lay_train_item *item, int64_t *n, struct lay_err *err)
{
    const size_t begin = s->ids.count;
    if (!item->prompt)
        return LAY_OK;
    LAY_TRY(lay_tokenizer_encode(t->parts->llm_tokenizer, item->prompt, strlen(item->prompt), false, &s->ids,
                                 err));
    LAY_TRY(check_ids(s, begin, item, t->parts->llm_config.vocab_size, "LLM", err));
    s->cut += cut(&s->ids, begin, t->options->prompt_length, false);
    *n = (int64_t)(s->ids.count - begin);
    return LAY_OK;
}

static enum lay_status put_target(const struct tokens *t, struct lay_train_samples *s,
                                  const struct lay_train_item *item, int64_t *n, struct lay_err *err)
{
    const size_t begin = s->ids.count;
    char name[200];
    LAY_TRY(lay_tokenizer_encode(t->parts->llm_tokenizer, item->target, strlen(item->target), false, &s->ids,
                                 err));
    LAY_TRY(lay_ids_push(&s->ids, t->parts->eos, err));
    LAY_TRY(check_ids(s, begin, item, t->parts->llm_config.vocab_size, "LLM", err));
    const size_t count = s->ids.count - begin;
    if (cut(&s->ids, begin, t->options->target_length, true) && !t->options->cut_targets)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: the target has %zu tokens, its limit is %lld; raise --target-length, or cut such "
            "targets with --cut-targets as the official code does",
            lay_train_item_name(&s->set, item, name, sizeof name), count,
            (long long)t->options->target_length);
    *n = (int64_t)(s->ids.count - begin);
    return LAY_OK;
}

/* One after the other: source, prompt, target. Pointers are set when ids no longer moves. */
static enum lay_status put_item(const struct tokens *t, struct lay_train_samples *s, size_t i,
                                struct lay_err *err)
{
    struct lay_train_item *item = &s->set.items[i];
    struct lay_train_sample *sample = &s->items[i];
    LAY_TRY(put_source(t, s, item, &sample->n_source, err));
    LAY_TRY(put_prompt(t, s, item, &sample->n_prompt, err));
    LAY_TRY(put_target(t, s, item, &sample->n_target, err));
    lay_free(item->source);
    lay_free(item->prompt);
    lay_free(item->target);
    item->source = item->prompt = item->target = NULL;
    return LAY_OK;
}

static enum lay_status tokenize(const struct tokens *t, struct lay_train_samples *s, struct lay_err *err)
{
    s->items = lay_alloc(s->set.count, sizeof *s->items);
    if (!s->items)
        return lay_no_memory(err, "training samples");
    for (size_t i = 0; i < s->set.count; i++)
        LAY_TRY(put_item(t, s, i, err));
    const int32_t *at = s->ids.data;
    for (size_t i = 0; i < s->set.count; i++) {
        struct lay_train_sample *sample = &s->items[i];
        sample->source = at;
        sample->prompt = sample->source + sample->n_source;
        sample->target = sample->prompt + sample->n_prompt;
        at = sample->target + sample->n_target;
    }
    return LAY_OK;
}

/* --- splitting --- */

static enum lay_status split(struct lay_train_samples *s, const struct lay_train_options *options,
                             struct lay_err *err)
{
    if (s->set.count > UINT32_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%zu training items; at most %u are taken", s->set.count,
                        UINT32_MAX);
    if ((uint64_t)options->dev >= s->set.count)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: %zu training items, and --dev would hold out %lld; nothing is left to train on",
                        options->data, s->set.count, (long long)options->dev);
    s->order = lay_alloc(s->set.count, sizeof *s->order);
    if (!s->order)
        return lay_no_memory(err, "training samples");
    lay_order((uint64_t)options->seed, DEV_EPOCH, s->order, s->set.count);
    s->n_dev = (size_t)options->dev;
    s->n_train = s->set.count - s->n_dev;
    return LAY_OK;
}

enum lay_status lay_train_samples_read(const struct lay_train_options *options,
                                       const struct lay_train_parts *parts,
                                       const struct lay_prompt_set *prompts,
                                       struct lay_train_samples *samples, struct lay_err *err)
{
    const struct tokens tokens = {options, parts};
    *samples = (struct lay_train_samples){0};
    LAY_TRY(read_set(options, parts->text_prompt, prompts, &samples->set, err));
    LAY_TRY(split(samples, options, err));
    return tokenize(&tokens, samples, err);
}

void lay_train_samples_order(const struct lay_train_samples *samples, uint64_t seed, int64_t epoch,
                             uint32_t *order)
{
    lay_order(seed, epoch, order, samples->n_train);
    for (size_t i = 0; i < samples->n_train; i++)
        order[i] = samples->order[samples->n_dev + order[i]];
}
