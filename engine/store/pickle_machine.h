/* Between the two halves of the pickle machine: opcodes (pickle.c) and globals (pickle_globals.c). */
#ifndef LAY_STORE_PICKLE_MACHINE_H
#define LAY_STORE_PICKLE_MACHINE_H

#include "engine/store/pickle.h"

struct lay_pickle_machine {
    struct lay_pickle *pickle;
    const unsigned char *data;
    size_t size, at; /* `at` is behind the opcode, then behind its argument */
    uint32_t *stack, *memo;
    size_t n_stack, cap_stack, n_memo, cap_memo;
    struct lay_err *err;
};

/* "path: pickle, byte N: …; the file is damaged, download it again". */
enum lay_status lay_pickle_damaged(const struct lay_pickle_machine *machine, const char *what);

enum lay_status lay_pickle_new_value(struct lay_pickle_machine *machine, struct lay_pickle_value value,
                                     uint32_t *index);
enum lay_status lay_pickle_push(struct lay_pickle_machine *machine, struct lay_pickle_value value);
enum lay_status lay_pickle_pop(struct lay_pickle_machine *machine, uint32_t *value);
enum lay_status lay_pickle_append(struct lay_pickle_machine *machine, uint32_t container, uint32_t key,
                                  uint32_t value);
/* The n-th element of a tuple or list. n must be below its index field. */
const struct lay_pickle_value *lay_pickle_item(const struct lay_pickle *pickle,
                                               const struct lay_pickle_value *container, size_t n);

/* Pushes the global of that name, or refuses it. */
enum lay_status lay_pickle_push_global(struct lay_pickle_machine *machine, struct lay_pickle_text module,
                                       struct lay_pickle_text name);
/* Pushes what callable(*arguments) is. */
enum lay_status lay_pickle_call(struct lay_pickle_machine *machine, const struct lay_pickle_value *callable,
                                uint32_t arguments);
/* Pushes the storage that a persistent id stands for. */
enum lay_status lay_pickle_push_storage(struct lay_pickle_machine *machine,
                                        const struct lay_pickle_value *id);

#endif
