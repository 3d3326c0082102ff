/* Commands that evaluate, and those that read what they left, while one allocation after another fails. */
#include "harness/command.h"
#include "tests/unit/harness/failing.h"

static char others[2][PATH_BYTES];

static char *run[] = {"run",     "--system",     "data/demo/layalign.json",
                      "--task",  "mgsm,xnli",    "--lang",
                      "en",      "--limit",      "1",
                      "--data",  "data/samples", "--max-new-tokens",
                      "2",       "--threads",    "1",
                      "--quiet", "--out",        out,
                      NULL};
static char *score[] = {"score", out, NULL};
static char *merge[] = {"merge", others[0], others[1], "--out", out, NULL};
static char *compare[] = {"compare", others[0], others[1], NULL};
static char *report[] = {"report", others[0], others[1], NULL};
static char *gate[] = {"gate", others[1], "--against", others[0], "--allow", "missing,errors", "--all", NULL};
static char *gate_file[] = {"gate",    others[1],         "--against",  "data/baselines/layalign_paper.csv",
                            "--pick",  "LayAlign",        "--task",     "mgsm",
                            "--allow", "missing,samples", "--max-drop", "100",
                            NULL};
static char *inspect[] = {"inspect", "data/demo/bridges/layalign/model.safetensors", NULL};
static char *tokenize[] = {"tokenize", "--model", "data/demo/llm", "--text", "Mina has 12 pencils.", NULL};

static void run_survives(void **state)
{
    (void)state;
    try_every_allocation(lay_cmd_run, run, 60, 10, clear);
}

static void score_survives(void **state)
{
    (void)state;
    bool failed;
    clear();
    assert_int_equal(call(lay_cmd_run, run, -1, &failed), 0);
    try_every_allocation(lay_cmd_score, score, 200, 10, NULL);
}

/* `run` with another system or for a shard only, into others[i]. */
static void make_other(int i, char *system, char *shard)
{
    static char flag[] = "--shard";
    char *argv[32];
    size_t n = 0;
    bool failed;
    for (; run[n]; n++)
        argv[n] = run[n] == out ? others[i] : run[n];
    argv[2] = system;
    if (shard) {
        argv[n++] = flag;
        argv[n++] = shard;
    }
    argv[n] = NULL;
    assert_int_equal(call(lay_cmd_run, argv, -1, &failed), 0);
}

static void merge_survives(void **state)
{
    (void)state;
    make_other(0, run[2], (char[]){"1/2"});
    make_other(1, run[2], (char[]){"2/2"});
    try_every_allocation(lay_cmd_merge, merge, 200, 10, clear);
}

static void what_reads_runs_survives(void **state)
{
    (void)state;
    assert_int_equal(scratch_remove(others[0]) + scratch_remove(others[1]), 0);
    make_other(0, run[2], NULL);
    make_other(1, (char[]){"data/demo/plain.json"}, NULL);
    try_every_allocation(lay_cmd_compare, compare, 200, 10, NULL);
    try_every_allocation(lay_cmd_report, report, 200, 10, NULL);
    try_every_allocation(lay_cmd_gate, gate, 200, 10, NULL);
    try_every_allocation(lay_cmd_gate, gate_file, 100, 10, NULL);
}

static void small_commands_survive(void **state)
{
    (void)state;
    try_every_allocation(lay_cmd_inspect, inspect, 100, 10, NULL);
    try_every_allocation(lay_cmd_tokenize, tokenize, 50, 10, NULL);
}

static int make_places(void **state)
{
    if (make_scratch(state) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        snprintf(others[i], sizeof others[i], "%s/%d", scratch, i);
    snprintf(csv, sizeof csv, "%s/run/results.csv", scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_survives),           cmocka_unit_test(score_survives),
        cmocka_unit_test(merge_survives),         cmocka_unit_test(what_reads_runs_survives),
        cmocka_unit_test(small_commands_survive),
    };
    return cmocka_run_group_tests(tests, make_places, remove_scratch);
}
