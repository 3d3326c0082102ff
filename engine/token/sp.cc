#include "engine/token/sp.h"

#include <sentencepiece_processor.h>

#include <exception>
#include <new>
#include <string_view>
#include <vector>

struct lay_sp {
    sentencepiece::SentencePieceProcessor processor;
};

extern "C" enum lay_status lay_sp_open(const char *name, const void *proto, size_t size, struct lay_sp **sp,
                                       struct lay_err *err)
{
    *sp = nullptr;
    try {
        auto opened = std::make_unique<lay_sp>();
        const auto status = opened->processor.LoadFromSerializedProto(
            std::string_view(static_cast<const char *>(proto), size));
        if (!status.ok())
            return lay_fail(err, LAY_ERR_INPUT, "%s: SentencePiece refuses this model: %s", name,
                            status.message());
        *sp = opened.release();
        return LAY_OK;
    } catch (const std::bad_alloc &) {
        return lay_fail(err, LAY_ERR_MEMORY, "%s: no memory for the SentencePiece model", name);
    } catch (const std::exception &e) {
        return lay_fail(err, LAY_ERR_INPUT, "%s: SentencePiece refuses this model: %s", name, e.what());
    } catch (...) {
        return lay_fail(err, LAY_ERR_INPUT, "%s: SentencePiece refuses this model", name);
    }
}

extern "C" void lay_sp_close(struct lay_sp *sp)
{
    delete sp;
}

extern "C" enum lay_status lay_sp_encode(const struct lay_sp *sp, const char *text, size_t length,
                                         int (*emit)(void *context, int32_t index), void *context,
                                         struct lay_err *err)
{
    try {
        std::vector<int> ids;
        const auto status = sp->processor.Encode(std::string_view(text, length), &ids);
        if (!status.ok())
            return lay_fail(err, LAY_ERR_INTERNAL, "SentencePiece cannot encode a text: %s",
                            status.message());
        for (const int id : ids)
            if (emit(context, id) != 0)
                return lay_fail(err, LAY_ERR_MEMORY, "no memory for token ids");
        return LAY_OK;
    } catch (const std::bad_alloc &) {
        return lay_fail(err, LAY_ERR_MEMORY, "no memory to encode a text of %zu bytes", length);
    } catch (...) {
        return lay_fail(err, LAY_ERR_INTERNAL, "SentencePiece cannot encode a text of %zu bytes", length);
    }
}
