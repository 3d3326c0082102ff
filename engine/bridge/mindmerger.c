/* MindMerger (soft): M(E) = W_2 ReLU(W_1 E + b_1) + b_2, closed by the learned end_boundary. */
#include "engine/bridge/method.h"

enum lay_status lay_mapping_load(struct lay_bridge *b, const struct lay_loader *loader, struct lay_err *err)
{
    static const char *const linear1[] = {"linear1", NULL}, *const linear2[] = {"linear2", NULL};
    int64_t inner;
    LAY_TRY(lay_bridge_rows(loader, "mapping.mlp.linear1.weight", &inner, err));
    b->activation = LAY_RELU;
    LAY_TRY(lay_load_linear(loader, "mapping.mlp.", linear1, inner, b->d, true, &b->linear1, err));
    LAY_TRY(lay_load_linear(loader, "mapping.mlp.", linear2, b->H, inner, true, &b->linear2, err));
    return lay_boundary_load(b, loader, "mapping.end_boundary", err);
}

static enum lay_status load(struct lay_bridge *b, const struct lay_bridge_options *options,
                            const struct lay_loader *loader, const struct lay_encoder_config *encoder,
                            const struct lay_llm_config *llm, struct lay_err *err)
{
    (void)options;
    (void)encoder;
    (void)llm;
    return lay_mapping_load(b, loader, err);
}

const struct lay_bridge_method lay_bridge_mindmerger = {"mindmerger", load};
