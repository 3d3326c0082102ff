#include "engine/memory_plan.h"

#include "engine/generate/generate.h"
#include "engine/nn/kv.h"

#include <string.h>

#define KV_MIN_BYTES 16e6 /* less holds no answer worth the name */

/* The LLM's matrices by module. */
struct llm_elements {
    const char *module;
    double elements;
};
enum { LLM_MODULES = 7 };

static void llm_elements(const struct lay_llm_config *c, struct llm_elements list[LLM_MODULES])
{
    const double L = (double)c->num_hidden_layers, H = (double)c->hidden_size,
                 I = (double)c->intermediate_size;
    const double q = (double)(c->num_attention_heads * c->head_dim),
                 kv = (double)(c->num_key_value_heads * c->head_dim);
    const struct llm_elements all[LLM_MODULES] = {{"q_proj", L * H * q},
                                                  {"k_proj", L * H * kv},
                                                  {"v_proj", L * H * kv},
                                                  {"o_proj", L * H * q},
                                                  {"gate_proj", L * 2 * H * I},
                                                  {"down_proj", L * H * I},
                                                  {"lm_head", H * (double)c->vocab_size}};
    memcpy(list, all, sizeof all);
}

static double llm_bytes(const struct lay_memory_needs *needs)
{
    struct llm_elements list[LLM_MODULES];
    double bytes = 0;
    llm_elements(needs->llm, list);
    for (int i = 0; i < LLM_MODULES; i++)
        bytes +=
            list[i].elements * (double)lay_dtype_size(lay_precision_for(needs->precision, list[i].module));
    return bytes;
}

static double bridge_elements(const struct lay_memory_needs *needs)
{
    return lay_bridge_elements(needs->bridge, needs->encoder->hidden_size, needs->llm->hidden_size);
}

double lay_memory_weight_elements(const struct lay_memory_needs *needs)
{
    struct llm_elements list[LLM_MODULES];
    double elements = 0;
    llm_elements(needs->llm, list);
    for (int i = 0; i < LLM_MODULES; i++)
        elements += list[i].elements;
    return elements + (needs->encoder ? lay_encoder_elements(needs->encoder) + bridge_elements(needs) : 0);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* f32 numbers per row of a step of the LLM: the residual stream, the normed rows, queries, keys, values,
 * attention, both halves of the feed-forward and their product (feed_forward.c; int8 has them for a row of
 * each thread only, unless modules are kept in bf16); the rows as oneDNN takes them and, in int8, its sums
 * before they are scaled; with gates that read the hidden state, the adapter's attention by itself. */
static double llm_row(const struct lay_memory_needs *needs)
{
    const struct lay_llm_config *c = needs->llm;
    const double H = (double)c->hidden_size, I = (double)c->intermediate_size;
    const double q = (double)(c->num_attention_heads * c->head_dim),
                 kv = (double)(c->num_key_value_heads * c->head_dim);
    const double sums = needs->precision.dtype == LAY_I8 ? larger(2 * I, q) : 0;
    const double ungated = needs->bridge->form.value[LAY_FORM_GATE] == LAY_GATE_HIDDEN ? q : 0;
    return 2 * H + 2 * q + 2 * kv + 3 * I + larger(H, I) + sums + ungated;
}

/* The same for a source token: the encoder's buffers, the hidden states a bridge reads, its mapping's
 * inner rows and soft prompt, fused rows, and the states of one adapter layer. */
static double encoder_row(const struct lay_memory_needs *needs)
{
    const struct lay_encoder_config *c = needs->encoder;
    const double d = (double)c->hidden_size, inner = (double)(c->num_attention_heads * c->head_dim);
    const double H = (double)needs->llm->hidden_size;
    const double hidden = needs->bridge->method == LAY_LAYALIGN ? (double)c->num_hidden_layers + 1 : 1;
    const double ffn = (c->gated ? 3 : 1) * (double)c->intermediate_size;
    const double fused = needs->bridge->method == LAY_LAYALIGN ? 2 * LAY_FUSED_LAYERS : 0;
    return 2 * d + 4 * inner + ffn + (hidden + 2 + fused) * d +
           (needs->bridge->method == LAY_LAYALIGN ? 5 : 1) * H;
}

/* Prompts prepared ahead and not read yet hold about two encoder passes of rows; the head sees 64 rows at a
 * time. */
static double working_bytes(const struct lay_memory_needs *needs)
{
    const double H = (double)needs->llm->hidden_size, V = (double)needs->llm->vocab_size;
    const double step = (double)(LAY_STEP_PREFILL_ROWS + needs->batch_size) * llm_row(needs);
    const double head = 64 * (H + V * (needs->precision.dtype == LAY_I8 ? 2 : 1));
    const double ahead = 2.0 * LAY_STEP_ENCODER_ROWS * H;
    const double encoder = needs->encoder ? (double)LAY_STEP_ENCODER_ROWS * encoder_row(needs) : 0;
    return sizeof(float) * (step + head + ahead + encoder);
}

enum lay_status lay_memory_plan_make(const struct lay_memory_needs *needs, struct lay_memory_plan *plan,
                                     struct lay_err *err)
{
    const double encoder_size = (double)lay_dtype_size(lay_precision_for(needs->precision, "encoder"));
    const double bridge_size = (double)lay_dtype_size(lay_precision_for(needs->precision, "bridge"));
    const enum lay_dtype dtype = needs->precision.dtype;
    *plan = (struct lay_memory_plan){
        .llm = llm_bytes(needs),
        .encoder = needs->encoder ? encoder_size * lay_encoder_elements(needs->encoder) : 0,
        .bridge = needs->encoder ? bridge_size * bridge_elements(needs) : 0,
        .working = working_bytes(needs),
    };
    const double weights = plan->llm + plan->encoder + plan->bridge;
    const double left = (double)needs->memory - weights - plan->working;
    if (left < KV_MIN_BYTES)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "system %s: its weights take %.2f GB in %s and a step %.2f GB, which leaves no room for "
            "keys and values in %.2f GB; %s",
            needs->name, 1e-9 * weights, lay_precision_name(dtype), 1e-9 * plan->working,
            1e-9 * (double)needs->memory,
            dtype == LAY_F32    ? "use --dtype bf16 or give more --memory"
            : dtype == LAY_BF16 ? "use --dtype int8 or give more --memory"
                                : "give more --memory or use a larger machine");
    const struct lay_llm_config *c = needs->llm;
    const struct lay_kv_shape page = {c->num_hidden_layers, c->num_key_value_heads, c->head_dim,
                                      lay_precision_rows(needs->precision)};
    plan->kv = (size_t)left;
    plan->kv_tokens = plan->kv / lay_kv_page_bytes(&page) * LAY_KV_PAGE_TOKENS;
    return LAY_OK;
}

static void put_bytes(struct lay_str *text, const char *before, double bytes)
{
    const bool large = bytes >= 1e9;
    lay_str_printf(text, "%s%.*f %s", before, large ? 2 : 1, bytes * (large ? 1e-9 : 1e-6),
                   large ? "GB" : "MB");
}

enum lay_status lay_memory_plan_print(const struct lay_memory_needs *needs,
                                      const struct lay_memory_plan *plan, struct lay_str *text,
                                      struct lay_err *err)
{
    lay_str_printf(text, "%s (%s, %s): ", needs->name, lay_method_name(needs->bridge->method),
                   lay_precision_name(needs->precision.dtype));
    put_bytes(text, "weights ", plan->llm + plan->encoder + plan->bridge);
    if (needs->encoder) {
        put_bytes(text, " (LLM ", plan->llm);
        put_bytes(text, ", encoder ", plan->encoder);
        put_bytes(text, ", bridge ", plan->bridge);
        lay_str_puts(text, ")");
    }
    put_bytes(text, ", a step up to ", plan->working);
    put_bytes(text, ", keys and values up to ", (double)plan->kv);
    lay_str_printf(text, " = %zu tokens, at most %lld sequences in flight", plan->kv_tokens,
                   (long long)needs->batch_size);
    return lay_str_check(text, err);
}
