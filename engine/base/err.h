/* Errors: a status to branch on and one message for the user.
 *
 * Every fallible function returns enum lay_status and takes `struct lay_err *err` last. The place that
 * knows the fault calls lay_fail() once with what, where and what to do; callers may put context in front
 * with lay_err_context(). Library code never prints and never exits. `err` may be NULL. */
#ifndef LAY_BASE_ERR_H
#define LAY_BASE_ERR_H

enum lay_status {
    LAY_OK = 0,
    LAY_ERR_USAGE,       /* the command line or a combination of options is wrong */
    LAY_ERR_INPUT,       /* a file, a configuration, data or a model is not what it must be */
    LAY_ERR_IO,          /* the operating system refused a read or a write (full disk, permissions) */
    LAY_ERR_MEMORY,      /* memory could not be had */
    LAY_ERR_INTERRUPTED, /* SIGINT or SIGTERM asked us to stop */
    LAY_ERR_INTERNAL     /* a library failed in a way we cannot explain to the user */
};

#define LAY_ERR_MESSAGE_MAX 1024

struct lay_err {
    enum lay_status status;
    char message[LAY_ERR_MESSAGE_MAX]; /* one line, no newline at the end; empty while status is LAY_OK */
};

/* Stores status and message and returns status, so that `return lay_fail(...)` reads well. */
enum lay_status lay_fail(struct lay_err *err, enum lay_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message already stored and returns the stored status. */
enum lay_status lay_err_context(struct lay_err *err, enum lay_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Both return the status they are given. Compilers and analyzers, which see one file at a time, are shown
 * that: after `return lay_fail(…, LAY_ERR_INPUT, …)` no caller can go on with what was not filled in. */
static inline enum lay_status lay_status_as_given(enum lay_status given, enum lay_status returned)
{
    (void)returned;
    return given;
}
#define lay_fail(err, status, ...) lay_status_as_given((status), (lay_fail)((err), (status), __VA_ARGS__))
#define lay_err_context(err, status, ...)                                                                    \
    lay_status_as_given((status), (lay_err_context)((err), (status), __VA_ARGS__))

/* The documented process exit code of a status: 0, 2, 3, 4 or 130. */
int lay_exit_code(enum lay_status status);

/* Runs `expression`; on failure returns its status from the calling function. */
#define LAY_TRY(expression)                                                                                  \
    do {                                                                                                     \
        const enum lay_status lay_try_status_ = (expression);                                                \
        if (lay_try_status_ != LAY_OK)                                                                       \
            return lay_try_status_;                                                                          \
    } while (0)

/* The same for functions with a clean-up label: stores the status in `status` and jumps. */
#define LAY_TRY_GOTO(status, expression, label)                                                              \
    do {                                                                                                     \
        (status) = (expression);                                                                             \
        if ((status) != LAY_OK)                                                                              \
            goto label;                                                                                      \
    } while (0)

#endif
