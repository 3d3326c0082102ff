/* The strict scorer, version LAY_STRICT_VERSION: readers of answers. Inside the tasks package only. */
#ifndef LAY_TASKS_STRICT_H
#define LAY_TASKS_STRICT_H

#include "tasks/task.h"

/* A text as code points. */
struct lay_runes {
    int32_t *at; /* [count] */
    size_t count;
};
enum lay_status lay_runes_decode(const char *text, size_t length, struct lay_runes *runes,
                                 struct lay_err *err);
void lay_runes_free(struct lay_runes *runes);

/* A letter or mark of a script that puts spaces between words: a word goes on there. */
bool lay_rune_in_word(int32_t rune);
/* Where the word ends that starts at `from`, ignoring case; 0 when it does not stand there. */
size_t lay_runes_match(const struct lay_runes *runes, size_t from, const char *word);
/* The end of an answer marker of the language, of English or of notation (####, \boxed{) at `from`; 0: none.
 */
size_t lay_marker_at(const struct lay_runes *runes, size_t from, const struct lay_language *language);

/* How numbers are written: from the language, or plain for gold answers (language NULL). */
struct lay_number_style {
    bool dot_thousands; /* a single d.ddd is a thousands separator */
};

/* The first number at or after *from and before `to`; moves *from behind it. False when there is none. */
bool lay_number_next(const struct lay_runes *runes, size_t *from, size_t to,
                     const struct lay_number_style *style, double *value);

/* *found false: no number. `language` NULL reads a gold answer: no markers, the last number. */
enum lay_status lay_strict_number(const char *text, size_t length, const struct lay_language *language,
                                  double *value, bool *found, struct lay_err *err);
/* *letter is 0 when none was read, else 'A' and so on. */
enum lay_status lay_strict_choice(const char *text, size_t length, const struct lay_language *language,
                                  size_t max_choices, char *letter, struct lay_err *err);
/* *index is -1 when no word was read. */
enum lay_status lay_strict_label(const char *text, size_t length, const struct lay_language *language,
                                 const char *const *labels, size_t n_labels, int *index, struct lay_err *err);

#endif
