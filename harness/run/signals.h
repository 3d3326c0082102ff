/* Ctrl-C, SIGTERM and a closed terminal (SIGHUP).
 *
 * While there is nothing to finish they end the program at once with exit code 130. While samples are being
 * answered (deferred) the first one raises a flag and the second one ends the program. SIGPIPE and SIGXFSZ
 * are ignored: a write that cannot be done is an error code, not a death. */
#ifndef LAY_HARNESS_SIGNALS_H
#define LAY_HARNESS_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

void lay_signals_install(void);
void lay_signals_defer(bool deferred);

/* Non-zero once a deferred signal came. */
extern volatile sig_atomic_t lay_signals_stop;

#endif
