/* layeval: the table of commands and nothing else. */
#include "harness/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPIN_COUNT "10000" /* some ten microseconds */

static const struct lay_command commands[] = {
    {"run", "evaluate systems on benchmarks", lay_cmd_run},
    {"score", "score generations again, without a model", lay_cmd_score},
    {"merge", "put the shards of a run together", lay_cmd_merge},
    {"report", "the papers' tables of runs and published figures", lay_cmd_report},
    {"compare", "compare runs over the same samples, sample by sample", lay_cmd_compare},
    {"gate", "hold a run against a reference, for CI", lay_cmd_gate},
    {"analyze", "look inside systems with parallel sentences: the papers' figures", lay_cmd_analyze},
    {"tasks", "list benchmarks, languages and file layouts", lay_cmd_tasks},
    {"inspect", "show what a weight file or model directory holds", lay_cmd_inspect},
    {"tokenize", "show token ids and pieces of a text", lay_cmd_tokenize},
    {"verify", "recompute a golden case or a dump of your own model", lay_cmd_verify},
    {"train", "train bridges (and models) in the papers' two stages", lay_cmd_train},
    {"make-model", "write a model directory with random weights", lay_cmd_make_model},
    {"bench", "measure tokens per second beside the machine's bound", lay_cmd_bench},
    {"selftest", "prove on this machine that answers do not depend on the batch", lay_cmd_selftest},
    {"help", "show this list, or the options of a command", lay_cmd_help},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *stream)
{
    fputs("usage: layeval COMMAND [options]\n\n", stream);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(stream, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`layeval COMMAND --help` shows options and examples. `layeval --version` shows versions.\n"
          "Exit codes: 0 fine, 1 a check or a gate failed, 2 usage, 3 bad input, data or model, 4 internal, "
          "130 "
          "interrupted.\n",
          stream);
}

static const struct lay_command *find(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int lay_cmd_help(int argc, char **argv)
{
    const struct lay_command *command = argc > 1 ? find(argv[1]) : NULL;
    if (command && command->run != lay_cmd_help) {
        char *const help[] = {argv[1], (char[]){"--help"}, NULL};
        return command->run(2, (char **)(void *)help);
    }
    if (argc > 1 && !command && argv[1][0] != '-') {
        fprintf(stderr, "layeval help: no command \"%s\"; `layeval help` lists them\n", argv[1]);
        return 2;
    }
    usage(stdout);
    return 0;
}

/* libgomp's idle threads spin for milliseconds by default. On a machine with other work that takes the
 * processor from the very thread they wait for: measured ten times slower with a second busy program on two
 * cores. The limit is read when the library is loaded, so the program starts itself once more with it. The
 * user's own setting wins. */
static void limit_spinning(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || setenv("GOMP_SPINCOUNT", SPIN_COUNT, 1) != 0)
        return;
    execv("/proc/self/exe", argv); /* returns only on failure; then we run as we are */
}

int main(int argc, char **argv)
{
    limit_spinning(argv);
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return lay_cmd_help(1, argv);
    if (strcmp(argv[1], "--version") == 0) {
        puts("layeval " LAYEVAL_VERSION);
        return 0;
    }
    const struct lay_command *command = find(argv[1]);
    if (!command) {
        fprintf(stderr, "layeval: no command \"%s\"; `layeval help` lists them\n", argv[1]);
        return 2;
    }
    return command->run(argc - 1, argv + 1);
}
