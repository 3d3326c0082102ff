#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum lay_status lay_dnn_check(dnnl_status_t status, const char *what, struct lay_err *err)
{
    if (status == dnnl_success)
        return LAY_OK;
    if (status == dnnl_out_of_memory)
        return lay_no_memory(err, what);
    return lay_fail(err, LAY_ERR_INTERNAL, "oneDNN %s on %s refused %s (status %d)", lay_dnn_version(),
                    lay_dnn_isa(), what, (int)status);
}

enum lay_status lay_dnn_create(struct lay_dnn **dnn, struct lay_err *err)
{
    struct lay_dnn *d = lay_alloc(1, sizeof *d);
    if (!d)
        return lay_no_memory(err, "oneDNN");
    enum lay_status status = lay_dnn_check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), "a CPU engine", err);
    if (status == LAY_OK)
        status = lay_dnn_check(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags),
                               "a stream", err);
    if (status != LAY_OK) {
        lay_dnn_destroy(d);
        return status;
    }
    *dnn = d;
    return LAY_OK;
}

void lay_dnn_destroy(struct lay_dnn *dnn)
{
    if (!dnn)
        return;
    lay_products_free(dnn);
    lay_scratch_free(&dnn->pad);
    lay_scratch_free(&dnn->rows);
    lay_scratch_free(&dnn->result);
    lay_scratch_free(&dnn->staging);
    lay_scratch_free(&dnn->wide);
    lay_scratch_free(&dnn->narrow);
    lay_scratch_free(&dnn->steps);
    lay_scratch_free(&dnn->between);
    if (dnn->stream)
        dnnl_stream_destroy(dnn->stream);
    if (dnn->engine)
        dnnl_engine_destroy(dnn->engine);
    lay_free(dnn);
}

bool lay_dnn_alloc(size_t bytes, char **memory, char **data)
{
    size_t total;
    if (!lay_add_size(bytes, LAY_ALIGNMENT, &total))
        return false;
    *memory = lay_alloc(total, 1);
    if (!*memory)
        return false;
    *data = *memory + (LAY_ALIGNMENT - (uintptr_t)*memory % LAY_ALIGNMENT) % LAY_ALIGNMENT;
    lay_mem_wish_huge(*memory, total);
    return true;
}

enum lay_status lay_scratch_reserve(struct lay_scratch *scratch, size_t bytes, const char *what,
                                    struct lay_err *err)
{
    if (bytes <= scratch->bytes)
        return LAY_OK;
    lay_scratch_free(scratch);
    if (!lay_dnn_alloc(bytes, &scratch->memory, &scratch->data))
        return lay_no_memory(err, what);
    scratch->bytes = bytes;
    return LAY_OK;
}

void lay_scratch_free(struct lay_scratch *scratch)
{
    lay_free(scratch->memory);
    *scratch = (struct lay_scratch){0};
}

/* ---- what runs here, for manifests ---- */

static bool bf16_native, int8_native;

/* bf16 is worth its name only if the blocked kernels do it; oneDNN's general gemm is slower than f32. */
static void probe(void)
{
    struct lay_dnn *dnn = NULL;
    struct lay_dnn_desc weights;
    char kernel[LAY_KERNEL_NAME];
    if (lay_dnn_create(&dnn, NULL) != LAY_OK)
        return;
    if (lay_product_layout(dnn, dnnl_bf16, 32, 512, 512, &weights, kernel, NULL) == LAY_OK) {
        bf16_native = strncmp(kernel, "brg", 3) == 0;
        lay_dnn_desc_destroy(&weights);
    }
    if (lay_linear_quantises(dnn, 512, 512, &weights)) {
        int8_native = true;
        lay_dnn_desc_destroy(&weights);
    }
    lay_dnn_destroy(dnn);
}

static void probe_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, probe);
}

const char *lay_dnn_version(void)
{
    const dnnl_version_t *v = dnnl_version();
    static _Thread_local char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

const char *lay_dnn_bf16_support(void)
{
    probe_once();
    return bf16_native ? "native" : "widened to f32";
}

const char *lay_dnn_int8_support(void)
{
    probe_once();
    return int8_native ? "native" : "widened to f32";
}

const char *lay_dnn_isa(void)
{
    return lay_dnn_isa_name(dnnl_get_effective_cpu_isa());
}
