/* Memory. All of our own allocations go through these functions, so that a test can make the n-th one fail.
 *
 * Sizes are given as count and element size; the product is overflow-checked. Memory is zeroed.
 * Everything is freed with lay_free(), which accepts NULL. */
#ifndef LAY_BASE_MEM_H
#define LAY_BASE_MEM_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_ALIGNMENT 64 /* bytes; a cache line and an AVX-512 register */

/* NULL when memory is exhausted or count * size overflows. */
void *lay_alloc(size_t count, size_t size);

/* The same, aligned to LAY_ALIGNMENT, and in huge pages as far as the system gives them: for matrices. */
void *lay_alloc_aligned(size_t count, size_t size);
/* Wishes huge pages for memory of some megabytes that nobody has touched yet: fewer faults, and fewer TLB
 * misses where the rows of a matrix lie further apart than a page. */
void lay_mem_wish_huge(void *memory, size_t bytes);

/* Grows or shrinks; on failure returns NULL and leaves `old` as it was. New bytes are not zeroed. */
void *lay_realloc(void *old, size_t count, size_t size);

void lay_free(void *memory);

/* Copies `length` bytes and adds a NUL. */
char *lay_strndup(const char *text, size_t length);
char *lay_strdup(const char *text);

/* The usual answer to a NULL from the functions above; `what` names what the memory was for. */
enum lay_status lay_no_memory(struct lay_err *err, const char *what);
#define lay_no_memory(err, what)                                                                             \
    lay_status_as_given(LAY_ERR_MEMORY, (lay_no_memory)((err), (what))) /* as lay_fail in err.h */

/* Makes sure that `*array` (elements of `size` bytes, capacity *capacity) can hold `needed` elements,
 * growing by half. Returns false when memory is exhausted; the array stays valid. */
bool lay_grow(void **array, size_t *capacity, size_t needed, size_t size);

/* False on overflow. */
bool lay_mul_size(size_t a, size_t b, size_t *product);
bool lay_add_size(size_t a, size_t b, size_t *sum);

/* cJSON does not say whether it failed for want of memory. Between these two calls its allocations are
 * watched: whether one of this thread failed. */
void lay_mem_watch_cjson(void);
bool lay_mem_cjson_failed(void);

/* For tests: the allocation after `n` further ones fails (n = 0: the next); negative: never. cJSON's count,
 * too. */
void lay_mem_fail_after(long n);

#endif
