/* Why a generation ended. */
#ifndef LAY_GENERATE_ENDED_H
#define LAY_GENERATE_ENDED_H

enum lay_ended { LAY_ENDED_EOS, LAY_ENDED_LENGTH, LAY_ENDED_STOP, LAY_ENDED_ERROR };

/* "eos", "length", "stop", "error" */
const char *lay_ended_name(enum lay_ended ended);

#endif
