/* The head of an LLM under training: final norm, logits and cross-entropy of the rows that have a target, in
 * chunks, so that the logits of all rows are never in memory together. */
#include "engine/model/llm_learner_state.h"

#include <string.h>

#define LOGITS_FLOATS ((int64_t)1 << 24) /* of a chunk */

int64_t lay_llm_head_rows(const struct lay_llm_config *c)
{
    const int64_t rows = LOGITS_FLOATS / c->vocab_size / 16 * 16;
    return rows < 16 ? 16 : rows > LAY_PIECE_ROWS ? LAY_PIECE_ROWS : rows;
}

/* Target rows first … first + rows − 1, whose pieces, counted from `first`, are l->chunk_pieces. */
static enum lay_status head_chunk(const struct lay_llm_pass *p, int64_t first, int64_t rows, bool backward,
                                  struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const int64_t H = p->config->hidden_size, V = p->config->vocab_size;
    const float *h = l->top.data + first * H;
    float *logits = l->logits.data;
    LAY_TRY(lay_linear_forward(l->llm->head, h, logits, rows, false, err));
    lay_cross_entropy(logits, l->targets + first, rows, V, p->weight, l->row_loss + first);
    if (!backward)
        return LAY_OK;
    LAY_TRY(lay_learned_inputs(&l->head, l->learning, logits, l->dtop.data + first * H, rows, false, err));
    return lay_learned_weights(&l->head, l->learning, h, logits, l->chunk_pieces, l->n_chunk_pieces, err);
}

static enum lay_status head_chunks(const struct lay_llm_pass *p, bool backward, struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_pieces *pieces = &l->head_pieces;
    const int64_t most = lay_llm_head_rows(p->config);
    for (size_t at = 0; at < pieces->count;) {
        const int64_t first = pieces->items[at].first;
        int64_t rows = 0;
        for (l->n_chunk_pieces = 0; at < pieces->count && rows + pieces->items[at].rows <= most; at++) {
            l->chunk_pieces[l->n_chunk_pieces++] = (struct lay_segment){rows, pieces->items[at].rows};
            rows += pieces->items[at].rows;
        }
        LAY_TRY(head_chunk(p, first, rows, backward, err));
    }
    return LAY_OK;
}

enum lay_status lay_llm_head_learn(const struct lay_llm_pass *p, float *x, double *loss, bool backward,
                                   struct lay_err *err)
{
    struct lay_llm_learner *l = p->l;
    const struct lay_llm_config *c = p->config;
    const int64_t H = c->hidden_size, n = p->n_targets;
    float *plain = l->h.data; /* rows with a target before the norm */
    for (int64_t i = 0; i < n; i++)
        memcpy(plain + i * H, x + l->target_rows[i] * H, (size_t)H * sizeof *x);
    lay_rms_norm(plain, l->llm->norm, l->top.data, n, H, c->rms_norm_eps);
    LAY_TRY(head_chunks(p, backward, err));
    for (int64_t s = 0, i = 0; s < p->batch->n_seqs; s++) {
        loss[s] = 0;
        for (int64_t end = i + l->target_counts[s]; i < end; i++)
            loss[s] += l->row_loss[i];
    }
    if (!backward)
        return LAY_OK;
    float *dplain = l->dh.data;
    memset(dplain, 0, (size_t)(n * H) * sizeof *dplain);
    lay_rms_norm_backward(plain, l->llm->norm, l->dtop.data, dplain, n, H, c->rms_norm_eps);
    if (l->train)
        lay_rms_norm_weight(plain, l->dtop.data, l->norm_gradient, n, H, c->rms_norm_eps);
    memset(x, 0, (size_t)(p->rows * H) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        memcpy(x + l->target_rows[i] * H, dplain + i * H, (size_t)H * sizeof *x);
    return LAY_OK;
}
