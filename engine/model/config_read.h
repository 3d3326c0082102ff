/* Reading config.json strictly: typed keys with ranges, and what is refused. Private to engine/model. */
#ifndef LAY_MODEL_CONFIG_READ_H
#define LAY_MODEL_CONFIG_READ_H

#include "engine/model/config.h"

enum { LAY_CONFIG_DIM_MAX = INT32_MAX, LAY_CONFIG_LAYERS_MAX = 1024 };

/* A configuration file being read. */
struct lay_config_source {
    cJSON *root;
    char *where; /* path, for messages */
};

enum lay_status lay_config_open(const char *dir, const char *name, struct lay_config_source *source,
                                struct lay_err *err);
void lay_config_close(struct lay_config_source *source);

/* A missing key or null leaves *value as it is; the range is checked in any case. */
enum lay_status lay_config_int(const struct lay_config_source *s, const char *key, int64_t min, int64_t max,
                               int64_t *value, struct lay_err *err);
enum lay_status lay_config_dim(const struct lay_config_source *s, const char *key, int64_t *value,
                               struct lay_err *err); /* 1 to LAY_CONFIG_DIM_MAX */
enum lay_status lay_config_id(const struct lay_config_source *s, const char *key, int32_t *id,
                              struct lay_err *err); /* a token id, -1: none */
enum lay_status lay_config_epsilon(const struct lay_config_source *s, const char *key, float *eps,
                                   struct lay_err *err);
enum lay_status lay_config_positive(const char *where, const char *key, double value, struct lay_err *err);

/* By the names of transformers' ACT2FN; others are refused by name. `missing` is what a missing key means. */
enum lay_status lay_config_activation_by_name(const struct lay_config_source *s, const char *key,
                                              const char *name, enum lay_activation *activation,
                                              struct lay_err *err);
enum lay_status lay_config_activation(const struct lay_config_source *s, const char *key, const char *missing,
                                      enum lay_activation *activation, struct lay_err *err);

/* Refuses every key that changes the computation of any family and is not implemented. */
enum lay_status lay_config_refuse_unimplemented(const struct lay_config_source *s, struct lay_err *err);

enum lay_status lay_config_model_type(const struct lay_config_source *s, const char **type,
                                      struct lay_err *err);
/* "model_type … is not implemented as `what`; implemented are `known`". */
enum lay_status lay_config_unknown_type(const struct lay_config_source *s, const char *type, const char *what,
                                        const char *known, struct lay_err *err);

#endif
