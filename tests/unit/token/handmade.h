/* SentencePiece models small enough to work out by hand what they do to a text. */
#ifndef LAY_TESTS_TOKEN_HANDMADE_H
#define LAY_TESTS_TOKEN_HANDMADE_H

#include "support.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE };

struct handmade_piece {
    const char *text;
    float score;
    int type;
};

/* Everything in these models is short enough for lengths of one byte, except the piece list itself. */
static inline void put_handmade_piece(struct lay_str *out, const struct handmade_piece *piece)
{
    const size_t length = strlen(piece->text);
    assert_true(length < 100);
    lay_str_putc(out, 1 << 3 | 2);
    lay_str_putc(out, (char)(2 + length + 5 + 2));
    lay_str_putc(out, 1 << 3 | 2);
    lay_str_putc(out, (char)length);
    lay_str_puts(out, piece->text);
    lay_str_putc(out, 2 << 3 | 5);
    lay_str_append(out, (const char *)&piece->score, 4);
    lay_str_putc(out, 3 << 3 | 0);
    lay_str_putc(out, (char)piece->type);
}

/* model_type (field 3) and byte_fallback (field 35) of the trainer's message. */
static inline void put_handmade_trainer(struct lay_str *out, int algorithm, bool byte_fallback)
{
    const char message[] = {2 << 3 | 2, 5, 3 << 3 | 0, (char)algorithm, (char)0x98, 2, byte_fallback};
    lay_str_append(out, message, sizeof message);
}

static inline void put_handmade_bytes(struct lay_str *out)
{
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        put_handmade_piece(out, &(struct handmade_piece){name, 0, BYTE});
    }
}

/* 0 <pad>, 1 </s>, 2 <unk>, 3 ▁, 4 a, 5 b, 6 ▁a, 7 ab */
static inline char *make_t5(void)
{
    static const struct handmade_piece pieces[] = {
        {"<pad>", 0, CONTROL}, {"</s>", 0, CONTROL}, {"<unk>", 0, UNKNOWN}, {"▁", -2, NORMAL},
        {"a", -3, NORMAL},     {"b", -3, NORMAL},    {"▁a", -2, NORMAL},    {"ab", -4, NORMAL},
    };
    struct lay_str model = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        put_handmade_piece(&model, &pieces[i]);
    put_handmade_trainer(&model, UNIGRAM, false);
    char *dir = make_temp_dir();
    put_file(dir, "spiece.model", model.data, model.length);
    lay_str_free(&model);
    return dir;
}

/* In the model: 0 <unk>, 1 <s>, 2 </s>, 3 ▁, 4 a, 5 b, 6 ▁a; as fairseq numbers them one higher from ▁ on. */
static inline char *make_fairseq(void)
{
    static const struct handmade_piece pieces[] = {
        {"<unk>", 0, UNKNOWN}, {"<s>", 0, CONTROL}, {"</s>", 0, CONTROL}, {"▁", -2, NORMAL},
        {"a", -3, NORMAL},     {"b", -3, NORMAL},   {"▁a", -2, NORMAL},
    };
    struct lay_str model = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        put_handmade_piece(&model, &pieces[i]);
    put_handmade_trainer(&model, UNIGRAM, false);
    char *dir = make_temp_dir();
    put_file(dir, "sentencepiece.bpe.model", model.data, model.length);
    lay_str_free(&model);
    return dir;
}

/* 0 <unk>, 1 <s>, 2 </s>, 3 … 258 bytes, 259 ▁, 260 a, 261 b, 262 ▁a, 263 ab */
static inline char *make_llama(void)
{
    static const struct handmade_piece head[] = {{"<unk>", 0, UNKNOWN},
                                                 {"<s>", 0, CONTROL},
                                                 {"</s>", 0, CONTROL}},
                                       tail[] = {{"▁", -10, NORMAL},
                                                 {"a", -11, NORMAL},
                                                 {"b", -12, NORMAL},
                                                 {"▁a", -1, NORMAL},
                                                 {"ab", -2, NORMAL}};
    struct lay_str model = {0};
    for (size_t i = 0; i < 3; i++)
        put_handmade_piece(&model, &head[i]);
    put_handmade_bytes(&model);
    for (size_t i = 0; i < 5; i++)
        put_handmade_piece(&model, &tail[i]);
    put_handmade_trainer(&model, BPE, true);
    char *dir = make_temp_dir();
    put_file(dir, "tokenizer.model", model.data, model.length);
    lay_str_free(&model);
    return dir;
}

#endif
