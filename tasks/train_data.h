/* Training data: what encoder and LLM read and what the LLM shall answer, from the files of the official
 * code.
 *
 *   translation   bilingual_pairs/en-{iso}/train_100k.{iso} and train_100k.en beside it: line by line
 *                 (en-en: train_100k.en is both sides)
 *   mgsm, msvamp  metamath_615k.json (LayAlign's), else math.json (MindMerger's read_math_train): an array
 *                 of {"query", "response", "lang"}, or an object with the array as "data"
 *   x-csqa        x-csqa/train_{iso}.jsonl: as the benchmark's dev.jsonl
 *   xnli          xnli_dev.json: as the benchmark's test.json
 *   (a file)      JSON lines {"source"?, "prompt"?, "target", "lang"?}, texts as they are
 *
 * The folder may be the one that holds them or the one above (query_translation, bilingual_pairs). Texts are
 * what the prompt set makes of an item; the target is the response, the option letter, the label word. */
#ifndef LAY_TASKS_TRAIN_DATA_H
#define LAY_TASKS_TRAIN_DATA_H

#include "tasks/prompt.h"

#define LAY_TRAIN_FILES_MAX 256

/* Strings owned by the set. */
struct lay_train_item {
    char *source;                        /* what the encoder reads; NULL: nothing */
    char *prompt;                        /* the LLM's text prompt; NULL: none */
    char *target;                        /* what the LLM shall say */
    const struct lay_language *language; /* of the source; NULL: unknown */
    int32_t file;                        /* index into files */
    int64_t line;                        /* from 1; of arrays the number of the item */
};

struct lay_train_file {
    char *path;
    char hash[LAY_HASH_HEX]; /* XXH3-128; of a pair of files that of both hashes, one after the other */
    size_t items;
};

struct lay_train_set {
    struct lay_train_item *items;
    size_t count, capacity;
    struct lay_train_file files[LAY_TRAIN_FILES_MAX];
    int32_t n_files;
};

struct lay_train_data_options {
    const struct lay_language *const *languages; /* NULL: all that the files have, English pairs left out */
    size_t n_languages;
    int64_t limit;                        /* items a language at most, the first; 0: all */
    const struct lay_prompt_set *prompts; /* what texts items become */
    bool text_prompt;                     /* false: the LLM reads no text prompt */
};

/* Adds the items of one task ("translation", "mgsm", "msvamp", "x-csqa", "xnli") under `dir`. Every fault in
 * a file is LAY_ERR_INPUT with file, line and reason: files of a pair with unequal numbers of lines, a
 * language without items that was asked for, a file without any. An unknown task is LAY_ERR_USAGE. */
enum lay_status lay_train_data_read(struct lay_train_set *set, const char *task, const char *dir,
                                    const struct lay_train_data_options *options, struct lay_err *err);
/* Whether two tasks train on the same items; false for an unknown one. */
bool lay_train_data_same(const char *task, const char *other);
/* Adds the items of a file of JSON lines; of languages that were asked for each must have some. */
enum lay_status lay_train_data_read_lines(struct lay_train_set *set, const char *path,
                                          const struct lay_train_data_options *options, struct lay_err *err);
/* "train_100k.bn:17", for messages; returns text. */
const char *lay_train_item_name(const struct lay_train_set *set, const struct lay_train_item *item,
                                char *text, size_t size);
void lay_train_set_free(struct lay_train_set *set);

#endif
