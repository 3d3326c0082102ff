#include "engine/base/memory_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FALLBACK ((size_t)4 << 30)

/* The number behind "key:" in a /proc file, in kB; 0 when it is not there. */
static size_t proc_field(const char *path, const char *key)
{
    char line[256];
    size_t value = 0;
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = strtoull(line + strlen(key) + 1, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

/* A cgroup file holds one number or "max". */
static size_t cgroup_number(const char *path)
{
    unsigned long long value = 0;
    char line[32];
    FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof line, file))
        value = strtoull(line, NULL, 10);
    if (file)
        fclose(file);
    return (size_t)value;
}

size_t lay_memory_available(void)
{
    size_t available = proc_field("/proc/meminfo", "MemAvailable") * 1024;
    const size_t limit = cgroup_number("/sys/fs/cgroup/memory.max");
    const size_t used = cgroup_number("/sys/fs/cgroup/memory.current");
    if (available == 0)
        available = FALLBACK;
    if (limit > used && limit - used < available)
        available = limit - used;
    return available;
}

size_t lay_memory_used(void)
{
    return (proc_field("/proc/self/status", "RssAnon") + proc_field("/proc/self/status", "RssShmem")) * 1024;
}
