#include "engine/dnn/stored.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)1 << 20) /* hashed by one thread */

enum { PACKED, BIAS, SCALES, SUMS, SECTIONS };

/* In front of the sections, each of which begins at a multiple of LAY_ALIGNMENT; what is between them is 0.
 */
struct header {
    char magic[8];
    struct lay_hash layout, checksum; /* checksum: of the sections, see checksum_of */
    uint64_t bytes[SECTIONS];         /* 0: there is none */
    char rest[56];
};
_Static_assert(sizeof(struct header) == 2 * LAY_ALIGNMENT, "sections must be aligned");

static const char magic[8] = "LAYPACK";

static size_t aligned(size_t bytes)
{
    return (bytes + LAY_ALIGNMENT - 1) / LAY_ALIGNMENT * LAY_ALIGNMENT;
}

struct section {
    const void *data;
    size_t bytes;
};

static void sections_of(const struct lay_linear *l, struct section sections[SECTIONS])
{
    const size_t vector = (size_t)l->out * sizeof(float);
    const struct section all[SECTIONS] = {[PACKED] = {l->packed, l->bytes},
                                          [BIAS] = {l->bias, l->bias ? vector : 0},
                                          [SCALES] = {l->scales, l->scales ? vector : 0},
                                          [SUMS] = {l->sums, l->sums ? vector : 0}};
    memcpy(sections, all, sizeof all);
}

/* Everything that decides what the packed bytes mean. */
static struct lay_hash layout_of(const struct lay_linear *l)
{
    const int64_t facts[] = {LAY_PACKING_VERSION,
                             l->compute,
                             l->in,
                             l->out,
                             l->form,
                             l->widened,
                             l->n_parts,
                             l->part_in,
                             l->rows_min,
                             l->row_tile,
                             l->n_panels,
                             l->panel_out,
                             (int64_t)l->type,
                             (int64_t)l->block_bytes,
                             (int64_t)l->bytes,
                             (int64_t)lay_dnn_desc_digest(&l->desc[0]),
                             (int64_t)lay_dnn_desc_digest(&l->desc[1])};
    return lay_hash_bytes(facts, sizeof facts);
}

/* XXH3-128 of the XXH3-128s of the chunks: every chunk by itself, so threads do not matter. */
static enum lay_status checksum_section(const struct section *section, struct lay_hash *hash,
                                        struct lay_err *err)
{
    const size_t n = (section->bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    struct lay_hash *chunks = lay_alloc(n + 1, sizeof *chunks);
    if (!chunks)
        return lay_no_memory(err, "a checksum");
#pragma omp parallel for schedule(dynamic) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        const size_t first = i * CHUNK_BYTES, left = section->bytes - first;
        chunks[i] =
            lay_hash_bytes((const char *)section->data + first, left < CHUNK_BYTES ? left : CHUNK_BYTES);
    }
    *hash = lay_hash_bytes(chunks, n * sizeof *chunks);
    lay_free(chunks);
    return LAY_OK;
}

static enum lay_status checksum_of(const struct section sections[SECTIONS], struct lay_hash *hash,
                                   struct lay_err *err)
{
    struct lay_hash each[SECTIONS];
    for (int i = 0; i < SECTIONS; i++)
        LAY_TRY(checksum_section(&sections[i], &each[i], err));
    *hash = lay_hash_bytes(each, sizeof each);
    return LAY_OK;
}

size_t lay_linear_stored_bytes(const struct lay_linear *l)
{
    struct section sections[SECTIONS];
    size_t bytes = sizeof(struct header);
    sections_of(l, sections);
    for (int i = 0; i < SECTIONS; i++)
        bytes += aligned(sections[i].bytes);
    return bytes;
}

enum lay_status lay_linear_store(const struct lay_linear *l,
                                 enum lay_status (*write)(void *context, const void *bytes, size_t length,
                                                          struct lay_err *err),
                                 void *context, struct lay_err *err)
{
    static const char zeros[LAY_ALIGNMENT];
    struct section sections[SECTIONS];
    struct header header = {.layout = layout_of(l)};
    memcpy(header.magic, magic, sizeof magic);
    sections_of(l, sections);
    for (int i = 0; i < SECTIONS; i++)
        header.bytes[i] = sections[i].bytes;
    LAY_TRY(checksum_of(sections, &header.checksum, err));
    LAY_TRY(write(context, &header, sizeof header, err));
    for (int i = 0; i < SECTIONS; i++) {
        if (sections[i].bytes == 0)
            continue;
        LAY_TRY(write(context, sections[i].data, sections[i].bytes, err));
        LAY_TRY(write(context, zeros, aligned(sections[i].bytes) - sections[i].bytes, err));
    }
    return LAY_OK;
}

/* --- and back --- */

static enum lay_status refuse(struct lay_err *err, const char *reason)
{
    return lay_fail(err, LAY_ERR_INPUT, "stored weights %s", reason);
}

/* Checks the header against the layer as it would be packed here and finds the sections. */
static enum lay_status read_header(const struct lay_linear *l, bool bias, const char *image, size_t length,
                                   struct section sections[SECTIONS], struct lay_err *err)
{
    struct header header;
    const struct lay_hash layout = layout_of(l);
    const size_t vector = (size_t)l->out * sizeof(float), quantised = l->compute == LAY_I8 ? vector : 0;
    const size_t expected[SECTIONS] = {
        [PACKED] = l->bytes, [BIAS] = bias ? vector : 0, [SCALES] = quantised, [SUMS] = quantised};
    if (length < sizeof header)
        return refuse(err, "are cut off");
    memcpy(&header, image, sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || memcmp(&header.layout, &layout, sizeof layout) != 0)
        return refuse(err, "have another layout");
    size_t at = sizeof header;
    for (int i = 0; i < SECTIONS; i++) {
        if (header.bytes[i] != expected[i] || length - at < aligned(expected[i]))
            return refuse(err, "have another size");
        sections[i] = (struct section){image + at, expected[i]};
        at += aligned(expected[i]);
    }
    struct lay_hash checksum;
    LAY_TRY(checksum_of(sections, &checksum, err));
    return memcmp(&checksum, &header.checksum, sizeof checksum) == 0 ? LAY_OK : refuse(err, "are damaged");
}

/* Vectors are small and owned by the layer. */
static bool copy_vector(const struct section *section, void *vector)
{
    void *copy = section->bytes ? lay_alloc_aligned(section->bytes, 1) : NULL;
    if (copy)
        memcpy(copy, section->data, section->bytes);
    memcpy(vector, &copy, sizeof copy);
    return copy || !section->bytes;
}

/* The pages are about to be read from the first to the last. */
static void read_ahead(const void *image, size_t length)
{
    const uintptr_t page = 4096, first = (uintptr_t)image / page * page;
    (void)madvise((void *)first, (uintptr_t)image + length - first, MADV_WILLNEED); /* a wish */
}

enum lay_status lay_linear_restore(struct lay_dnn *dnn, enum lay_dtype compute, int64_t out, int64_t in,
                                   bool bias, const void *image, size_t length, struct lay_linear **linear,
                                   struct lay_err *err)
{
    struct section sections[SECTIONS];
    struct lay_linear *l;
    assert((uintptr_t)image % LAY_ALIGNMENT == 0);
    *linear = NULL;
    LAY_TRY(lay_linear_begin(dnn, compute, out, in, &l, err));
    read_ahead(image, length);
    enum lay_status status = read_header(l, bias, image, length, sections, err);
    if (status == LAY_OK &&
        !(copy_vector(&sections[BIAS], &l->bias) && copy_vector(&sections[SCALES], &l->scales) &&
          copy_vector(&sections[SUMS], &l->sums)))
        status = lay_no_memory(err, "stored weights");
    if (status != LAY_OK) {
        lay_linear_destroy(l);
        return status;
    }
    l->packed = (char *)(uintptr_t)sections[PACKED].data; /* only ever read */
    *linear = l;
    return LAY_OK;
}
