#include "engine/base/hash.h"

#include "engine/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct lay_hash lay_hash_bytes(const void *bytes, size_t length)
{
    const XXH128_hash_t h = XXH3_128bits(bytes, length);
    return (struct lay_hash){.low = h.low64, .high = h.high64};
}

void lay_hash_hex(struct lay_hash hash, char hex[LAY_HASH_HEX])
{
    snprintf(hex, LAY_HASH_HEX, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
}

bool lay_hash_parse(const char *hex, struct lay_hash *hash)
{
    char half[17] = "";
    if (strlen(hex) != LAY_HASH_HEX - 1 || strspn(hex, "0123456789abcdef") != LAY_HASH_HEX - 1)
        return false;
    memcpy(half, hex, 16);
    hash->high = strtoull(half, NULL, 16);
    hash->low = strtoull(hex + 16, NULL, 16);
    return true;
}

enum lay_status lay_hash_file(const char *path, char hex[LAY_HASH_HEX], struct lay_err *err)
{
    struct lay_file_map map;
    LAY_TRY(lay_file_map(path, &map, err));
    lay_hash_hex(lay_hash_bytes(map.data, map.size), hex);
    lay_file_unmap(&map);
    return LAY_OK;
}
