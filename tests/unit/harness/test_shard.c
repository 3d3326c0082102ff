/* How a run is divided: every sample in one shard, the shards alike in size, official batches whole. */
#include "harness/run/shard.h"

#include "engine/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CELLS = 4, MOST = 250 };

/* Four languages of 250, 7, 1 and 90 samples, of which the first `limit` are wanted. Texts have 1 to 400
 * bytes; the choices of one language count, too. */
static struct lay_workload *workload(int64_t limit)
{
    static const size_t counts[CELLS] = {MOST, 7, 1, 90};
    static struct lay_sample samples[CELLS][MOST];
    static struct lay_dataset data[CELLS];
    static struct lay_workload_cell cells[CELLS];
    static struct lay_workload workload;
    static char text[401];
    static char *choices[] = {text + 390, text + 395};
    unsigned random = 12345;
    memset(text, 'x', sizeof text - 1);
    workload = (struct lay_workload){.cells = cells, .count = CELLS};
    for (size_t c = 0; c < CELLS; c++) {
        for (size_t i = 0; i < counts[c]; i++) {
            random = random * 1103515245U + 12345U;
            samples[c][i] = (struct lay_sample){.id = (int64_t)i,
                                                .question = text + (random >> 16) % 400,
                                                .second = c == 1 ? text + 200 : NULL,
                                                .choices = c == 3 ? choices : NULL,
                                                .n_choices = c == 3 ? 2 : 0};
        }
        data[c] = (struct lay_dataset){.samples = samples[c], .count = counts[c], .total = counts[c]};
        const size_t wanted = limit >= 0 && (size_t)limit < counts[c] ? (size_t)limit : counts[c];
        cells[c] = (struct lay_workload_cell){.data = &data[c], .wanted = wanted, .n_chosen = wanted};
        workload.samples += wanted;
    }
    return &workload;
}

static void forget(struct lay_workload *w)
{
    for (size_t c = 0; c < w->count; c++) {
        lay_free(w->cells[c].chosen);
        w->cells[c].chosen = NULL;
    }
}

static size_t length_of(const struct lay_sample *sample)
{
    return strlen(sample->question) + (sample->second ? strlen(sample->second) : 0) +
           (sample->choices ? strlen(sample->choices[0]) + strlen(sample->choices[1]) : 0);
}

/* Adds what shard index/count got to `owner` (0: nobody yet); returns its samples and their length. */
static size_t choose(int64_t index, int64_t count, int64_t batch, int64_t limit, int owner[CELLS][MOST],
                     size_t *length)
{
    struct lay_err err = {0};
    struct lay_workload *w = workload(limit);
    size_t samples = 0;
    *length = 0;
    assert_int_equal(lay_shard_choose((struct lay_shard){index, count}, batch, w, &err), LAY_OK);
    for (size_t c = 0; c < CELLS; c++) {
        size_t of_cell = 0;
        for (size_t i = 0; i < w->cells[c].data->count; i++) {
            if (!lay_workload_chosen(&w->cells[c], i))
                continue;
            assert_int_equal(owner[c][i], 0);
            owner[c][i] = (int)index;
            of_cell++;
            *length += length_of(&w->cells[c].data->samples[i]);
        }
        assert_int_equal(of_cell, w->cells[c].n_chosen);
        samples += of_cell;
    }
    assert_int_equal(samples, w->samples);
    forget(w);
    return samples;
}

static void every_sample_is_in_one_shard_and_shards_are_alike(void **state)
{
    (void)state;
    static const int64_t shard_counts[] = {1, 2, 3, 7, 64};
    for (size_t k = 0; k < sizeof shard_counts / sizeof *shard_counts; k++)
        for (int64_t limit = -1; limit <= 200; limit += 67) {
            int owner[CELLS][MOST] = {0};
            size_t least = SIZE_MAX, most = 0, shortest = SIZE_MAX, longest = 0, all = 0;
            for (int64_t index = 1; index <= shard_counts[k]; index++) {
                size_t length;
                const size_t samples = choose(index, shard_counts[k], 0, limit, owner, &length);
                least = samples < least ? samples : least;
                most = samples > most ? samples : most;
                shortest = length < shortest ? length : shortest;
                longest = length > longest ? length : longest;
                all += samples;
            }
            assert_int_equal(all, workload(limit)->samples);
            assert_in_range(most - least, 0, 1);
            assert_in_range(longest - shortest, 0, 700); /* no more than the longest text here */
        }
}

/* Each language, too: the shards' shares of it differ by one. */
static void every_language_is_divided(void **state)
{
    (void)state;
    int owner[CELLS][MOST] = {0};
    size_t share[CELLS][4] = {0}, length;
    for (int64_t index = 1; index <= 3; index++)
        choose(index, 3, 0, -1, owner, &length);
    for (size_t c = 0; c < CELLS; c++)
        for (size_t i = 0; i < MOST; i++)
            share[c][owner[c][i]]++;
    for (size_t c = 0; c < CELLS; c++)
        for (size_t index = 1; index <= 3; index++)
            assert_in_range(share[c][index], workload(-1)->cells[c].wanted / 3,
                            workload(-1)->cells[c].wanted / 3 + 1);
}

static void official_batches_stay_whole(void **state)
{
    (void)state;
    enum { BATCH = 8 };
    for (int64_t limit = -1; limit <= 70; limit += 71) { /* 70 cuts through a batch */
        int owner[CELLS][MOST] = {0};
        size_t length, all = 0;
        for (int64_t index = 1; index <= 5; index++)
            all += choose(index, 5, BATCH, limit, owner, &length);
        assert_int_equal(all, workload(limit)->samples);
        for (size_t c = 0; c < CELLS; c++)
            for (size_t i = 0; i < workload(limit)->cells[c].wanted; i++)
                assert_int_equal(owner[c][i], owner[c][i / BATCH * BATCH]);
    }
}

static void more_shards_than_samples_are_refused(void **state)
{
    (void)state;
    struct lay_err err = {0};
    struct lay_workload *w = workload(1);
    assert_int_equal(lay_shard_choose((struct lay_shard){1, 5}, 0, w, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "only 4 samples"));
    forget(w);
    w = workload(8);
    assert_int_equal(lay_shard_choose((struct lay_shard){1, 5}, 8, w, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "only 4 official batches"));
    forget(w);
}

static void two_numbers_and_nothing_else_name_a_shard(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "2",    "/",     "1/",  "/4",    "0/4",
        "5/4",  "-1/4", "1/-4",  "1/0", "1 /4",  "1/4 ",
        "1/4/", "+1/4", "1.0/4", "a/4", "1/257", "99999999999999999999/99999999999999999999"};
    struct lay_shard shard;
    struct lay_err err = {0};
    assert_int_equal(lay_shard_parse("2/4", &shard, &err), LAY_OK);
    assert_true(shard.index == 2 && shard.count == 4);
    assert_int_equal(lay_shard_parse("256/256", &shard, &err), LAY_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(lay_shard_parse(bad[i], &shard, &err), LAY_ERR_USAGE);
        assert_non_null(strstr(err.message, "--shard"));
    }
}

static void a_manifest_says_which_shard_it_is(void **state)
{
    (void)state;
    struct lay_shard shard;
    int64_t samples = 0;
    char label[LAY_SHARD_LABEL];
    cJSON *part = cJSON_Parse("{\"shard\": {\"index\": 2, \"count\": 4, \"samples\": 63}}");
    cJSON *whole = cJSON_Parse("{\"shard\": null}");
    assert_true(lay_shard_read(part, &shard, &samples));
    assert_true(shard.index == 2 && shard.count == 4 && samples == 63);
    lay_shard_label(part, label);
    assert_string_equal(label, " [shard 2/4]");
    assert_false(lay_shard_read(whole, &shard, &samples));
    lay_shard_label(whole, label);
    assert_string_equal(label, "");
    cJSON_Delete(part);
    cJSON_Delete(whole);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    enum lay_status status = LAY_ERR_MEMORY;
    for (long n = 0; status != LAY_OK; n++) {
        struct lay_err err = {0};
        struct lay_workload *w = workload(-1);
        lay_mem_fail_after(n);
        status = lay_shard_choose((struct lay_shard){1, 2}, 0, w, &err);
        lay_mem_fail_after(-1);
        assert_true(status == LAY_OK ? n > 2 : status == LAY_ERR_MEMORY);
        forget(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sample_is_in_one_shard_and_shards_are_alike),
        cmocka_unit_test(every_language_is_divided),
        cmocka_unit_test(official_batches_stay_whole),
        cmocka_unit_test(more_shards_than_samples_are_refused),
        cmocka_unit_test(two_numbers_and_nothing_else_name_a_shard),
        cmocka_unit_test(a_manifest_says_which_shard_it_is),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
