/* LayAlign: MindMerger's mapping, and an aligner that feeds an adapter attention in LLM layers. */
#include "engine/bridge/method.h"

static enum lay_status load(struct lay_bridge *b, const struct lay_bridge_options *options,
                            const struct lay_loader *loader, const struct lay_encoder_config *encoder,
                            const struct lay_llm_config *llm, struct lay_err *err)
{
    LAY_TRY(lay_mapping_load(b, loader, err));
    if (options->no_adapter)
        return LAY_OK;
    return lay_aligner_load(options, loader, encoder, llm, &b->aligner, err);
}

const struct lay_bridge_method lay_bridge_layalign = {"layalign", load};
