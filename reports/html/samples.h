/* The samples as the page carries them; report/html/samples.js reads this.
 *
 * <script class="samples" type="text/plain">: packed blocks of text (pack.h) and, first of all, the flags.
 *
 * Flags: one byte per system and row, all rows of the first system, then of the next:
 *   1 answered · 2 right by paper · 4 right by strict · 8 unparsed · 16 error · 32 input truncated
 *   64 cut off at the token limit · 128 ended at a stop text
 *
 * A block is rows, each closed by U+001E. A row is fields separated by U+001F, what is searched in front of a
 * U+001D and the rest behind it:
 *   main text, target, and per system the answer (or the error's message)
 *   doc_id, doc, and per system: what the paper scorer read, what the strict scorer read, the prompt, the
 * encoder's text, "prompt tokens/encoder tokens/answer tokens" The main text is the question, or where there
 * is none the prompt. A prompt that has the main text inside is written =N, N counting in the index's
 * "templates" of [text before, text behind]; another one 'TEXT; none is empty. Control characters of the
 * texts have been replaced (markup.h).
 *
 * <script id="sample-index" type="application/json">: {"systems": [name], "cells": [{task, title, language,
 * name, rtl, rows}] in the order of the rows, "templates": [[before, behind]], "blocks": [rows of each
 * block]}. */
#ifndef LAY_REPORTS_HTML_SAMPLES_H
#define LAY_REPORTS_HTML_SAMPLES_H

#include "engine/base/str.h"
#include "reports/html/merge.h"

/* Appends the scripts. */
enum lay_status lay_html_samples_put(struct lay_str *out, const struct lay_system_result *systems,
                                     const struct lay_merged *merged, struct lay_err *err);

#endif
