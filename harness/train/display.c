#include "harness/train/display.h"

#include "engine/base/clock.h"
#include "harness/run/progress.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define TERMINAL_SECONDS 0.2
#define LOG_SECONDS 10.0
#define SMOOTHING 0.05 /* weight of the newest step in the running loss */

void lay_train_display_start(struct lay_train_display *d, const struct lay_schedule *schedule, int64_t done,
                             bool quiet)
{
    *d = (struct lay_train_display){.quiet = quiet,
                                    .terminal = isatty(STDERR_FILENO) == 1,
                                    .before = done,
                                    .steps = schedule->steps,
                                    .loss = NAN};
    d->started = d->printed = lay_clock_now();
}

static void print(const struct lay_train_display *d, const struct lay_train_row *row, double now)
{
    char left[32];
    const double elapsed = now - d->started, fresh = row->step - (double)d->before;
    lay_progress_duration(elapsed / fresh * ((double)d->steps - row->step), left, sizeof left);
    fprintf(stderr, "%sstep %.0f/%lld  loss %.4f  lr %.3g  %.0f tok/s  %s left%s",
            d->terminal ? "\r\033[K" : "", row->step, (long long)d->steps, d->loss, row->learning_rate,
            (double)d->rows / elapsed, left, d->terminal ? "" : "\n");
    fflush(stderr);
}

void lay_train_display_step(struct lay_train_display *d, const struct lay_train_row *row, int64_t rows)
{
    const double now = lay_clock_now();
    d->rows += rows;
    d->loss = isnan(d->loss) ? row->loss : d->loss + SMOOTHING * (row->loss - d->loss);
    const bool last = row->step >= (double)d->steps;
    if (d->quiet || (!last && now - d->printed < (d->terminal ? TERMINAL_SECONDS : LOG_SECONDS)))
        return;
    d->printed = now;
    print(d, row, now);
}

void lay_train_display_dev(struct lay_train_display *d, const struct lay_train_row *row)
{
    if (!d->quiet)
        fprintf(stderr, "%sstep %.0f: dev loss %.4f, perplexity %.4g\n", d->terminal ? "\r\033[K" : "",
                row->step, row->dev_loss, exp(row->dev_loss));
}

void lay_train_display_end(struct lay_train_display *d)
{
    if (!d->quiet && d->terminal)
        fputc('\n', stderr);
}
