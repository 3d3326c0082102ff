/* LangBridge: soft prompt A(E) with A = linear or linear–GELU–linear, closed by the learned enc_eos. */
#include "engine/bridge/method.h"

#include <string.h>

#define LINEAR "lb.alignment.linear"
#define FFN "lb.alignment.ffn."

static enum lay_status load(struct lay_bridge *b, const struct lay_bridge_options *options,
                            const struct lay_loader *loader, const struct lay_encoder_config *encoder,
                            const struct lay_llm_config *llm, struct lay_err *err)
{
    static const char *const linear[] = {"linear", NULL}, *const first[] = {"0", NULL},
                             *const second[] = {"2", NULL};
    (void)options;
    (void)encoder;
    (void)llm;
    LAY_TRY(lay_boundary_load(b, loader, "lb.alignment.enc_eos", err));
    if (lay_weights_find(loader->weights, LINEAR ".weight"))
        return lay_load_linear(loader, "lb.alignment.", linear, b->H, b->d, true, &b->linear1, err);
    if (!lay_weights_find(loader->weights, FFN "0.weight"))
        return lay_fail(err, LAY_ERR_INPUT,
                        "the checkpoint has neither " LINEAR ".weight nor " FFN
                        "0.weight; other alignments of "
                        "LangBridge are not implemented");
    int64_t inner;
    LAY_TRY(lay_bridge_rows(loader, FFN "0.weight", &inner, err));
    b->activation = LAY_GELU_ERF;
    LAY_TRY(lay_load_linear(loader, FFN, first, inner, b->d, true, &b->linear1, err));
    return lay_load_linear(loader, FFN, second, b->H, inner, true, &b->linear2, err);
}

const struct lay_bridge_method lay_bridge_langbridge = {"langbridge", load};
