#include "engine/token/vocab.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"

#include <string.h>

bool lay_vocab_has(const struct lay_vocab *vocab, int32_t id)
{
    return id >= 0 && (size_t)id < vocab->count && vocab->entries[id].length > 0;
}

const char *lay_vocab_text(const struct lay_vocab *vocab, int32_t id, size_t *length)
{
    const bool known = lay_vocab_has(vocab, id);
    if (length)
        *length = known ? vocab->entries[id].length : 0;
    return known ? vocab->texts.data + vocab->entries[id].text : "";
}

static size_t slot_of(const struct lay_vocab *vocab, const char *text, size_t length)
{
    size_t slot = (size_t)lay_hash_bytes(text, length).low & (vocab->n_slots - 1);
    while (vocab->slots[slot] >= 0) {
        size_t n;
        const char *there = lay_vocab_text(vocab, vocab->slots[slot], &n);
        if (n == length && memcmp(there, text, length) == 0)
            break;
        slot = (slot + 1) & (vocab->n_slots - 1);
    }
    return slot;
}

int32_t lay_vocab_find(const struct lay_vocab *vocab, const char *text, size_t length)
{
    return vocab->n_slots ? vocab->slots[slot_of(vocab, text, length)] : -1;
}

/* Keeps the table at most half full. */
static bool grow_slots(struct lay_vocab *vocab)
{
    if (2 * (vocab->n_tokens + 1) <= vocab->n_slots)
        return true;
    const size_t n_slots = vocab->n_slots ? 2 * vocab->n_slots : 1024;
    int32_t *old = vocab->slots;
    const size_t n_old = vocab->n_slots;
    int32_t *slots = lay_alloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0xff, n_slots * sizeof *slots);
    vocab->slots = slots;
    vocab->n_slots = n_slots;
    for (size_t i = 0; i < n_old; i++) {
        size_t length;
        if (old[i] < 0)
            continue;
        const char *text = lay_vocab_text(vocab, old[i], &length);
        vocab->slots[slot_of(vocab, text, length)] = old[i];
    }
    lay_free(old);
    return true;
}

enum lay_status lay_vocab_put(struct lay_vocab *vocab, int32_t id, const char *text, size_t length,
                              struct lay_err *err)
{
    if (id < 0 || length == 0 || length > UINT32_MAX || lay_vocab_has(vocab, id))
        return lay_fail(err, LAY_ERR_INPUT, "token id %d is given twice, negative or without a text", id);
    const size_t old = vocab->count;
    const size_t count = (size_t)id + 1 > old ? (size_t)id + 1 : old;
    if (!lay_grow((void **)&vocab->entries, &vocab->capacity, count, sizeof *vocab->entries) ||
        !grow_slots(vocab))
        return lay_no_memory(err, "the vocabulary");
    memset(vocab->entries + old, 0, (count - old) * sizeof *vocab->entries);
    vocab->count = count;
    const size_t at = vocab->texts.length;
    lay_str_append(&vocab->texts, text, length);
    lay_str_putc(&vocab->texts, 0);
    LAY_TRY(lay_str_check(&vocab->texts, err));
    const size_t slot = slot_of(vocab, text, length);
    vocab->entries[id] = (struct lay_vocab_entry){.text = at, .length = (uint32_t)length};
    vocab->slots[slot] = id;
    vocab->n_tokens++;
    return LAY_OK;
}

void lay_vocab_free(struct lay_vocab *vocab)
{
    lay_str_free(&vocab->texts);
    lay_free(vocab->entries);
    lay_free(vocab->slots);
    *vocab = (struct lay_vocab){0};
}
