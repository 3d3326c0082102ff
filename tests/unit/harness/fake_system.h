/* A system without models, for tests of what happens around one: answers follow from the texts alone, and a
 * test can inject interruptions and failures. Defines all of engine/system.h, so the real one is not linked.
 */
#ifndef LAY_TEST_FAKE_SYSTEM_H
#define LAY_TEST_FAKE_SYSTEM_H

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/system.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct {
    const char *fingerprint; /* of the weights */
    bool invariant;
    long interrupt_after;                  /* SIGINT after this many replies of a call; −1: never */
    int64_t fail_every;                    /* every n-th request ends in an error; 0: none */
    volatile sig_atomic_t *raise_at_close; /* set when a system is closed; may be NULL */
    int loads, calls;                      /* how often */
    size_t requests;                       /* of the last call */
    char first_source[256];                /* of the last call */
    int64_t max_new_tokens;                /* of the last call */
} fake = {.fingerprint = "f00d", .invariant = true, .interrupt_after = -1};

struct lay_system {
    char name[64];
    struct lay_system_options options;
    struct lay_generate_stats stats;
    bool loaded, plain;
};

/* The name is the file's; one that begins with "plain" has no encoder. The file itself is not read. */
enum lay_status lay_system_open(const char *path, const struct lay_system_options *options,
                                struct lay_system **out, struct lay_err *err)
{
    struct lay_system *system = lay_alloc(1, sizeof *system);
    if (!system)
        return lay_no_memory(err, "a system");
    snprintf(system->name, sizeof system->name, "%.*s", (int)strcspn(lay_path_basename(path), "."),
             lay_path_basename(path));
    system->options = *options;
    system->plain = strncmp(system->name, "plain", 5) == 0;
    *out = system;
    return LAY_OK;
}

enum lay_status lay_system_load(struct lay_system *system, void (*progress)(void *, double), void *context,
                                struct lay_err *err)
{
    (void)err;
    fake.loads++;
    system->loaded = true;
    for (int half = 1; progress && half <= 2; half++)
        progress(context, 0.5 * half);
    return LAY_OK;
}

void lay_system_close(struct lay_system *system)
{
    if (fake.raise_at_close)
        *fake.raise_at_close = 1;
    lay_free(system);
}

const char *lay_system_name(const struct lay_system *system)
{
    return system->name;
}

const char *lay_system_method(const struct lay_system *system)
{
    return system->plain ? "plain" : "mindmerger";
}

const char *lay_system_bridge_path(const struct lay_system *system)
{
    (void)system;
    return NULL;
}

const char *lay_system_prompt_set(const struct lay_system *system)
{
    (void)system;
    return "mindmerger";
}

enum lay_dtype lay_system_dtype(const struct lay_system *system)
{
    return system->options.dtype == LAY_F32 ? LAY_F32 : LAY_BF16;
}

int64_t lay_system_max_new_tokens(const struct lay_system *system)
{
    return system->options.max_new_tokens;
}

bool lay_system_reads_source(const struct lay_system *system)
{
    return !system->plain;
}

bool lay_system_reads_prompt(const struct lay_system *system)
{
    (void)system;
    return true;
}

cJSON *lay_system_describe(const struct lay_system *system)
{
    cJSON *object = cJSON_CreateObject();
    if (object && cJSON_AddStringToObject(object, "name", system->name) &&
        cJSON_AddStringToObject(object, "method", lay_system_method(system)) &&
        (!system->loaded || cJSON_AddStringToObject(object, "weights_fingerprint", fake.fingerprint)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

bool lay_system_is_invariant(const struct lay_system *system, struct lay_str *reason)
{
    (void)system;
    lay_str_puts(reason, "no products");
    return fake.invariant;
}

const char *lay_system_notes(const struct lay_system *system)
{
    (void)system;
    return "";
}

const struct lay_generate_stats *lay_system_stats(const struct lay_system *system)
{
    return &system->stats;
}

enum lay_status lay_system_plan(const struct lay_system *system, struct lay_str *text, struct lay_err *err)
{
    lay_str_printf(text, "%s: no weights", system->name);
    return lay_str_check(text, err);
}

enum lay_status lay_system_check_fit(struct lay_system *system, const struct lay_request *request,
                                     int64_t max_new_tokens, struct lay_err *err)
{
    (void)system;
    (void)request;
    (void)max_new_tokens;
    (void)err;
    return LAY_OK;
}

enum lay_status lay_system_tokenize(struct lay_system *system, const struct lay_request *request,
                                    struct lay_ids *source, struct lay_ids *prompt, bool *truncated,
                                    struct lay_err *err)
{
    (void)system, (void)request, (void)source, (void)prompt, (void)err;
    *truncated = false;
    return LAY_OK;
}

const char *lay_ended_name(enum lay_ended ended)
{
    static const char *const names[] = {"eos", "length", "stop", "error"};
    return names[ended];
}

/* Ends with the length of the texts; odd requests hold a NUL and a malformed byte. */
static void fake_answer(const struct lay_request *request, bool odd, struct lay_reply *reply, char *text,
                        size_t size)
{
    const size_t length =
        strlen(request->prompt ? request->prompt : "") + 3 * strlen(request->source ? request->source : "");
    const int n = snprintf(text, size, "%sThe answer is %zu.", odd ? "\xff-" : "", length % 50);
    if (odd)
        text[1] = 0;
    reply->text = text;
    reply->length = (size_t)n;
    reply->n_ids = length % 7;
    reply->source_tokens = request->source ? (int64_t)strlen(request->source) : 0;
    reply->prompt_tokens = request->prompt ? (int64_t)strlen(request->prompt) : 0;
    reply->truncated = length % 5 == 0;
    reply->ended = length % 2 ? LAY_ENDED_EOS : LAY_ENDED_LENGTH;
}

/* Last request first, so that replies are never in the order of the file. */
enum lay_status lay_system_generate(struct lay_system *system, const struct lay_request *requests,
                                    size_t count, const struct lay_generate_params *params,
                                    int (*reply)(void *context, const struct lay_reply *reply), void *context,
                                    struct lay_err *err)
{
    static const int32_t ids[8] = {0};
    fake.calls++;
    fake.requests = count;
    fake.max_new_tokens = params->max_new_tokens;
    snprintf(fake.first_source, sizeof fake.first_source, "%s", requests[0].source ? requests[0].source : "");
    for (size_t i = count; i-- > 0;) {
        char text[64];
        struct lay_reply answer = {.request = i, .ids = ids};
        const size_t length = strlen(requests[i].prompt ? requests[i].prompt : "");
        if (fake.interrupt_after >= 0 && count - 1 - i >= (size_t)fake.interrupt_after)
            raise(SIGINT);
        if (params->stop && *params->stop)
            return lay_fail(err, LAY_ERR_INTERRUPTED, "stopped");
        fake_answer(&requests[i], length % 3 == 0, &answer, text, sizeof text);
        if (fake.fail_every && length % (size_t)fake.fail_every == 0)
            answer = (struct lay_reply){
                .request = i, .text = "", .ids = ids, .ended = LAY_ENDED_ERROR, .error = "does not fit"};
        system->stats.decode_tokens += (int64_t)answer.n_ids;
        if (reply(context, &answer))
            return lay_fail(err, LAY_ERR_INTERRUPTED, "stopped by the caller");
    }
    return LAY_OK;
}

bool lay_system_is_loaded(const struct lay_system *system)
{
    return system->loaded;
}

/* Two words; the second one's logit is 1 above the first's in f32, 2 otherwise. */
enum lay_status
lay_system_next_logits(struct lay_system *system, const struct lay_request *requests, size_t count,
                       void (*hear)(void *context, size_t request, const float *logits, int64_t vocab_size),
                       void *context, struct lay_err *err)
{
    (void)requests, (void)err;
    const float logits[] = {0.0f, system->options.dtype == LAY_F32 ? 1.0f : 2.0f};
    for (size_t i = 0; i < count; i++)
        hear(context, i, logits, 2);
    return LAY_OK;
}

#endif
