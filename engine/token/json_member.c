#include "engine/token/json_member.h"

#include "engine/base/json_scan.h"

enum lay_status lay_json_member(const char *name, const char *text, size_t length, const char *key,
                                cJSON **value, struct lay_err *err)
{
    struct lay_json_scan scan;
    struct lay_json_slice found, member;
    *value = NULL;
    if (!lay_json_scan_open(&scan, text, length))
        return lay_fail(err, LAY_ERR_INPUT, "%s: must hold a JSON object", name);
    while (lay_json_scan_member(&scan, &found, &member))
        if (lay_json_slice_is(found, key))
            return lay_json_parse(name, member.text, member.length, value, err);
    if (!lay_json_scan_ended(&scan))
        return lay_fail(err, LAY_ERR_INPUT, "%s: not valid JSON; download or copy it again", name);
    return LAY_OK;
}
