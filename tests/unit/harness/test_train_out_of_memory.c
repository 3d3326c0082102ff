/* Training while one allocation after another fails. */
#include "harness/command.h"
#include "tests/unit/harness/failing.h"

static char *train[] = {"train",
                        "--system",
                        "data/demo/layalign.json",
                        "--stage",
                        "task",
                        "--data",
                        "tests/reference/train20.jsonl",
                        "--steps",
                        "2",
                        "--batch-size",
                        "1",
                        "--save-every",
                        "1",
                        "--dev",
                        "1",
                        "--threads",
                        "1",
                        "--quiet",
                        "--out",
                        out,
                        NULL, /* more options */
                        NULL,
                        NULL,
                        NULL,
                        NULL};

static void with(const char *const more[static 4])
{
    size_t n = 0;
    while (train[n] != out)
        n++;
    for (size_t i = 0; i < 4; i++)
        train[n + 1 + i] = (char *)(uintptr_t)more[i];
}

static void a_new_training_survives(void **state)
{
    (void)state;
    snprintf(csv, sizeof csv, "%s/run/manifest.json", scratch);
    try_every_allocation(lay_cmd_train, train, 30, 6, clear);
}

static void a_training_of_all_models_survives(void **state)
{
    (void)state;
    const char *const more[4] = {"--train", "bridge,llm,encoder", "--save-format", "bin"};
    with(more);
    snprintf(csv, sizeof csv, "%s/run/log.csv", scratch);
    try_every_allocation(lay_cmd_train, train, 10, 4, clear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_training_survives),
        cmocka_unit_test(a_training_of_all_models_survives),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
