/* The bundled tokenizers: they open, and texts in the scripts of the benchmarks survive the round trip. */
#include "support.h"

static const char *const texts[] = {
    "Anna has 12 apples and buys 7 more.\nHow many?", /* Latin */
    "Wie viele Äpfel hat sie jetzt? Où êtes-vous ?",  /* Latin with diacritics */
    "আনার কাছে ১২টি আপেল আছে।",                       /* Bengali */
    "รถไฟออกเวลา 8 โมงครึ่ง",                           /* Thai */
    "安娜有12个苹果，又买了7个。",                    /* Chinese */
    "電車は8時30分に出発します。",                    /* Japanese */
    "لدى آنا 12 تفاحة. كم بقي؟",                      /* Arabic */
    "У Анны 12 яблок, и она покупает ещё 7.",         /* Cyrillic */
    "अन्ना के पास 12 सेब हैं।",                            /* Devanagari */
    "Η Άννα έχει 12 μήλα.",                           /* Greek */
    "అన్నా దగ్గర 12 ఆపిల్స్ ఉన్నాయి",                          /* Telugu */
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* BPE with byte fallback and no normalisation: everything comes back, whatever it is. */
static void llm_tokenizer_loses_nothing(void **state)
{
    static const char *const hard[] = {
        "  two  blanks ", "\t\r\n", "👩‍👩‍👧", "ဗမာ", "a\u0301\u200d", "<0x41>", "▂"};
    struct lay_tokenizer *t = open_or_fail("data/demo/llm");
    (void)state;
    assert_string_equal(lay_tokenizer_convention(t), "llama");
    assert_int_equal(lay_tokenizer_size(t), 2048);
    for (size_t i = 0; i < N_TEXTS + sizeof hard / sizeof *hard; i++) {
        const char *text = i < N_TEXTS ? texts[i] : hard[i - N_TEXTS];
        struct lay_ids ids = encode(t, text, true);
        assert_int_equal(ids.data[0], lay_tokenizer_bos(t));
        assert_decoded(t, ids.data, ids.count, text);
        lay_ids_free(&ids);
    }
    lay_tokenizer_close(t);
}

/* LLaMA splits numbers into digits. */
static void llm_tokenizer_splits_digits(void **state)
{
    struct lay_tokenizer *t = open_or_fail("data/demo/llm");
    (void)state;
    assert_encoded(t, "12", false, lay_tokenizer_id(t, "▁"), lay_tokenizer_id(t, "1"),
                   lay_tokenizer_id(t, "2"));
    lay_tokenizer_close(t);
}

/* Unigram over NFKC text: what NFKC leaves alone comes back, with line ends as blanks, and nothing is
 * unknown. */
static void encoder_tokenizer_knows_the_scripts(void **state)
{
    struct lay_tokenizer *t = open_or_fail("data/demo/encoder");
    (void)state;
    assert_string_equal(lay_tokenizer_convention(t), "t5");
    for (size_t i = 0; i < N_TEXTS; i++) {
        struct lay_ids ids = encode(t, texts[i], true);
        assert_int_equal(ids.data[ids.count - 1], lay_tokenizer_eos(t));
        for (size_t j = 0; j < ids.count; j++)
            assert_int_not_equal(ids.data[j], lay_tokenizer_id(t, "<unk>"));
        char *expected = lay_strdup(texts[i]);
        for (char *at = expected; (at = strpbrk(at, "\n")) != NULL;)
            *at = ' ';
        for (char *at; (at = strstr(expected, "，")) != NULL;) {
            at[0] = ','; /* NFKC makes the full-width comma an ASCII one */
            memmove(at + 1, at + 3, strlen(at + 3) + 1);
        }
        assert_decoded(t, ids.data, ids.count, expected);
        lay_free(expected);
        lay_ids_free(&ids);
    }
    lay_tokenizer_close(t);
}

static void the_vocabulary_hash_is_that_of_the_file(void **state)
{
    struct lay_tokenizer *by_dir = open_or_fail("data/demo/llm"),
                         *by_file = open_or_fail("data/demo/llm/tokenizer.model"),
                         *other = open_or_fail("data/demo/encoder");
    (void)state;
    assert_int_equal(strlen(lay_tokenizer_hash(by_dir)), 32);
    assert_string_equal(lay_tokenizer_hash(by_dir), lay_tokenizer_hash(by_file));
    assert_string_not_equal(lay_tokenizer_hash(by_dir), lay_tokenizer_hash(other));
    lay_tokenizer_close(by_dir);
    lay_tokenizer_close(by_file);
    lay_tokenizer_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llm_tokenizer_loses_nothing),
        cmocka_unit_test(llm_tokenizer_splits_digits),
        cmocka_unit_test(encoder_tokenizer_knows_the_scripts),
        cmocka_unit_test(the_vocabulary_hash_is_that_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
