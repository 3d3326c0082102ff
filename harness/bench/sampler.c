#include "harness/bench/sampler.h"

#include "engine/base/mem.h"
#include "engine/base/memory_info.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define PERIOD_NS 5000000

struct lay_sampler {
    pthread_t thread;
    atomic_bool stop;
    size_t peak;
};

static void look(struct lay_sampler *s)
{
    const size_t used = lay_memory_used();
    s->peak = used > s->peak ? used : s->peak;
}

static void *run(void *context)
{
    struct lay_sampler *s = context;
    const struct timespec period = {0, PERIOD_NS};
    while (!atomic_load(&s->stop)) {
        look(s);
        nanosleep(&period, NULL);
    }
    return NULL;
}

enum lay_status lay_sampler_start(struct lay_sampler **sampler, struct lay_err *err)
{
    struct lay_sampler *s = lay_alloc(1, sizeof *s);
    *sampler = NULL;
    if (!s)
        return lay_no_memory(err, "watching the memory");
    if (pthread_create(&s->thread, NULL, run, s) != 0) {
        lay_free(s);
        return lay_fail(err, LAY_ERR_MEMORY, "no thread could be started to watch the memory");
    }
    *sampler = s;
    return LAY_OK;
}

size_t lay_sampler_stop(struct lay_sampler *sampler)
{
    atomic_store(&sampler->stop, true);
    pthread_join(sampler->thread, NULL);
    look(sampler);
    const size_t peak = sampler->peak;
    lay_free(sampler);
    return peak;
}
