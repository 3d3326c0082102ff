/* layeval tokenize: ids and pieces of a text, or the text of ids. */
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/token/tokenizer.h"
#include "harness/command.h"
#include "harness/options.h"
#include "harness/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENIZE_INPUT_MAX ((size_t)64 << 20) /* bytes */

struct tokenize_options {
    const char *model, *text, *file, *language;
    bool no_special, decode, json;
};

static const struct lay_usage usage = {
    .command = "tokenize",
    .synopsis = "--model DIR [--text TEXT | --file FILE] [options]",
    .description =
        "Shows the token ids and pieces of a text, one \"id TAB piece\" a line, as a model directory's\n"
        "SentencePiece tokenizer makes them; ids equal those of the Hugging Face fast tokenizer.\n"
        "Without --text and --file the text is read from stdin. One newline at the end of a file or\n"
        "of stdin is dropped.",
    .examples =
        "  layeval tokenize --model Llama-2-7b --text \"How many apples are left?\"\n"
        "  layeval tokenize --model mt5-xl --file question.txt --json\n"
        "  layeval tokenize --model nllb-200-distilled-600M --language ben_Beng --text \"কয়টি আপেল?\"\n"
        "  layeval tokenize --model Llama-2-7b --decode --text \"1 1128 1784 623 793\"",
};

static enum lay_status parse(int argc, char **argv, struct tokenize_options *given, bool *help,
                             struct lay_err *err)
{
    const struct lay_option options[] = {
        {"model", NULL, LAY_OPTION_STRING, "DIR", "model directory, or a SentencePiece model file",
         &given->model, 0, 0},
        {"text", NULL, LAY_OPTION_STRING, "TEXT", "the text", &given->text, 0, 0},
        {"file", NULL, LAY_OPTION_STRING, "FILE", "a file that holds the text", &given->file, 0, 0},
        {"no-special", NULL, LAY_OPTION_FLAG, NULL,
         "leave out what the convention puts around a text (<s>, </s>, language)", &given->no_special, 0, 0},
        {"language", NULL, LAY_OPTION_STRING, "CODE", "NLLB: language of the text (default: eng_Latn)",
         &given->language, 0, 0},
        {"decode", NULL, LAY_OPTION_FLAG, NULL,
         "the input is ids, separated by blanks or commas;\nprint their text without special tokens",
         &given->decode, 0, 0},
        {"json", NULL, LAY_OPTION_FLAG, NULL, "print one JSON object", &given->json, 0, 0},
    };
    LAY_TRY(
        lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv, NULL, help, err));
    if (*help)
        return LAY_OK;
    if (!given->model)
        return lay_fail(err, LAY_ERR_USAGE, "--model is missing; see `layeval tokenize --help`");
    if (given->text && given->file)
        return lay_fail(err, LAY_ERR_USAGE, "--text and --file exclude each other");
    if (given->decode && (given->no_special || given->language))
        return lay_fail(err, LAY_ERR_USAGE, "--decode goes with neither --no-special nor --language");
    return LAY_OK;
}

static enum lay_status read_stdin(struct lay_str *input, struct lay_err *err)
{
    char buffer[65536];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
        lay_str_append(input, buffer, n);
        if (input->length > TOKENIZE_INPUT_MAX)
            return lay_fail(err, LAY_ERR_INPUT, "stdin: more than %zu bytes", TOKENIZE_INPUT_MAX);
    }
    if (ferror(stdin))
        return lay_fail(err, LAY_ERR_IO, "stdin: %s", strerror(errno));
    return lay_str_check(input, err);
}

static enum lay_status read_input(const struct tokenize_options *given, struct lay_str *input,
                                  struct lay_err *err)
{
    if (given->text) {
        lay_str_puts(input, given->text);
        return lay_str_check(input, err);
    }
    LAY_TRY(given->file ? lay_file_read(given->file, TOKENIZE_INPUT_MAX, input, err)
                        : read_stdin(input, err));
    if (input->length && input->data[input->length - 1] == '\n')
        input->data[--input->length] = 0;
    return LAY_OK;
}

static enum lay_status parse_ids(const struct lay_tokenizer *tokenizer, const char *text, struct lay_ids *ids,
                                 struct lay_err *err)
{
    for (const char *at = text + strspn(text, " ,\t\r\n"); *at; at += strspn(at, " ,\t\r\n")) {
        char *end;
        errno = 0;
        const long id = strtol(at, &end, 10);
        if (end == at || errno || id < 0 || id >= lay_tokenizer_size(tokenizer))
            return lay_fail(err, LAY_ERR_INPUT, "\"%.20s\": not an id below the vocabulary's size %lld", at,
                            (long long)lay_tokenizer_size(tokenizer));
        LAY_TRY(lay_ids_push(ids, (int32_t)id, err));
        at = end;
    }
    return LAY_OK;
}

static void put_ids(const struct lay_tokenizer *tokenizer, const struct lay_ids *ids, bool json,
                    struct lay_str *out)
{
    for (size_t i = 0; !json && i < ids->count; i++)
        lay_str_printf(out, "%d\t%s\n", ids->data[i], lay_tokenizer_piece(tokenizer, ids->data[i]));
    if (!json)
        return;
    lay_str_printf(out, "{\"convention\": \"%s\", \"ids\": [", lay_tokenizer_convention(tokenizer));
    for (size_t i = 0; i < ids->count; i++)
        lay_str_printf(out, "%s%d", i ? ", " : "", ids->data[i]);
    lay_str_puts(out, "], \"pieces\": [");
    for (size_t i = 0; i < ids->count; i++) {
        const char *piece = lay_tokenizer_piece(tokenizer, ids->data[i]);
        lay_str_puts(out, i ? ", " : "");
        lay_json_put_string(out, piece, strlen(piece));
    }
    lay_str_puts(out, "]}\n");
}

static enum lay_status decode(const struct lay_tokenizer *tokenizer, const char *text, bool json,
                              struct lay_str *out, struct lay_err *err)
{
    struct lay_ids ids = {0};
    struct lay_str decoded = {0};
    enum lay_status status = parse_ids(tokenizer, text, &ids, err);
    if (status == LAY_OK)
        status = lay_tokenizer_decode(tokenizer, ids.data, ids.count, &decoded, err);
    if (json)
        lay_str_puts(out, "{\"text\": ");
    if (json)
        lay_json_put_string(out, lay_str_text(&decoded), decoded.length);
    else
        lay_str_append(out, lay_str_text(&decoded), decoded.length);
    lay_str_puts(out, json ? "}\n" : "\n");
    lay_str_free(&decoded);
    lay_ids_free(&ids);
    return status;
}

static enum lay_status tokenize(const struct tokenize_options *given, struct lay_tokenizer *tokenizer,
                                struct lay_str *out, struct lay_err *err)
{
    struct lay_str input = {0};
    struct lay_ids ids = {0};
    enum lay_status status = read_input(given, &input, err);
    if (status == LAY_OK && given->language)
        status = lay_tokenizer_set_language(tokenizer, given->language, err);
    if (status == LAY_OK && given->decode)
        status = decode(tokenizer, lay_str_text(&input), given->json, out, err);
    else if (status == LAY_OK)
        status = lay_tokenizer_encode(tokenizer, lay_str_text(&input), input.length, !given->no_special, &ids,
                                      err);
    if (status == LAY_OK && !given->decode)
        put_ids(tokenizer, &ids, given->json, out);
    lay_str_free(&input);
    lay_ids_free(&ids);
    return status == LAY_OK ? lay_str_check(out, err) : status;
}

int lay_cmd_tokenize(int argc, char **argv)
{
    struct tokenize_options given = {0};
    struct lay_tokenizer *tokenizer = NULL;
    struct lay_str out = {0};
    struct lay_err err = {0};
    bool help = false;
    enum lay_status status = parse(argc, argv, &given, &help, &err);
    if (status == LAY_OK && !help)
        status = lay_tokenizer_open(given.model, &tokenizer, &err);
    if (status == LAY_OK && !help && given.language &&
        strcmp(lay_tokenizer_convention(tokenizer), "nllb") != 0)
        status = lay_fail(&err, LAY_ERR_USAGE, "--language is for NLLB tokenizers; %s has the %s convention",
                          given.model, lay_tokenizer_convention(tokenizer));
    if (status == LAY_OK && !help)
        status = tokenize(&given, tokenizer, &out, &err);
    if (status == LAY_OK)
        status = lay_output_put(&out, &err);
    lay_str_free(&out);
    lay_tokenizer_close(tokenizer);
    return status == LAY_OK ? 0 : lay_report_error("tokenize", &err);
}
