/* The clock that durations are measured with. */
#ifndef LAY_BASE_CLOCK_H
#define LAY_BASE_CLOCK_H

/* Seconds since some moment in the past; never set back, whatever happens to the time of day. */
double lay_clock_now(void);

#endif
