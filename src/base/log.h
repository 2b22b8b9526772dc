/*
 * Messages and progress for people.  Results go to stdout; everything here goes to
 * stderr.  Lines from several threads do not mix.
 */
#ifndef VOCO_BASE_LOG_H
#define VOCO_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Silent: not even warnings, for tests that read damaged files by the thousand. */
enum voco_log_level {
    VOCO_LOG_SILENT = -1, VOCO_LOG_QUIET, VOCO_LOG_NORMAL, VOCO_LOG_VERBOSE
};

extern enum voco_log_level voco_log_level;      /* set once, by main */

/* "voco: ..." at once, also under --quiet: something is wrong but work goes on. */
void voco_warn(const char *fmt, ...) VOCO_PRINTF(1, 2);

/* A line of news / of detail. */
void voco_note(const char *fmt, ...) VOCO_PRINTF(1, 2);
void voco_detail(const char *fmt, ...) VOCO_PRINTF(1, 2);

/*
 * Progress of long work with a time to go.  On a terminal one line is redrawn at most
 * ten times a second; elsewhere a plain line appears at most every 30 seconds and at
 * the end.  Any voco_note in between keeps the line intact.
 */
struct voco_progress {
    const char *what;       /* "convert" */
    int64_t total, done;    /* total 0: not known, and not shown */
    int64_t first;          /* done at the start: a resumed job's rate leaves it out */
    double start_s, shown_s;
    bool terminal;
};

void voco_progress_start(struct voco_progress *p, const char *what, int64_t done,
                         int64_t total);

/* done of total; the rest is free text shown behind the time left.  Thread-safe; done
 * never goes back, so workers may report in any order. */
void voco_progress_show(struct voco_progress *p, int64_t done, const char *fmt, ...)
    VOCO_PRINTF(3, 4);
void voco_progress_end(struct voco_progress *p, const char *fmt, ...) VOCO_PRINTF(2, 3);

/* Monotonic clock in seconds. */
double voco_seconds(void);

/* "" for 1, else "s": "%d volume%s". */
const char *voco_plural(int64_t n);

/* 75 -> "1m15s", 7300 -> "2h01m"; writes at most 16 bytes to buf and returns it. */
const char *voco_format_seconds(double s, char buf[16]);

/* 1536 -> "1.5 KiB"; writes at most 16 bytes to buf and returns it. */
const char *voco_format_bytes(double bytes, char buf[16]);

#endif
