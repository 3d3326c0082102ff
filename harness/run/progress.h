/* The progress of a run on stderr: one line rewritten on a terminal, else one line every ten seconds. */
#ifndef LAY_HARNESS_PROGRESS_H
#define LAY_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_progress {
    const char *label; /* the system's name; borrowed */
    bool quiet;
    bool terminal;
    size_t total;
    size_t done, correct, errors; /* of the run so far */
    size_t before;                /* done before this session */
    int64_t tokens;               /* generated in this session */
    double started, printed;      /* seconds of a monotonic clock */
};

void lay_progress_init(struct lay_progress *progress, const char *label, bool quiet);
/* Packing the weights: for lay_system_load, context is the progress. */
void lay_progress_load(void *context, double fraction);
/* `done` and `correct` stand in the journal already. */
void lay_progress_start(struct lay_progress *progress, size_t total, size_t done, size_t correct);
void lay_progress_sample(struct lay_progress *progress, bool correct, bool error, int64_t tokens);
void lay_progress_end(struct lay_progress *progress);

/* A line of another command; left out when the last one was printed just now, unless it is the last. */
void lay_progress_say(struct lay_progress *progress, const char *text, bool last);

/* The line without its end: "NAME 37/250 acc 43.2 512 tok/s 12m left"; now as in `started`. */
void lay_progress_text(const struct lay_progress *progress, double now, char *text, size_t size);

/* "12s", "3m05s", "2h10m" */
void lay_progress_duration(double seconds, char *text, size_t size);

#endif
