/* Analyses as files: one CSV per figure, analysis.json with everything.
 *
 *   similarity.csv      system,language,sentences,cosine,deviation
 *   components.csv      system,language,sentence,pc1,pc2
 *   encoder_layers.csv  system,layer_a,layer_b,cosine
 *   tokens.csv          system,layer,english_position,english_token,position,token,cosine
 *   attention.csv       system,llm_layer,gate,language,ratio; language "all": the mean over the languages
 *   fusion.csv          system,llm_layer,gate,state,encoder_layer,weight; state is key or value,
 *                       encoder_layer "bias" carries the bias
 *
 * Sentences, positions and layers count from 0; encoder layer 0 is the embedding output. What does not exist
 * is empty in CSV and null in JSON. The same analysis gives the same bytes. */
#ifndef LAY_REPORTS_ANALYSIS_WRITE_H
#define LAY_REPORTS_ANALYSIS_WRITE_H

#include "reports/analysis/analysis.h"

/* The CSV of one figure, which must exist. */
enum lay_status lay_analysis_csv(const struct lay_analysis *analysis, const char *system,
                                 enum lay_figure figure, struct lay_str *out, struct lay_err *err);

/* {…about…, "languages": […], "figures": {…}, "missing": {…}}; the members of `about` come first. */
enum lay_status lay_analysis_json(const struct lay_analysis *analysis, const cJSON *about,
                                  struct lay_str *out, struct lay_err *err);

#endif
