#include "engine/base/mem.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define HUGE_FROM ((size_t)4 << 20)

static atomic_long fail_countdown = -1;

static bool injected_failure(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) < 0)
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 0;
}

static _Thread_local bool cjson_failed;

static void *cjson_alloc(size_t bytes)
{
    void *memory = injected_failure() ? NULL : malloc(bytes);
    cjson_failed |= !memory;
    return memory;
}

static void hook_cjson(void)
{
    static cJSON_Hooks hooks = {cjson_alloc, free};
    cJSON_InitHooks(&hooks);
}

void lay_mem_watch_cjson(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, hook_cjson);
    cjson_failed = false;
}

bool lay_mem_cjson_failed(void)
{
    return cjson_failed;
}

void lay_mem_fail_after(long n)
{
    lay_mem_watch_cjson();
    atomic_store(&fail_countdown, n < 0 ? -1 : n);
}

bool lay_mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool lay_add_size(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

void *lay_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (injected_failure() || !lay_mul_size(count, size, &bytes))
        return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *lay_alloc_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (injected_failure() || !lay_mul_size(count, size, &bytes) || bytes > SIZE_MAX - LAY_ALIGNMENT)
        return NULL;
    bytes = (bytes + LAY_ALIGNMENT - 1) / LAY_ALIGNMENT * LAY_ALIGNMENT;
    if (bytes == 0)
        bytes = LAY_ALIGNMENT;
    void *memory = aligned_alloc(LAY_ALIGNMENT, bytes);
    if (!memory)
        return NULL;
    lay_mem_wish_huge(memory, bytes);
    return memset(memory, 0, bytes);
}

void lay_mem_wish_huge(void *memory, size_t bytes)
{
    const uintptr_t first = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    const uintptr_t end = ((uintptr_t)memory + bytes) / PAGE * PAGE;
    if (bytes >= HUGE_FROM && end > first)
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

void *lay_realloc(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (injected_failure() || !lay_mul_size(count, size, &bytes))
        return NULL;
    return realloc(old, bytes ? bytes : 1);
}

void lay_free(void *memory)
{
    free(memory);
}

char *lay_strndup(const char *text, size_t length)
{
    if (length == SIZE_MAX)
        return NULL;
    char *copy = lay_alloc(length + 1, 1);
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

char *lay_strdup(const char *text)
{
    return lay_strndup(text, strlen(text));
}

enum lay_status(lay_no_memory)(struct lay_err *err, const char *what)
{
    return lay_fail(err, LAY_ERR_MEMORY, "out of memory for %s", what);
}

bool lay_grow(void **array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return true;
    size_t wanted = *capacity + *capacity / 2;
    if (wanted < needed)
        wanted = needed;
    if (wanted < 16)
        wanted = 16;
    void *grown = lay_realloc(*array, wanted, size);
    if (!grown)
        return false;
    *array = grown;
    *capacity = wanted;
    return true;
}
