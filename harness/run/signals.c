#include "harness/run/signals.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

volatile sig_atomic_t lay_signals_stop;
static volatile sig_atomic_t defer;

static void say(const char *text)
{
    const ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* nobody to tell */
}

static void handle(int number)
{
    (void)number;
    if (!defer) {
        say("\nlayeval: interrupted; what was finished is safe; repeat the command to continue\n");
        _exit(130);
    }
    if (lay_signals_stop) {
        say("\nlayeval: stopped at once; what was finished is safe; repeat the command to continue\n");
        _exit(130);
    }
    lay_signals_stop = 1;
    say("\nlayeval: finishing the step (once more to stop at once)\n");
}

void lay_signals_install(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old;
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        /* nohup and background jobs of a shell ask for signals to be ignored */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    lay_signals_stop = 0;
}

void lay_signals_defer(bool deferred)
{
    defer = deferred;
}
