/* How much memory there is to plan with. */
#ifndef LAY_BASE_MEMORY_INFO_H
#define LAY_BASE_MEMORY_INFO_H

#include <stddef.h>

/* Bytes that can be allocated without swapping: MemAvailable, or what the control group leaves if that is
 * less. */
size_t lay_memory_available(void);

/* Anonymous and shared memory of this process now (RssAnon + RssShmem of /proc/self/status), in bytes. */
size_t lay_memory_used(void);

#endif
