/* samples_<task>_<language>.jsonl: one line per sample, in the layout of lm-evaluation-harness 0.4.
 *
 * doc_id, doc, target, arguments {gen_args_0: {arg_0: prompt, arg_1: generation parameters}}, resps [[text]],
 * filtered_resps [what the paper scorer read], filter "paper", metrics ["acc"], doc_hash, prompt_hash,
 * target_hash, acc; then ours: source, acc_strict, strict_extracted, unparsed, disagree, ended, truncated,
 * source_tokens, prompt_tokens, output_tokens, error. Hashes are XXH3-128 of the JSON text of doc, of the
 * prompt and of the target (the original has SHA-256 there; they are compared for equality only). */
#ifndef LAY_REPORTS_SAMPLES_H
#define LAY_REPORTS_SAMPLES_H

#include "engine/base/hash.h"
#include "reports/record.h"

struct lay_sample_hashes {
    char doc[LAY_HASH_HEX], prompt[LAY_HASH_HEX], target[LAY_HASH_HEX];
};
/* LAY_ERR_INPUT if the record's doc is no JSON. */
enum lay_status lay_sample_hash(const struct lay_record *record, struct lay_sample_hashes *hashes,
                                struct lay_err *err);

/* The manifest's "generation" under the names lm-evaluation-harness has for them: until, max_gen_toks,
 * do_sample, temperature. NULL: null. */
struct lay_emit;
void lay_generation_put(struct lay_emit *emit, const char *key, const cJSON *generation);

/* Appends the line of one record. `generation` (may be NULL) becomes arg_1. */
enum lay_status lay_sample_put(struct lay_str *out, const struct lay_record *record, const cJSON *generation,
                               struct lay_err *err);

/* Writes the file of one language atomically into `dir`, sample by sample. */
enum lay_status lay_samples_write(const char *dir, const struct lay_system_result *system,
                                  const struct lay_task_result *task, const struct lay_cell *cell,
                                  struct lay_err *err);

#endif
