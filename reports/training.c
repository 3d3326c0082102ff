#include "reports/training.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <math.h>
#include <string.h>

#define MAX_BYTES ((size_t)1 << 20)
#define VERSION 1

/* --- making --- */

void lay_training_curve_set(struct lay_training_curve *curve, const double *step, const double *loss,
                            size_t n)
{
    const size_t stretch = (n + LAY_TRAINING_POINTS - 1) / LAY_TRAINING_POINTS;
    curve->count = 0;
    for (size_t first = 0; first < n; first += stretch) {
        const size_t length = n - first < stretch ? n - first : stretch;
        double sum = 0;
        for (size_t i = 0; i < length; i++)
            sum += loss[first + i];
        curve->step[curve->count] = step[first];
        curve->loss[curve->count++] = sum / (double)length;
    }
}

struct lay_training_stage *lay_training_add(struct lay_training *training)
{
    if (training->count == LAY_TRAINING_STAGES) {
        training->count--;
        memmove(training->stages, training->stages + 1, training->count * sizeof *training->stages);
    }
    training->stages[training->count] = (struct lay_training_stage){0};
    return &training->stages[training->count++];
}

/* --- writing --- */

static void put_curve(struct lay_str *out, const char *key, const struct lay_training_curve *curve)
{
    lay_str_printf(out, ",\n   \"%s\": [", key);
    for (size_t i = 0; i < curve->count; i++) {
        lay_str_printf(out, "%s[%.0f, ", i ? ", " : "", curve->step[i]);
        lay_json_put_double(out, curve->loss[i]);
        lay_str_putc(out, ']');
    }
    lay_str_putc(out, ']');
}

static void put_stage(struct lay_str *out, const struct lay_training_stage *stage)
{
    lay_str_puts(out, "  {\"stage\": ");
    lay_json_put_string(out, stage->stage, strlen(stage->stage));
    lay_str_printf(out, ", \"steps\": %lld, \"planned\": %lld, \"batch\": %lld, \"learning_rate\": ",
                   (long long)stage->steps, (long long)stage->planned, (long long)stage->batch);
    lay_json_put_double(out, stage->learning_rate);
    lay_str_puts(out, ", \"schedule\": ");
    lay_json_put_string(out, stage->schedule, strlen(stage->schedule));
    put_curve(out, "loss", &stage->train);
    put_curve(out, "dev_loss", &stage->dev);
    lay_str_putc(out, '}');
}

void lay_training_put(struct lay_str *out, const struct lay_training *training)
{
    lay_str_printf(out, "{\"version\": %d, \"stages\": [\n", VERSION);
    for (size_t i = 0; i < training->count; i++) {
        lay_str_puts(out, i ? ",\n" : "");
        put_stage(out, &training->stages[i]);
    }
    lay_str_puts(out, "\n]}\n");
}

enum lay_status lay_training_write(const struct lay_training *training, const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    char *path = lay_path_join(dir, LAY_TRAINING_FILE);
    lay_training_put(&text, training);
    enum lay_status status = path ? lay_str_check(&text, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_write(path, lay_str_text(&text), text.length, err);
    lay_str_free(&text);
    lay_free(path);
    return status;
}

/* --- reading --- */

static enum lay_status refuse(const char *name, const char *what, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: %s; it is not what layeval train wrote: remove it, or train again", name, what);
}

static bool read_point(const cJSON *point, double after, double *step, double *loss)
{
    if (cJSON_GetArraySize(point) != 2 || !cJSON_IsArray(point) || !cJSON_IsNumber(point->child) ||
        !cJSON_IsNumber(point->child->next))
        return false;
    *step = point->child->valuedouble;
    *loss = point->child->next->valuedouble;
    return *step > after && *step <= INT32_MAX && *step == floor(*step) && *loss >= 0 && isfinite(*loss);
}

static enum lay_status read_curve(const cJSON *stage, const char *name, const char *key,
                                  struct lay_training_curve *curve, struct lay_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(stage, key), *point;
    double after = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > LAY_TRAINING_POINTS)
        return refuse(name, "a list of losses is missing or too long", err);
    cJSON_ArrayForEach(point, list)
    {
        if (!read_point(point, after, &curve->step[curve->count], &curve->loss[curve->count]))
            return refuse(name, "a loss must be [step, number], with ascending steps", err);
        after = curve->step[curve->count++];
    }
    return LAY_OK;
}

static enum lay_status read_text(const cJSON *stage, const char *name, const char *key, char text[16],
                                 struct lay_err *err)
{
    const char *value = "";
    LAY_TRY(lay_json_get_string(stage, name, key, &value, err));
    if (!*value || strlen(value) >= 16)
        return refuse(name, "\"stage\" or \"schedule\" is missing or too long", err);
    memcpy(text, value, strlen(value) + 1);
    return LAY_OK;
}

static enum lay_status read_stage(const cJSON *item, const char *name, struct lay_training_stage *stage,
                                  struct lay_err *err)
{
    static const char *const keys[] = {"stage",    "steps", "planned",  "batch", "learning_rate",
                                       "schedule", "loss",  "dev_loss", NULL};
    if (!cJSON_IsObject(item))
        return refuse(name, "a stage must be an object", err);
    LAY_TRY(lay_json_only_keys(item, name, keys, err));
    LAY_TRY(read_text(item, name, "stage", stage->stage, err));
    LAY_TRY(read_text(item, name, "schedule", stage->schedule, err));
    LAY_TRY(lay_json_get_int(item, name, "steps", &stage->steps, err));
    LAY_TRY(lay_json_get_int(item, name, "planned", &stage->planned, err));
    LAY_TRY(lay_json_get_int(item, name, "batch", &stage->batch, err));
    LAY_TRY(lay_json_get_double(item, name, "learning_rate", &stage->learning_rate, err));
    if (stage->steps < 1 || stage->planned < stage->steps || stage->batch < 1 ||
        !(stage->learning_rate > 0 && isfinite(stage->learning_rate)))
        return refuse(name, "steps, batch or learning rate of a stage are missing or absurd", err);
    LAY_TRY(read_curve(item, name, "loss", &stage->train, err));
    return read_curve(item, name, "dev_loss", &stage->dev, err);
}

static enum lay_status read_stages(const cJSON *root, const char *name, struct lay_training *training,
                                   struct lay_err *err)
{
    static const char *const keys[] = {"version", "stages", NULL};
    int64_t version = 0;
    const cJSON *item, *list = cJSON_GetObjectItemCaseSensitive(root, "stages");
    if (!cJSON_IsObject(root) || !cJSON_IsArray(list))
        return refuse(name, "it has no list \"stages\"", err);
    LAY_TRY(lay_json_only_keys(root, name, keys, err));
    LAY_TRY(lay_json_get_int(root, name, "version", &version, err));
    if (version != VERSION)
        return refuse(name, "its \"version\" is not this program's", err);
    if (!list->child || cJSON_GetArraySize(list) > LAY_TRAINING_STAGES)
        return refuse(name, "it has no stages or too many", err);
    cJSON_ArrayForEach(item, list) LAY_TRY(read_stage(item, name, lay_training_add(training), err));
    return LAY_OK;
}

enum lay_status lay_training_parse(const char *name, const char *text, size_t length,
                                   struct lay_training *training, struct lay_err *err)
{
    cJSON *root;
    *training = (struct lay_training){0};
    LAY_TRY(lay_json_parse(name, text, length, &root, err));
    const enum lay_status status = read_stages(root, name, training, err);
    cJSON_Delete(root);
    return status;
}

static enum lay_status read_file(const char *path, struct lay_training **training, struct lay_err *err)
{
    struct lay_str text = {0};
    enum lay_status status = lay_file_read(path, MAX_BYTES, &text, err);
    if (status == LAY_OK && !(*training = lay_alloc(1, sizeof **training)))
        status = lay_no_memory(err, "a training's losses");
    if (status == LAY_OK)
        status = lay_training_parse(path, lay_str_text(&text), text.length, *training, err);
    lay_str_free(&text);
    if (status != LAY_OK) {
        lay_free(*training);
        *training = NULL;
    }
    return status;
}

enum lay_status lay_training_read(const char *dir, struct lay_training **training, struct lay_err *err)
{
    *training = NULL;
    char *path = lay_path_join(dir, LAY_TRAINING_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    const enum lay_status status = lay_path_exists(path) ? read_file(path, training, err) : LAY_OK;
    lay_free(path);
    return status;
}

enum lay_status lay_training_read_beside(const char *path, struct lay_training **training,
                                         struct lay_err *err)
{
    *training = NULL;
    char *dir = lay_path_is_dir(path) ? lay_strdup(path) : lay_path_dirname(path);
    const enum lay_status status = dir ? lay_training_read(dir, training, err) : lay_no_memory(err, "a path");
    lay_free(dir);
    return status;
}

enum lay_status lay_training_copy(const char *from, const char *to, struct lay_err *err)
{
    struct lay_training *training;
    LAY_TRY(lay_training_read(from, &training, err));
    const enum lay_status status = training ? lay_training_write(training, to, err) : LAY_OK;
    lay_free(training);
    return status;
}

/* --- drawing --- */

enum lay_status lay_training_draw(struct lay_str *out, const struct lay_training_stage *stage,
                                  struct lay_svg_frame frame, struct lay_err *err)
{
    const struct lay_svg_series series[] = {
        {.name = "training", .x = stage->train.step, .y = stage->train.loss, .count = stage->train.count},
        {.name = "dev", .x = stage->dev.step, .y = stage->dev.loss, .count = stage->dev.count}};
    frame.x_label = "step";
    frame.y_label = "loss per target token";
    const struct lay_svg_plot plot = {
        .frame = frame, .series = series, .count = stage->dev.count ? 2 : 1, .log_y = true};
    return lay_svg_lines(out, &plot, err);
}
