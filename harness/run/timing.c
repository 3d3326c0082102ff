#include "harness/run/timing.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/memory_info.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define LOOK_SECONDS 0.25

void lay_timing_start(struct lay_timing *timing)
{
    *timing = (struct lay_timing){.started = time(NULL), .clock = lay_clock_now()};
    lay_timing_sample(timing);
}

void lay_timing_sample(struct lay_timing *timing)
{
    const double now = lay_clock_now();
    if (timing->peak_bytes > 0 && now - timing->looked < LOOK_SECONDS)
        return;
    timing->looked = now;
    const size_t used = lay_memory_used();
    if (used > timing->peak_bytes)
        timing->peak_bytes = used;
}

static void put_date(cJSON *object, const char *key, time_t date)
{
    char text[32] = "";
    struct tm utc;
    if (gmtime_r(&date, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON_AddStringToObject(object, key, text);
}

/* Rates and seconds to three decimals: more is noise. */
static void put_number(cJSON *object, const char *key, double value)
{
    cJSON_AddNumberToObject(object, key, isfinite(value) ? round(1000 * value) / 1000 : 0);
}

static void put_rate(cJSON *object, const char *key, int64_t tokens, double seconds)
{
    put_number(object, key, seconds > 0 ? (double)tokens / seconds : 0);
}

static void put_cpu(cJSON *object)
{
    struct lay_str text = {0};
    const char *at = NULL;
    if (lay_file_read("/proc/cpuinfo", (size_t)1 << 24, &text, NULL) == LAY_OK)
        at = strstr(lay_str_text(&text), "model name");
    at = at ? strchr(at, ':') : NULL;
    if (at) {
        at += 1 + strspn(at + 1, " \t");
        char *name = lay_strndup(at, strcspn(at, "\n"));
        cJSON_AddStringToObject(object, "cpu", name ? name : "");
        lay_free(name);
    }
    lay_str_free(&text);
}

static void put_phases(cJSON *session, const struct lay_generate_stats *stats)
{
    cJSON *phases = cJSON_AddObjectToObject(session, "phases");
    cJSON_AddNumberToObject(phases, "encoder_tokens", (double)stats->encoder_tokens);
    cJSON_AddNumberToObject(phases, "prefill_tokens", (double)stats->prefill_tokens);
    cJSON_AddNumberToObject(phases, "decode_tokens", (double)stats->decode_tokens);
    cJSON_AddNumberToObject(phases, "shared_tokens", (double)stats->shared_tokens);
    cJSON_AddNumberToObject(phases, "set_back", (double)stats->set_back);
    cJSON_AddNumberToObject(phases, "steps", (double)stats->steps);
    put_number(phases, "encoder_seconds", stats->encoder_seconds);
    put_number(phases, "llm_seconds", stats->llm_seconds);
    put_rate(phases, "encoder_tokens_per_second", stats->encoder_tokens, stats->encoder_seconds);
    put_rate(phases, "llm_tokens_per_second", stats->prefill_tokens + stats->decode_tokens,
             stats->llm_seconds);
}

static cJSON *session_object(const struct lay_timing *timing, const struct lay_timing_context *context)
{
    char host[256] = "";
    const double wall = lay_clock_now() - timing->clock;
    cJSON *session = cJSON_CreateObject();
    put_date(session, "started", timing->started);
    put_date(session, "finished", time(NULL));
    cJSON_AddBoolToObject(session, "complete", context->complete);
    put_number(session, "wall_seconds", wall);
    put_number(session, "load_seconds", timing->load_seconds);
    put_number(session, "journal_seconds", timing->journal_seconds);
    cJSON_AddNumberToObject(session, "samples", (double)timing->samples);
    cJSON_AddNumberToObject(session, "errors", (double)timing->errors);
    cJSON_AddNumberToObject(session, "output_tokens", (double)timing->output_tokens);
    put_rate(session, "output_tokens_per_second", timing->output_tokens, wall - timing->load_seconds);
    if (context->stats)
        put_phases(session, context->stats);
    cJSON_AddNumberToObject(session, "peak_memory_bytes", (double)timing->peak_bytes);
    cJSON_AddNumberToObject(session, "threads", context->threads);
    lay_json_add(session, "batch_size",
                 context->batch_size > 0 ? cJSON_CreateNumber((double)context->batch_size)
                                         : cJSON_CreateString("auto"));
    if (gethostname(host, sizeof host - 1) == 0)
        cJSON_AddStringToObject(session, "host", host);
    put_cpu(session);
    return session;
}

static cJSON *sessions_of(const cJSON *root)
{
    return cJSON_GetObjectItemCaseSensitive(root, "sessions");
}

static enum lay_status empty_file(cJSON **root, struct lay_err *err)
{
    *root = cJSON_CreateObject();
    if (cJSON_AddArrayToObject(*root, "sessions"))
        return LAY_OK;
    cJSON_Delete(*root);
    return lay_no_memory(err, LAY_TIMING_FILE);
}

/* What DIR/timing.json holds. One that is not there, or is not what we write, holds no sessions. */
static enum lay_status read_file(const char *dir, cJSON **root, struct lay_err *err)
{
    struct lay_err unread = {0};
    char *path = lay_path_join(dir, LAY_TIMING_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    const enum lay_status status = lay_json_read(path, root, &unread);
    lay_free(path);
    if (status == LAY_OK && cJSON_IsArray(sessions_of(*root)))
        return LAY_OK;
    if (status == LAY_OK)
        cJSON_Delete(*root);
    return status == LAY_OK || status == LAY_ERR_INPUT ? empty_file(root, err)
                                                       : lay_fail(err, status, "%s", unread.message);
}

static enum lay_status write_file(const cJSON *root, const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    char *path = lay_path_join(dir, LAY_TIMING_FILE);
    lay_json_put(&text, root, 2);
    lay_str_putc(&text, '\n');
    enum lay_status status = path ? lay_str_check(&text, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_write(path, text.data, text.length, err);
    lay_str_free(&text);
    lay_free(path);
    return status;
}

static enum lay_status add_session(cJSON *root, cJSON *session, struct lay_err *err)
{
    return lay_json_add(sessions_of(root), NULL, session) ? LAY_OK : lay_no_memory(err, LAY_TIMING_FILE);
}

enum lay_status lay_timing_write(const struct lay_timing *timing, const struct lay_timing_context *context,
                                 const char *dir, struct lay_err *err)
{
    cJSON *root;
    LAY_TRY(read_file(dir, &root, err));
    enum lay_status status = add_session(root, session_object(timing, context), err);
    if (status == LAY_OK)
        status = write_file(root, dir, err);
    cJSON_Delete(root);
    return status;
}

static enum lay_status add_sessions(cJSON *root, const struct lay_timing_source *source, struct lay_err *err)
{
    cJSON *part, *session;
    LAY_TRY(read_file(source->dir, &part, err));
    enum lay_status status = LAY_OK;
    while (status == LAY_OK && (session = cJSON_DetachItemFromArray(sessions_of(part), 0)) != NULL) {
        cJSON_AddStringToObject(session, "shard", source->shard);
        status = add_session(root, session, err);
    }
    cJSON_Delete(part);
    return status;
}

enum lay_status lay_timing_merge(const struct lay_timing_source *sources, size_t count, const char *dir,
                                 struct lay_err *err)
{
    cJSON *root;
    LAY_TRY(empty_file(&root, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < count && status == LAY_OK; i++)
        status = add_sessions(root, &sources[i], err);
    if (status == LAY_OK)
        status = write_file(root, dir, err);
    cJSON_Delete(root);
    return status;
}
