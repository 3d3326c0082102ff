/* The page pool: what is drawn, given back, refused, and where a token's numbers lie. */
#include "helpers.h"

#include "engine/base/mem.h"

static struct lay_kv_pool *make_pool(struct lay_kv_shape shape, int64_t pages)
{
    struct lay_kv_pool *pool = NULL;
    struct lay_err err = {0};
    const size_t bytes = (size_t)pages * lay_kv_page_bytes(&shape);
    assert_int_equal(lay_kv_pool_create(&shape, bytes, &pool, &err), LAY_OK);
    assert_int_equal(pool->n_pages, pages);
    return pool;
}

static const struct lay_kv_shape small = {2, 3, 5, LAY_F32};

static void a_page_holds_its_tokens_of_all_layers(void **unused)
{
    (void)unused;
    assert_int_equal(lay_kv_page_bytes(&small), 2 * 2 * 3 * 16 * 5 * 4);
    const struct lay_kv_shape half = {2, 3, 5, LAY_BF16};
    assert_int_equal(lay_kv_page_bytes(&half), 2 * 2 * 3 * 16 * 5 * 2);
    assert_int_equal(lay_kv_pages_for(0), 0);
    assert_int_equal(lay_kv_pages_for(1), 1);
    assert_int_equal(lay_kv_pages_for(16), 1);
    assert_int_equal(lay_kv_pages_for(17), 2);
}

static void pages_are_distinct_and_come_back(void **unused)
{
    (void)unused;
    struct lay_kv_pool *pool = make_pool(small, 7);
    struct lay_kv_seq a = {0}, b = {0};
    struct lay_err err = {0};
    assert_int_equal(lay_kv_reserve(pool, &a, 33, &err), LAY_OK);
    assert_int_equal(lay_kv_reserve(pool, &b, 60, &err), LAY_OK);
    assert_int_equal(a.n_pages, 3);
    assert_int_equal(b.n_pages, 4);
    assert_int_equal(pool->n_free, 0);
    int seen[7] = {0};
    for (int i = 0; i < 3; i++)
        seen[a.pages[i]]++;
    for (int i = 0; i < 4; i++)
        seen[b.pages[i]]++;
    for (int i = 0; i < 7; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(lay_kv_reserve(pool, &a, 48, &err), LAY_OK); /* fits the pages it has */
    assert_int_equal(a.n_pages, 3);
    assert_int_equal(lay_kv_reserve(pool, &a, 49, &err), LAY_ERR_MEMORY);
    assert_int_equal(a.n_pages, 3);
    lay_kv_release(pool, &b);
    assert_int_equal(pool->n_free, 4);
    assert_null(b.pages);
    assert_int_equal(lay_kv_reserve(pool, &a, 49, &err), LAY_OK);
    lay_kv_release(pool, &a);
    assert_int_equal(pool->n_free, 7);
    lay_kv_release(pool, &a); /* again: nothing */
    assert_int_equal(pool->n_free, 7);
    lay_kv_pool_destroy(pool);
    lay_kv_pool_destroy(NULL);
}

static void a_pool_has_at_least_one_page(void **unused)
{
    (void)unused;
    struct lay_kv_pool *pool = NULL;
    struct lay_err err = {0};
    assert_int_equal(lay_kv_pool_create(&small, 1, &pool, &err), LAY_OK);
    assert_int_equal(pool->n_pages, 1);
    lay_kv_pool_destroy(pool);
}

static void memory_that_cannot_be_had_is_an_error(void **unused)
{
    (void)unused;
    struct lay_kv_pool *pool = NULL;
    struct lay_err err = {0};
    const struct lay_kv_shape shape = {32, 32, 128, LAY_BF16};
    assert_int_equal(lay_kv_pool_create(&shape, (size_t)1 << 60, &pool, &err), LAY_ERR_MEMORY);
    assert_non_null(strstr(err.message, "--memory"));
    for (long n = 0; n < 2; n++) {
        lay_mem_fail_after(n);
        assert_int_equal(lay_kv_pool_create(&small, 10000, &pool, &err), LAY_ERR_MEMORY);
    }
    lay_mem_fail_after(-1);
    pool = make_pool(small, 3);
    struct lay_kv_seq seq = {0};
    lay_mem_fail_after(0);
    assert_int_equal(lay_kv_reserve(pool, &seq, 20, &err), LAY_ERR_MEMORY);
    lay_mem_fail_after(-1);
    assert_int_equal(pool->n_free, 3);
    lay_kv_release(pool, &seq);
    lay_kv_pool_destroy(pool);
}

static float element(const struct lay_kv_pool *pool, int32_t page, int64_t layer, int which, int64_t head,
                     int64_t at)
{
    const void *block = lay_kv_block(pool, page, layer, which, head);
    return pool->shape.dtype == LAY_F32 ? ((const float *)block)[at]
                                        : lay_bf16_to_f32(((const uint16_t *)block)[at]);
}

static void tokens_are_written_where_the_header_says(void **unused)
{
    (void)unused;
    for (int f = 0; f < 2; f++) {
        const struct lay_kv_shape shape = {3, 2, 6, f ? LAY_BF16 : LAY_F32};
        struct lay_kv_pool *pool = make_pool(shape, 6);
        struct lay_kv_seq other = {0}, seq = {0};
        struct lay_err err = {0};
        enum { TOKENS = 37, K_STRIDE = 15, V_STRIDE = 12, LAYER = 1 };
        assert_int_equal(lay_kv_reserve(pool, &other, 16, &err), LAY_OK);
        assert_int_equal(lay_kv_reserve(pool, &seq, TOKENS, &err), LAY_OK);
        float *k = random_floats(TOKENS * K_STRIDE, 1), *v = random_floats(TOKENS * V_STRIDE, 1);
        lay_kv_write(pool, &seq, LAYER, 0, 14, k, K_STRIDE, v, V_STRIDE); /* in two pieces */
        lay_kv_write(pool, &seq, LAYER, 14, TOKENS - 14, k + 14 * K_STRIDE, K_STRIDE, v + 14 * V_STRIDE,
                     V_STRIDE);
        for (int64_t t = 0; t < TOKENS; t++)
            for (int64_t h = 0; h < 2; h++)
                for (int64_t d = 0; d < 6; d++) {
                    const int32_t page = seq.pages[t / 16];
                    float key = k[t * K_STRIDE + h * 6 + d], value = v[t * V_STRIDE + h * 6 + d];
                    if (f) {
                        key = lay_bf16_to_f32(lay_f32_to_bf16(key));
                        value = lay_bf16_to_f32(lay_f32_to_bf16(value));
                    }
                    assert_true(element(pool, page, LAYER, 0, h, d * 16 + t % 16) == key);
                    assert_true(element(pool, page, LAYER, 1, h, t % 16 * 6 + d) == value);
                    assert_true(element(pool, page, 0, 0, h, d * 16 + t % 16) ==
                                0); /* other layers untouched */
                    assert_true(element(pool, page, 2, 1, h, t % 16 * 6 + d) == 0);
                }
        for (int64_t i = 0; i < 96; i++)
            assert_true(element(pool, other.pages[0], LAYER, 0, 0, i) == 0);
        lay_kv_release(pool, &seq);
        lay_kv_release(pool, &other);
        lay_kv_pool_destroy(pool);
        free(k);
        free(v);
    }
}

static void a_step_writes_the_rows_of_every_sequence(void **unused)
{
    (void)unused;
    enum { HEADS = 4, D = 64, WIDTH = HEADS * D, K_STRIDE = WIDTH + 3, ROWS = 44, LAYER = 1 };
    static const int64_t counts[] = {40, 1, 3}, positions[] = {0, 33, 14};
    const struct lay_kv_shape shape = {2, HEADS, D, LAY_F32};
    struct lay_kv_pool *pool = make_pool(shape, 9);
    struct lay_kv_seq seqs[3] = {{0}};
    struct lay_attention_span spans[3];
    float *k = random_floats(ROWS * K_STRIDE, 1), *v = random_floats(ROWS * WIDTH, 1);
    for (int64_t i = 0, row = 0; i < 3; row += counts[i++]) {
        assert_int_equal(lay_kv_reserve(pool, &seqs[i], positions[i] + counts[i], NULL), LAY_OK);
        spans[i] = (struct lay_attention_span){&seqs[i], row, counts[i], positions[i], 0};
    }
    lay_kv_write_spans(pool, LAYER, spans, 3, k, K_STRIDE, v, WIDTH);
    for (int64_t i = 0, row = 0; i < 3; row += counts[i++])
        for (int64_t t = 0; t < positions[i] + counts[i]; t++)
            for (int64_t at = 0; at < WIDTH; at++) {
                const int32_t page = seqs[i].pages[t / 16];
                const int64_t r = row + t - positions[i], h = at / D, d = at % D;
                const bool written = t >= positions[i];
                assert_true(element(pool, page, LAYER, 0, h, d * 16 + t % 16) ==
                            (written ? k[r * K_STRIDE + at] : 0));
                assert_true(element(pool, page, LAYER, 1, h, t % 16 * D + d) ==
                            (written ? v[r * WIDTH + at] : 0));
            }
    for (int i = 0; i < 3; i++)
        lay_kv_release(pool, &seqs[i]);
    lay_kv_pool_destroy(pool);
    free(k);
    free(v);
}

static void a_page_is_free_when_its_last_holder_drops_it(void **unused)
{
    (void)unused;
    struct lay_kv_pool *pool = make_pool(small, 5);
    struct lay_kv_seq a = {0}, b = {0};
    struct lay_err err = {0};
    assert_int_equal(lay_kv_reserve(pool, &a, 40, &err), LAY_OK);
    assert_int_equal(lay_kv_adopt(pool, &b, a.pages[0], &err), LAY_OK);
    assert_int_equal(lay_kv_adopt(pool, &b, a.pages[1], &err), LAY_OK);
    assert_int_equal(b.n_tokens, 32);
    assert_int_equal(pool->n_free, 2); /* sharing draws nothing */
    const int32_t first = a.pages[0];
    lay_kv_hold(pool, first);
    lay_kv_release(pool, &a);
    assert_int_equal(pool->n_free, 3); /* the third page only */
    assert_int_equal(lay_kv_reserve(pool, &b, 33, &err), LAY_OK);
    assert_int_equal(b.n_pages, 3);
    lay_kv_release(pool, &b);
    assert_int_equal(pool->n_free, 4);
    lay_kv_drop(pool, first);
    assert_int_equal(pool->n_free, 5);
    lay_kv_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_free_when_its_last_holder_drops_it),
        cmocka_unit_test(a_page_holds_its_tokens_of_all_layers),
        cmocka_unit_test(pages_are_distinct_and_come_back),
        cmocka_unit_test(a_pool_has_at_least_one_page),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
        cmocka_unit_test(tokens_are_written_where_the_header_says),
        cmocka_unit_test(a_step_writes_the_rows_of_every_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
