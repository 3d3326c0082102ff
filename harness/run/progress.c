#include "harness/run/progress.h"

#include "engine/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_SECONDS 0.1 /* between two rewrites of the line */
#define LOG_SECONDS 10.0     /* between two lines when stderr is no terminal */

void lay_progress_init(struct lay_progress *p, const char *label, bool quiet)
{
    *p = (struct lay_progress){.label = label, .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1};
    p->started = p->printed = lay_clock_now();
}

void lay_progress_duration(double seconds, char *text, size_t size)
{
    const long s = seconds > 0 ? (long)(seconds + 0.5) : 0;
    if (s < 60)
        snprintf(text, size, "%lds", s);
    else if (s < 3600)
        snprintf(text, size, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(text, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
}

/* On a terminal the line is rewritten; in a log it is one of many. */
static void print(const struct lay_progress *p, const char *text, bool last)
{
    if (p->terminal)
        fprintf(stderr, "\r\033[K%s%s", text, last ? "\n" : "");
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
}

static bool due(struct lay_progress *p, double now)
{
    if (p->quiet || now - p->printed < (p->terminal ? TERMINAL_SECONDS : LOG_SECONDS))
        return false;
    p->printed = now;
    return true;
}

void lay_progress_load(void *context, double fraction)
{
    struct lay_progress *p = context;
    char text[160];
    const double now = lay_clock_now();
    const bool last = fraction >= 1.0;
    if (last ? p->quiet : !due(p, now))
        return;
    if (last)
        snprintf(text, sizeof text, "%.60s: weights loaded in %.1f s", p->label, now - p->started);
    else
        snprintf(text, sizeof text, "%.60s: loading weights %.0f%%", p->label, 100 * fraction);
    print(p, text, last);
}

void lay_progress_start(struct lay_progress *p, size_t total, size_t done, size_t correct)
{
    p->total = total;
    p->done = p->before = done;
    p->correct = correct;
    p->errors = 0;
    p->tokens = 0;
    p->started = p->printed = lay_clock_now();
}

void lay_progress_text(const struct lay_progress *p, double now, char *text, size_t size)
{
    char left[32] = "?";
    const double elapsed = now - p->started;
    const size_t fresh = p->done - p->before;
    if (fresh > 0)
        lay_progress_duration(elapsed / (double)fresh * (double)(p->total - p->done), left, sizeof left);
    int n = snprintf(text, size, "%.40s  %zu/%zu", p->label, p->done, p->total);
    if (p->done > 0 && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  acc %.1f", 100.0 * (double)p->correct / (double)p->done);
    if (elapsed > 0 && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  %.0f tok/s", (double)p->tokens / elapsed);
    if (p->errors > 0 && n > 0 && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  %zu errors", p->errors);
    if (p->done < p->total && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, "  %s left", left);
}

void lay_progress_sample(struct lay_progress *p, bool correct, bool error, int64_t tokens)
{
    char text[160];
    const double now = lay_clock_now();
    p->done++;
    p->correct += correct;
    p->errors += error;
    p->tokens += tokens;
    if (!due(p, now))
        return;
    lay_progress_text(p, now, text, sizeof text);
    print(p, text, false);
}

void lay_progress_end(struct lay_progress *p)
{
    char text[160];
    if (p->quiet)
        return;
    lay_progress_text(p, lay_clock_now(), text, sizeof text);
    print(p, text, true);
}

void lay_progress_say(struct lay_progress *p, const char *text, bool last)
{
    if (last ? !p->quiet : due(p, lay_clock_now()))
        print(p, text, last);
}
