/* FLORES: one file per language and split, one sentence a line. */
#include "tasks/parallel.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/dataset.h"

#include <string.h>

/* What a language's file may be called in front of ".dev": FLORES-200, FLORES-101 (Chinese is zho_simpl
 * there), ISO code. */
static void file_name(struct lay_str *name, const struct lay_parallel_language *language, int variant,
                      const char *split)
{
    const bool known = language->nllb[0] != 0;
    lay_str_clear(name);
    if (variant >= 4)
        lay_str_printf(name, "%s/", split);
    if (variant % 4 == 3 || !known)
        lay_str_puts(name, language->code);
    else if (variant % 4 == 0)
        lay_str_puts(name, language->nllb);
    else
        lay_str_append(name, language->nllb, 3);
    if (variant % 4 == 2 && known)
        lay_str_puts(name, "_simpl");
    lay_str_printf(name, ".%s", split);
}
enum { N_VARIANTS = 8 }; /* four names, in DIR and in DIR/split */

/* *path NULL when there is no file; owned. */
static enum lay_status locate(const struct lay_parallel_options *options,
                              const struct lay_parallel_language *language, char **path, struct lay_err *err)
{
    struct lay_str name = {0};
    enum lay_status status = LAY_OK;
    *path = NULL;
    for (int variant = 0; variant < N_VARIANTS && !*path && status == LAY_OK; variant++) {
        file_name(&name, language, variant, options->split);
        *path = lay_path_join(options->flores, lay_str_text(&name));
        status = *path ? lay_str_check(&name, err) : lay_no_memory(err, "a path");
        if (*path && !lay_path_exists(*path)) {
            lay_free(*path);
            *path = NULL;
        }
    }
    lay_str_free(&name);
    return status;
}

static enum lay_status read_lines(const struct lay_parallel_options *options, struct lay_source *source,
                                  struct lay_parallel_language *language, struct lay_err *err)
{
    LAY_TRY(lay_file_read(source->path, LAY_DATA_FILE_MAX, &source->content, err));
    for (;;) {
        struct lay_line line;
        bool more;
        LAY_TRY(lay_source_line(source, &line, &more, err));
        if (!more)
            return LAY_OK;
        if (options->limit == 0 || language->count < options->limit)
            LAY_TRY(lay_parallel_add_text(language, line.text, line.length, err));
    }
}

/* Adds the language if it has a file; without one it is left out, or refused when it was asked for. */
static enum lay_status read_language(const struct lay_parallel_options *options, const char *name,
                                     bool required, struct lay_parallel *parallel, struct lay_err *err)
{
    struct lay_source source = {0};
    LAY_TRY(lay_parallel_add_language(parallel, name, options->flores, err));
    struct lay_parallel_language *language = &parallel->languages[parallel->n_languages - 1];
    enum lay_status status = locate(options, language, &source.path, err);
    if (status == LAY_OK && source.path)
        status = read_lines(options, &source, language, err);
    else if (status == LAY_OK && required)
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: no file of %s for split %s (looked for %s.%s, here and in %s/, and its other "
                     "names)",
                     options->flores, language->name, options->split,
                     language->nllb[0] ? language->nllb : language->code, options->split, options->split);
    else if (status == LAY_OK)
        lay_parallel_drop_language(parallel);
    lay_source_close(&source);
    return status;
}

enum lay_status lay_parallel_read_flores(const struct lay_parallel_options *options,
                                         struct lay_parallel *parallel, struct lay_err *err)
{
    lay_str_printf(&parallel->about, "%s %s", lay_path_basename(options->flores), options->split);
    LAY_TRY(read_language(options, "en", true, parallel, err));
    for (size_t i = 0; i < options->n_languages; i++)
        if (lay_parallel_find(parallel, options->languages[i]) != 0)
            LAY_TRY(read_language(options, options->languages[i], true, parallel, err));
    for (size_t i = 0; options->n_languages == 0 && i < lay_language_count(); i++)
        if (strcmp(lay_language_at(i)->iso, "en") != 0)
            LAY_TRY(read_language(options, lay_language_at(i)->iso, false, parallel, err));
    return LAY_OK;
}
