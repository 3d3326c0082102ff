#include "engine/memory_plan.h"

#include "engine/nn/kv.h"

#define KV_MIN_BYTES 16e6 /* less holds no answer worth the name */

static double llm_elements(const struct lay_llm_config *c)
{
    const double H = (double)c->hidden_size, q = (double)(c->num_attention_heads * c->head_dim),
                 kv = (double)(c->num_key_value_heads * c->head_dim), I = (double)c->intermediate_size;
    return (double)c->num_hidden_layers * (2 * H * q + 2 * H * kv + 3 * H * I) + H * (double)c->vocab_size;
}

static double encoder_elements(const struct lay_encoder_config *c)
{
    const double d = (double)c->hidden_size, inner = (double)(c->num_attention_heads * c->head_dim);
    return (double)c->num_hidden_layers *
           (4 * d * inner + (c->gated ? 3 : 2) * d * (double)c->intermediate_size);
}

static double bridge_elements(const struct lay_memory_needs *needs)
{
    const double d = (double)needs->encoder->hidden_size, H = (double)needs->llm->hidden_size;
    switch (needs->method) {
    case LAY_LANGBRIDGE:
        return d * H;
    case LAY_MINDMERGER:
        return 2 * d * d + 2 * d * H;
    case LAY_LAYALIGN:
        return 2 * d * d + 3 * d * H;
    default:
        return 0;
    }
}

double lay_memory_weight_elements(const struct lay_memory_needs *needs)
{
    return llm_elements(needs->llm) +
           (needs->encoder ? encoder_elements(needs->encoder) + bridge_elements(needs) : 0);
}

enum lay_status lay_memory_plan_make(const struct lay_memory_needs *needs, struct lay_memory_plan *plan,
                                     struct lay_err *err)
{
    const double size = (double)lay_dtype_size(needs->dtype);
    *plan = (struct lay_memory_plan){
        .llm = size * llm_elements(needs->llm),
        .encoder = needs->encoder ? size * encoder_elements(needs->encoder) : 0,
        .bridge = needs->encoder ? size * bridge_elements(needs) : 0,
    };
    const double weights = plan->llm + plan->encoder + plan->bridge;
    const double left = (double)needs->memory - weights;
    if (left < KV_MIN_BYTES)
        return lay_fail(err, LAY_ERR_INPUT,
                        "system %s: its weights take %.2f GB in %s, which leaves no room for keys and values "
                        "in %.2f GB; %s",
                        needs->name, 1e-9 * weights, lay_dtype_name(needs->dtype),
                        1e-9 * (double)needs->memory,
                        needs->dtype == LAY_F32 ? "use --dtype bf16 or give more --memory"
                                                : "give more --memory or use a larger machine");
    const struct lay_llm_config *c = needs->llm;
    const struct lay_kv_shape page = {c->num_hidden_layers, c->num_key_value_heads, c->head_dim,
                                      needs->dtype};
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
    lay_str_printf(text, "%s (%s, %s): ", needs->name, lay_method_name(needs->method),
                   lay_dtype_name(needs->dtype));
    put_bytes(text, "weights ", plan->llm + plan->encoder + plan->bridge);
    if (needs->encoder) {
        put_bytes(text, " (LLM ", plan->llm);
        put_bytes(text, ", encoder ", plan->encoder);
        put_bytes(text, ", bridge ", plan->bridge);
        lay_str_puts(text, ")");
    }
    put_bytes(text, ", keys and values up to ", (double)plan->kv);
    lay_str_printf(text, " = %zu tokens, at most %lld sequences in flight", plan->kv_tokens,
                   (long long)needs->batch_size);
    return lay_str_check(text, err);
}
