/* The largest memory of this process while something runs, looked at by a thread of its own every few
 * milliseconds. */
#ifndef LAY_HARNESS_BENCH_SAMPLER_H
#define LAY_HARNESS_BENCH_SAMPLER_H

#include "engine/base/err.h"

#include <stddef.h>

struct lay_sampler;

enum lay_status lay_sampler_start(struct lay_sampler **sampler, struct lay_err *err);
/* Bytes of RssAnon + RssShmem at their peak since start; ends and frees the sampler. */
size_t lay_sampler_stop(struct lay_sampler *sampler);

#endif
