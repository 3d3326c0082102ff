/* Real trained weights: a llama2.c checkpoint (aidreams260K), converted to a Hugging Face directory here,
 * reproduces the greedy reference of the program run.c: ids exactly, logits within 1e-4. */
#include "llm_fixture.h"

#include "engine/base/file.h"
#include "engine/store/safetensors_write.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "/real/models/aidreams260K/"

static char shared[1024];
static char dir[] = "/tmp/layeval-aidreams-XXXXXX";

/* The legacy header of llama2.c. */
struct header {
    int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len;
};

static void join(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s" FOLDER "%s", shared, name);
}

/* Rows of one head are pairs (x0, x1), (x2, x3) … there, first halves and second halves in Hugging Face's
 * layout: row i of the new matrix is row 2i, row i + d/2 is row 2i + 1. */
static void unpair(const float *in, float *out, int64_t heads, int64_t head_dim, int64_t width)
{
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < head_dim / 2; i++)
            for (int64_t odd = 0; odd < 2; odd++)
                memcpy(out + (h * head_dim + i + odd * (head_dim / 2)) * width,
                       in + (h * head_dim + 2 * i + odd) * width, (size_t)width * sizeof *in);
}

enum { LAYER_TENSORS = 9, LAYERS_MAX = 8 };

/* One tensor of the file: all layers follow each other there. */
struct part {
    const char *name;
    int64_t rows, cols; /* rows 0: a vector */
    const float *data;
    bool paired;
};

static void write_weights(const char *path, const struct header *h, const float *at)
{
    const int64_t d = h->dim, ff = h->hidden_dim, kv = d / h->n_heads * h->n_kv_heads;
    const float *embed = at;
    struct part parts[LAYER_TENSORS] = {
        {"input_layernorm", 0, d, NULL, false},  {"self_attn.q_proj", d, d, NULL, true},
        {"self_attn.k_proj", kv, d, NULL, true}, {"self_attn.v_proj", kv, d, NULL, false},
        {"self_attn.o_proj", d, d, NULL, false}, {"post_attention_layernorm", 0, d, NULL, false},
        {"mlp.gate_proj", ff, d, NULL, false},   {"mlp.down_proj", d, ff, NULL, false},
        {"mlp.up_proj", ff, d, NULL, false},
    };
    at += h->vocab_size * d;
    for (int i = 0; i < LAYER_TENSORS; i++) {
        parts[i].data = at;
        at += h->n_layers * (parts[i].rows ? parts[i].rows : 1) * parts[i].cols;
    }
    const float *norm = at;

    struct lay_tensor_spec specs[2 + LAYER_TENSORS * LAYERS_MAX];
    char names[LAYER_TENSORS * LAYERS_MAX][80];
    size_t n = 0;
    specs[n++] = (struct lay_tensor_spec){"model.embed_tokens.weight", LAY_F32, 2, {h->vocab_size, d}};
    specs[n++] = (struct lay_tensor_spec){"model.norm.weight", LAY_F32, 1, {d}};
    for (int l = 0; l < h->n_layers; l++)
        for (int i = 0; i < LAYER_TENSORS; i++, n++) {
            const struct part *p = &parts[i];
            snprintf(names[n - 2], sizeof *names, "model.layers.%d.%s.weight", l, p->name);
            specs[n] = p->rows ? (struct lay_tensor_spec){names[n - 2], LAY_F32, 2, {p->rows, p->cols}}
                               : (struct lay_tensor_spec){names[n - 2], LAY_F32, 1, {p->cols}};
        }
    struct lay_safetensors_writer *writer;
    ok(lay_safetensors_create(path, specs, n, &writer, err));
    ok(lay_safetensors_put(writer, embed, (size_t)(h->vocab_size * d) * sizeof *embed, err));
    ok(lay_safetensors_put(writer, norm, (size_t)d * sizeof *norm, err));
    for (int l = 0; l < h->n_layers; l++)
        for (int i = 0; i < LAYER_TENSORS; i++) {
            const struct part *p = &parts[i];
            const int64_t count = (p->rows ? p->rows : 1) * p->cols;
            const float *data = p->data + l * count;
            float *copy = lay_alloc((size_t)count, sizeof *copy);
            if (p->paired) {
                unpair(data, copy, p->rows / (d / h->n_heads), d / h->n_heads, p->cols);
                data = copy;
            }
            ok(lay_safetensors_put(writer, data, (size_t)count * sizeof *data, err));
            lay_free(copy);
        }
    ok(lay_safetensors_finish(writer, err));
}

static void write_config(const char *path, const struct header *h)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"model_type\":\"llama\",\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
             "\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"vocab_size\":%d,\"rms_norm_eps\":1e-05,"
             "\"rope_theta\":10000.0,\"tie_word_embeddings\":true,\"max_position_embeddings\":%d}",
             h->dim, h->hidden_dim, h->n_layers, h->n_heads, h->n_kv_heads, h->vocab_size, h->seq_len);
    ok(lay_file_write(path, text, strlen(text), err));
}

static void convert(void)
{
    char path[1200];
    struct lay_file_map map;
    struct header h;
    join(path, sizeof path, "aidreams260K.bin");
    ok(lay_file_map(path, &map, err));
    memcpy(&h, map.data, sizeof h);
    assert_int_equal(h.dim, 64);
    assert_true(h.n_layers <= LAYERS_MAX && h.vocab_size > 0);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    write_weights(path, &h, (const float *)(const void *)(map.data + sizeof h));
    snprintf(path, sizeof path, "%s/config.json", dir);
    write_config(path, &h);
    lay_file_unmap(&map);
}

static double log_sum_exp(const float *x, int64_t n)
{
    const int32_t top = lay_argmax(x, n);
    double rest = 0;
    for (int64_t i = 0; i < n; i++)
        if (i != top)
            rest += exp((double)x[i] - (double)x[top]);
    return (double)x[top] + log1p(rest);
}

/* One line of the reference: pos, input_id, argmax_id, max_logit, log_sum_exp, logits (some lines). */
static bool check_line(const char *line, int64_t position, int32_t input, const float *logits, int64_t n)
{
    char *at;
    assert_int_equal(strtol(line, &at, 10), position);
    assert_int_equal(strtol(at, &at, 10), input);
    assert_int_equal(strtol(at, &at, 10), lay_argmax(logits, n));
    assert_true(fabs(strtod(at, &at) - (double)logits[lay_argmax(logits, n)]) < 1e-4);
    assert_true(fabs(strtod(at, &at) - log_sum_exp(logits, n)) < 1e-4);
    char *end;
    strtod(at, &end);
    if (end == at)
        return false;
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs(strtod(at, &at) - (double)logits[i]) < 1e-4);
    return true;
}

static void greedy_text_of_a_trained_model(void **state)
{
    (void)state;
    char path[1200], *line = NULL;
    size_t capacity = 0;
    struct fixture f;
    struct lay_kv_seq kv = {0};
    int64_t lines = 0, full = 0;
    int32_t id = 1;
    convert();
    fixture_open(&f, dir, LAY_F32, NULL);
    float *x = lay_alloc((size_t)f.H, sizeof *x), *logits = lay_alloc((size_t)f.V, sizeof *logits);
    join(path, sizeof path, "greedy_reference.tsv");
    FILE *reference = fopen(path, "r");
    assert_non_null(reference);
    assert_true(getline(&line, &capacity, reference) > 0); /* header */
    while (getline(&line, &capacity, reference) > 0) {
        const struct lay_llm_span span = {&kv, NULL, 1, 0};
        ok(lay_kv_reserve(f.pool, &kv, lines + 1, err));
        ok(lay_llm_embed(f.llm, &id, 1, x, err));
        ok(lay_llm_forward(f.llm, f.pool, &span, 1, NULL, x, NULL, err));
        ok(lay_llm_logits(f.llm, x, 1, logits, err));
        full += check_line(line, lines, id, logits, f.V);
        id = lay_argmax(logits, f.V);
        lines++;
    }
    assert_int_equal(lines, 127);
    assert_int_equal(full, 7);
    fclose(reference);
    free(line);
    lay_kv_release(f.pool, &kv);
    lay_free(x);
    lay_free(logits);
    fixture_close(&f);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/config.json", dir);
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const char *given = getenv("LAYEVAL_SHARED");
    char path[1200];
    snprintf(shared, sizeof shared, "%s", given && *given ? given : LAYEVAL_TEST_DIR "/../../shared");
    join(path, sizeof path, "aidreams260K.bin");
    if (!lay_path_exists(path)) {
        printf("skipped: %s is not there (set LAYEVAL_SHARED)\n", path);
        return 77;
    }
    if (!mkdtemp(dir))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(greedy_text_of_a_trained_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
