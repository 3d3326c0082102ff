#include "engine/store/pickle_machine.h"

#include "engine/base/mem.h"

#include <string.h>

enum lay_status lay_pickle_damaged(const struct lay_pickle_machine *machine, const char *what)
{
    return lay_fail(machine->err, LAY_ERR_INPUT,
                    "%s: pickle, byte %zu: %s; the file is damaged, download it again", machine->pickle->path,
                    machine->at, what);
}

static enum lay_status beyond_limit(const struct lay_pickle_machine *machine, const char *what, size_t limit)
{
    return lay_fail(machine->err, LAY_ERR_INPUT,
                    "%s: pickle, byte %zu: more than %zu %s; this is no state dict of a model",
                    machine->pickle->path, machine->at, limit, what);
}

bool lay_pickle_text_is(struct lay_pickle_text text, const char *wanted)
{
    return strlen(wanted) == text.length && memcmp(text.bytes, wanted, text.length) == 0;
}

/* --- values and the stack --- */

enum lay_status lay_pickle_new_value(struct lay_pickle_machine *machine, struct lay_pickle_value value,
                                     uint32_t *index)
{
    *index = 0;
    struct lay_pickle *pickle = machine->pickle;
    if (pickle->n_values == LAY_PICKLE_MAX_VALUES)
        return beyond_limit(machine, "values", LAY_PICKLE_MAX_VALUES);
    if (!lay_grow((void **)&pickle->values, &pickle->cap_values, pickle->n_values + 1,
                  sizeof *pickle->values))
        return lay_no_memory(machine->err, "a pickle");
    value.first = value.last = LAY_PICKLE_NONE;
    *index = (uint32_t)pickle->n_values;
    pickle->values[pickle->n_values++] = value;
    return LAY_OK;
}

static enum lay_status push_index(struct lay_pickle_machine *machine, uint32_t value)
{
    if (machine->n_stack == LAY_PICKLE_MAX_STACK)
        return beyond_limit(machine, "values on the stack", LAY_PICKLE_MAX_STACK);
    if (!lay_grow((void **)&machine->stack, &machine->cap_stack, machine->n_stack + 1,
                  sizeof *machine->stack))
        return lay_no_memory(machine->err, "a pickle");
    machine->stack[machine->n_stack++] = value;
    return LAY_OK;
}

enum lay_status lay_pickle_push(struct lay_pickle_machine *machine, struct lay_pickle_value value)
{
    uint32_t index;
    LAY_TRY(lay_pickle_new_value(machine, value, &index));
    return push_index(machine, index);
}

enum lay_status lay_pickle_pop(struct lay_pickle_machine *machine, uint32_t *value)
{
    *value = 0;
    if (machine->n_stack == 0 ||
        machine->pickle->values[machine->stack[machine->n_stack - 1]].kind == LAY_PICKLE_MARK)
        return lay_pickle_damaged(machine, "a value is missing on the stack");
    *value = machine->stack[--machine->n_stack];
    return LAY_OK;
}

static enum lay_status top(const struct lay_pickle_machine *machine, uint32_t *value)
{
    struct lay_pickle_machine copy = *machine;
    return lay_pickle_pop(&copy, value);
}

/* Takes the values above the last mark, and the mark, off the stack. They stay readable at
 * machine->stack[*first] … until the next push. */
static enum lay_status pop_to_mark(struct lay_pickle_machine *machine, size_t *first, size_t *count)
{
    *first = *count = 0;
    size_t at = machine->n_stack;
    while (at > 0 && machine->pickle->values[machine->stack[at - 1]].kind != LAY_PICKLE_MARK)
        at--;
    if (at == 0)
        return lay_pickle_damaged(machine, "a mark is missing on the stack");
    *first = at;
    *count = machine->n_stack - at;
    machine->n_stack = at - 1;
    return LAY_OK;
}

enum lay_status lay_pickle_append(struct lay_pickle_machine *machine, uint32_t container, uint32_t key,
                                  uint32_t value)
{
    struct lay_pickle *pickle = machine->pickle;
    if (pickle->n_cells == LAY_PICKLE_MAX_VALUES)
        return beyond_limit(machine, "elements", LAY_PICKLE_MAX_VALUES);
    if (!lay_grow((void **)&pickle->cells, &pickle->cap_cells, pickle->n_cells + 1, sizeof *pickle->cells))
        return lay_no_memory(machine->err, "a pickle");
    const uint32_t cell = (uint32_t)pickle->n_cells++;
    struct lay_pickle_value *owner = &pickle->values[container];
    pickle->cells[cell] = (struct lay_pickle_cell){.key = key, .value = value, .next = LAY_PICKLE_NONE};
    if (owner->last == LAY_PICKLE_NONE)
        owner->first = cell;
    else
        pickle->cells[owner->last].next = cell;
    owner->last = cell;
    owner->index++;
    return LAY_OK;
}

const struct lay_pickle_value *lay_pickle_item(const struct lay_pickle *pickle,
                                               const struct lay_pickle_value *container, size_t n)
{
    uint32_t cell = container->first;
    while (n--)
        cell = pickle->cells[cell].next;
    return &pickle->values[pickle->cells[cell].value];
}

const struct lay_pickle_value *lay_pickle_get(const struct lay_pickle *pickle,
                                              const struct lay_pickle_value *dict, const char *key)
{
    const struct lay_pickle_value *found = NULL;
    for (uint32_t cell = dict->first; cell != LAY_PICKLE_NONE; cell = pickle->cells[cell].next) {
        const struct lay_pickle_value *name = &pickle->values[pickle->cells[cell].key];
        if (name->kind == LAY_PICKLE_TEXT && lay_pickle_text_is(name->text, key))
            found = &pickle->values[pickle->cells[cell].value];
    }
    return found;
}

/* --- arguments of opcodes --- */

static enum lay_status read_bytes(struct lay_pickle_machine *machine, uint64_t length,
                                  const unsigned char **bytes)
{
    *bytes = NULL;
    if (length > machine->size - machine->at)
        return lay_pickle_damaged(machine, "it is cut off");
    *bytes = machine->data + machine->at;
    machine->at += (size_t)length;
    return LAY_OK;
}

static enum lay_status read_unsigned(struct lay_pickle_machine *machine, int width, uint64_t *number)
{
    const unsigned char *bytes;
    LAY_TRY(read_bytes(machine, (uint64_t)width, &bytes));
    *number = 0;
    for (int i = width - 1; i >= 0; i--)
        *number = *number << 8 | bytes[i];
    return LAY_OK;
}

/* The rest of the line, without its newline. */
static enum lay_status read_line(struct lay_pickle_machine *machine, struct lay_pickle_text *line)
{
    *line = (struct lay_pickle_text){0};
    const unsigned char *begin = machine->data + machine->at;
    const size_t left = machine->size - machine->at;
    const unsigned char *newline = left ? memchr(begin, '\n', left) : NULL;
    if (!newline)
        return lay_pickle_damaged(machine, "it is cut off");
    *line = (struct lay_pickle_text){(const char *)begin, (size_t)(newline - begin)};
    machine->at += line->length + 1;
    return LAY_OK;
}

/* --- opcodes. `width` is the row's second column: bytes of the argument, or a count --- */

static enum lay_status skip(struct lay_pickle_machine *machine, int width)
{
    const unsigned char *bytes;
    return read_bytes(machine, (uint64_t)width, &bytes);
}

static enum lay_status push_opaque(struct lay_pickle_machine *machine, int width)
{
    LAY_TRY(skip(machine, width));
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_OPAQUE});
}

static enum lay_status push_bool(struct lay_pickle_machine *machine, int value)
{
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_BOOL, .integer = value});
}

static enum lay_status push_int(struct lay_pickle_machine *machine, int width)
{
    uint64_t number;
    LAY_TRY(read_unsigned(machine, width, &number));
    const int64_t integer = width == 4 ? (int32_t)number : (int64_t)number; /* only BININT has a sign */
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_INT, .integer = integer});
}

/* LONG1, LONG4: a length, then that many bytes of two's complement. */
static enum lay_status push_long(struct lay_pickle_machine *machine, int width)
{
    uint64_t length, number = 0;
    LAY_TRY(read_unsigned(machine, width, &length));
    if (length > 8)
        return lay_pickle_damaged(machine, "an integer has more than 64 bits");
    LAY_TRY(read_unsigned(machine, (int)length, &number));
    if (length > 0 && length < 8 && number >> (8 * length - 1))
        number |= ~(uint64_t)0 << 8 * length;
    return lay_pickle_push(machine,
                           (struct lay_pickle_value){.kind = LAY_PICKLE_INT, .integer = (int64_t)number});
}

static enum lay_status push_text(struct lay_pickle_machine *machine, int width)
{
    uint64_t length;
    const unsigned char *bytes;
    LAY_TRY(read_unsigned(machine, width, &length));
    LAY_TRY(read_bytes(machine, length, &bytes));
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_TEXT,
                                                              .text = {(const char *)bytes, (size_t)length}});
}

static enum lay_status push_empty(struct lay_pickle_machine *machine, int kind)
{
    return lay_pickle_push(machine, (struct lay_pickle_value){.kind = (enum lay_pickle_kind)kind});
}

/* Makes a tuple of `count` stack values from `first` on and pushes it. */
static enum lay_status push_tuple(struct lay_pickle_machine *machine, size_t first, size_t count)
{
    uint32_t tuple;
    LAY_TRY(lay_pickle_new_value(machine, (struct lay_pickle_value){.kind = LAY_PICKLE_TUPLE}, &tuple));
    for (size_t i = 0; i < count; i++)
        LAY_TRY(lay_pickle_append(machine, tuple, 0, machine->stack[first + i]));
    return push_index(machine, tuple);
}

static enum lay_status short_tuple(struct lay_pickle_machine *machine, int count)
{
    uint32_t ignored;
    for (int i = 0; i < count; i++)
        LAY_TRY(lay_pickle_pop(machine, &ignored));
    return push_tuple(machine, machine->n_stack, (size_t)count);
}

static enum lay_status long_tuple(struct lay_pickle_machine *machine, int unused)
{
    size_t first, count;
    (void)unused;
    LAY_TRY(pop_to_mark(machine, &first, &count));
    return push_tuple(machine, first, count);
}

static enum lay_status check_kind(const struct lay_pickle_machine *machine, uint32_t value,
                                  enum lay_pickle_kind kind, const char *complaint)
{
    return machine->pickle->values[value].kind == kind ? LAY_OK : lay_pickle_damaged(machine, complaint);
}

/* Appends stack values to the list, or key-value pairs to the dict, that the stack then ends in. */
static enum lay_status extend(struct lay_pickle_machine *machine, enum lay_pickle_kind kind, size_t first,
                              size_t count)
{
    uint32_t container;
    const size_t step = kind == LAY_PICKLE_DICT ? 2 : 1;
    LAY_TRY(top(machine, &container));
    LAY_TRY(check_kind(machine, container, kind, "elements are added to something that holds none"));
    if (count % step)
        return lay_pickle_damaged(machine, "a key has no value");
    for (size_t i = first; i < first + count; i += step)
        LAY_TRY(lay_pickle_append(machine, container, machine->stack[i], machine->stack[i + step - 1]));
    return LAY_OK;
}

static enum lay_status append_one(struct lay_pickle_machine *machine, int kind)
{
    uint32_t ignored;
    const size_t count = kind == LAY_PICKLE_DICT ? 2 : 1;
    for (size_t i = 0; i < count; i++)
        LAY_TRY(lay_pickle_pop(machine, &ignored));
    return extend(machine, (enum lay_pickle_kind)kind, machine->n_stack, count);
}

static enum lay_status append_many(struct lay_pickle_machine *machine, int kind)
{
    size_t first, count;
    LAY_TRY(pop_to_mark(machine, &first, &count));
    return extend(machine, (enum lay_pickle_kind)kind, first, count);
}

static enum lay_status put_memo_at(struct lay_pickle_machine *machine, uint64_t slot)
{
    uint32_t value;
    LAY_TRY(top(machine, &value));
    if (slot >= LAY_PICKLE_MAX_MEMO)
        return beyond_limit(machine, "memo entries", LAY_PICKLE_MAX_MEMO);
    if (!lay_grow((void **)&machine->memo, &machine->cap_memo, (size_t)slot + 1, sizeof *machine->memo))
        return lay_no_memory(machine->err, "a pickle");
    while (machine->n_memo <= slot)
        machine->memo[machine->n_memo++] = LAY_PICKLE_NONE;
    machine->memo[slot] = value;
    return LAY_OK;
}

static enum lay_status put_memo(struct lay_pickle_machine *machine, int width)
{
    uint64_t slot;
    LAY_TRY(read_unsigned(machine, width, &slot));
    return put_memo_at(machine, slot);
}

static enum lay_status memoize(struct lay_pickle_machine *machine, int unused)
{
    (void)unused;
    return put_memo_at(machine, machine->n_memo);
}

static enum lay_status get_memo(struct lay_pickle_machine *machine, int width)
{
    uint64_t slot;
    LAY_TRY(read_unsigned(machine, width, &slot));
    if (slot >= machine->n_memo || machine->memo[slot] == LAY_PICKLE_NONE)
        return lay_pickle_damaged(machine, "a value is fetched that was never stored");
    return push_index(machine, machine->memo[slot]);
}

static enum lay_status global(struct lay_pickle_machine *machine, int unused)
{
    struct lay_pickle_text module, name;
    (void)unused;
    LAY_TRY(read_line(machine, &module));
    LAY_TRY(read_line(machine, &name));
    return lay_pickle_push_global(machine, module, name);
}

static enum lay_status stack_global(struct lay_pickle_machine *machine, int unused)
{
    uint32_t module, name;
    (void)unused;
    LAY_TRY(lay_pickle_pop(machine, &name));
    LAY_TRY(lay_pickle_pop(machine, &module));
    LAY_TRY(check_kind(machine, module, LAY_PICKLE_TEXT, "a module's name is not a text"));
    LAY_TRY(check_kind(machine, name, LAY_PICKLE_TEXT, "a global's name is not a text"));
    const struct lay_pickle_value *values = machine->pickle->values;
    return lay_pickle_push_global(machine, values[module].text, values[name].text);
}

static enum lay_status reduce(struct lay_pickle_machine *machine, int unused)
{
    uint32_t arguments, callable;
    (void)unused;
    LAY_TRY(lay_pickle_pop(machine, &arguments));
    LAY_TRY(lay_pickle_pop(machine, &callable));
    LAY_TRY(check_kind(machine, callable, LAY_PICKLE_GLOBAL, "something that is no global is called"));
    LAY_TRY(check_kind(machine, arguments, LAY_PICKLE_TUPLE, "the arguments of a call are no tuple"));
    const struct lay_pickle_value copy = machine->pickle->values[callable];
    return lay_pickle_call(machine, &copy, arguments);
}

/* Attributes of an OrderedDict (a state dict's _metadata): of no interest. */
static enum lay_status build(struct lay_pickle_machine *machine, int unused)
{
    uint32_t ignored, target;
    (void)unused;
    LAY_TRY(lay_pickle_pop(machine, &ignored));
    LAY_TRY(top(machine, &target));
    return check_kind(machine, target, LAY_PICKLE_DICT, "attributes are set on something that has none");
}

static enum lay_status persistent_id(struct lay_pickle_machine *machine, int unused)
{
    uint32_t id;
    (void)unused;
    LAY_TRY(lay_pickle_pop(machine, &id));
    LAY_TRY(check_kind(machine, id, LAY_PICKLE_TUPLE, "a persistent id is not a tuple"));
    const struct lay_pickle_value copy = machine->pickle->values[id];
    return lay_pickle_push_storage(machine, &copy);
}

#define STOP '.'

/* What torch.save writes with pickle protocols 2 to 5, and nothing else. */
static const struct opcode {
    enum lay_status (*run)(struct lay_pickle_machine *machine, int width);
    int width;
} opcodes[256] = {
    [0x80] = {skip, 1},                     /* PROTO */
    [0x95] = {skip, 8},                     /* FRAME */
    ['('] = {push_empty, LAY_PICKLE_MARK},  /* MARK */
    ['N'] = {push_opaque, 0},               /* NONE */
    ['G'] = {push_opaque, 8},               /* BINFLOAT */
    [0x88] = {push_bool, 1},                /* NEWTRUE */
    [0x89] = {push_bool, 0},                /* NEWFALSE */
    ['J'] = {push_int, 4},                  /* BININT */
    ['K'] = {push_int, 1},                  /* BININT1 */
    ['M'] = {push_int, 2},                  /* BININT2 */
    [0x8a] = {push_long, 1},                /* LONG1 */
    [0x8b] = {push_long, 4},                /* LONG4 */
    ['X'] = {push_text, 4},                 /* BINUNICODE */
    [0x8c] = {push_text, 1},                /* SHORT_BINUNICODE */
    [0x8d] = {push_text, 8},                /* BINUNICODE8 */
    ['T'] = {push_text, 4},                 /* BINSTRING */
    ['U'] = {push_text, 1},                 /* SHORT_BINSTRING */
    ['B'] = {push_text, 4},                 /* BINBYTES */
    ['C'] = {push_text, 1},                 /* SHORT_BINBYTES */
    [')'] = {push_empty, LAY_PICKLE_TUPLE}, /* EMPTY_TUPLE */
    [0x85] = {short_tuple, 1},              /* TUPLE1 */
    [0x86] = {short_tuple, 2},              /* TUPLE2 */
    [0x87] = {short_tuple, 3},              /* TUPLE3 */
    ['t'] = {long_tuple, 0},                /* TUPLE */
    [']'] = {push_empty, LAY_PICKLE_LIST},  /* EMPTY_LIST */
    ['a'] = {append_one, LAY_PICKLE_LIST},  /* APPEND */
    ['e'] = {append_many, LAY_PICKLE_LIST}, /* APPENDS */
    ['}'] = {push_empty, LAY_PICKLE_DICT},  /* EMPTY_DICT */
    ['s'] = {append_one, LAY_PICKLE_DICT},  /* SETITEM */
    ['u'] = {append_many, LAY_PICKLE_DICT}, /* SETITEMS */
    ['q'] = {put_memo, 1},                  /* BINPUT */
    ['r'] = {put_memo, 4},                  /* LONG_BINPUT */
    [0x94] = {memoize, 0},                  /* MEMOIZE */
    ['h'] = {get_memo, 1},                  /* BINGET */
    ['j'] = {get_memo, 4},                  /* LONG_BINGET */
    ['c'] = {global, 0},                    /* GLOBAL */
    [0x93] = {stack_global, 0},             /* STACK_GLOBAL */
    ['R'] = {reduce, 0},                    /* REDUCE */
    ['b'] = {build, 0},                     /* BUILD */
    ['Q'] = {persistent_id, 0},             /* BINPERSID */
};

static enum lay_status run(struct lay_pickle_machine *machine)
{
    for (;;) {
        if (machine->at >= machine->size)
            return lay_pickle_damaged(machine, "it is cut off");
        const unsigned char code = machine->data[machine->at++];
        if (code == STOP)
            return lay_pickle_pop(machine, &machine->pickle->root);
        if (!opcodes[code].run)
            return lay_fail(machine->err, LAY_ERR_INPUT,
                            "%s: pickle, byte %zu: opcode 0x%02x is not one that torch.save writes; save the "
                            "weights with torch.save(model.state_dict(), …) or as safetensors",
                            machine->pickle->path, machine->at - 1, code);
        LAY_TRY(opcodes[code].run(machine, opcodes[code].width));
    }
}

enum lay_status lay_pickle_run(const char *path, const unsigned char *data, size_t size,
                               struct lay_pickle *pickle, size_t *used, struct lay_err *err)
{
    *pickle = (struct lay_pickle){.path = path};
    struct lay_pickle_machine machine = {
        .pickle = pickle,
        .data = data,
        .size = size < LAY_PICKLE_MAX_BYTES ? size : LAY_PICKLE_MAX_BYTES,
        .err = err,
    };
    const enum lay_status status = run(&machine);
    lay_free(machine.stack);
    lay_free(machine.memo);
    *used = machine.at;
    return status;
}

void lay_pickle_free(struct lay_pickle *pickle)
{
    lay_free(pickle->values);
    lay_free(pickle->cells);
    lay_free(pickle->storages);
    lay_free(pickle->tensors);
    *pickle = (struct lay_pickle){0};
}
