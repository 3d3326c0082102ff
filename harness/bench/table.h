/* The benchmark's results as a Markdown table (columns as llama-batched-bench has them), CSV or JSON. */
#ifndef LAY_HARNESS_BENCH_TABLE_H
#define LAY_HARNESS_BENCH_TABLE_H

#include "engine/base/str.h"
#include "harness/bench/measure.h"

/* One measured cell. */
struct lay_bench_row {
    char shape[160];
    enum lay_dtype dtype;
    struct lay_cell cell; /* its pointers are not read */
    struct lay_measurement measured;
    double load_seconds;
    size_t load_peak_bytes, weight_bytes, table_bytes;
    struct lay_product_list products[LAY_PHASE_COUNT]; /* for the rates of operations; empty: none */
};

enum lay_bench_format { LAY_BENCH_MD, LAY_BENCH_CSV, LAY_BENCH_JSON, LAY_BENCH_FORMATS };
enum lay_bench_format lay_bench_format_by_name(const char *name); /* LAY_BENCH_FORMATS: none */

/* All rows, with the table of operations of each when `profile`. */
void lay_bench_put(struct lay_str *out, enum lay_bench_format format, const struct lay_bench_row *rows,
                   size_t count, bool profile);

/* The remark under a Markdown table, unless all rows were steady. */
void lay_bench_put_steadiness(struct lay_str *out, bool steady);

#endif
