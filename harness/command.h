/* The commands of the program: one file each, one row each in the table of main.c.
 *
 * A command parses its options with options.h, does its work through functions that return lay_status and
 * returns the documented exit code. It prints results on stdout, progress and complaints on stderr. */
#ifndef LAY_HARNESS_COMMAND_H
#define LAY_HARNESS_COMMAND_H

struct lay_command {
    const char *name;
    const char *summary;               /* one line for `layeval help` */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

int lay_cmd_run(int argc, char **argv);
int lay_cmd_score(int argc, char **argv);
int lay_cmd_merge(int argc, char **argv);
int lay_cmd_report(int argc, char **argv);
int lay_cmd_compare(int argc, char **argv);
int lay_cmd_analyze(int argc, char **argv);
int lay_cmd_gate(int argc, char **argv);
int lay_cmd_tasks(int argc, char **argv);
int lay_cmd_inspect(int argc, char **argv);
int lay_cmd_tokenize(int argc, char **argv);
int lay_cmd_verify(int argc, char **argv);
int lay_cmd_train(int argc, char **argv);
int lay_cmd_make_model(int argc, char **argv);
int lay_cmd_bench(int argc, char **argv);
int lay_cmd_selftest(int argc, char **argv);
int lay_cmd_help(int argc, char **argv);

#endif
