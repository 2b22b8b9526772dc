/* Lines on stderr, and one progress line that they do not tear. */
#define _GNU_SOURCE
#include "base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum voco_log_level voco_log_level = VOCO_LOG_NORMAL;

/* Guards stderr, the progress line and the fields of every struct voco_progress. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char line[512];          /* the progress line on the terminal, "" for none */

static const double REDRAW_S = 0.1, PLAIN_S = 30.0;

double
voco_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One line above the progress line.  Called with the lock held. */
static void
put_line(const char *prefix, const char *text)
{
    if (*line)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "%s%s\n%s", prefix, text, line);
    fflush(stderr);
}

static void
say(const char *prefix, const char *fmt, va_list ap)
{
    char text[2048];

    vsnprintf(text, sizeof text, fmt, ap);
    pthread_mutex_lock(&lock);
    put_line(prefix, text);
    pthread_mutex_unlock(&lock);
}

void
voco_warn(const char *fmt, ...)
{
    va_list ap;

    if (voco_log_level == VOCO_LOG_SILENT)
        return;
    va_start(ap, fmt);
    say("voco: ", fmt, ap);
    va_end(ap);
}

void
voco_note(const char *fmt, ...)
{
    va_list ap;

    if (voco_log_level < VOCO_LOG_NORMAL)
        return;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void
voco_detail(const char *fmt, ...)
{
    va_list ap;

    if (voco_log_level < VOCO_LOG_VERBOSE)
        return;
    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

void
voco_progress_start(struct voco_progress *p, const char *what, int64_t done, int64_t total)
{
    const char *term = getenv("TERM");
    const double now = voco_seconds();

    *p = (struct voco_progress){
        .what = what, .total = total, .first = done, .done = done, .start_s = now,
        .shown_s = now - REDRAW_S,
        .terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
    };
}

static int
terminal_width(void)
{
    struct winsize w;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20)
        return w.ws_col;
    return 80;
}

/* "convert 5/12", or "convert" where nobody knows how many there are. */
static int
name_and_count(const struct voco_progress *p, char *text, size_t size)
{
    if (p->total <= 0)
        return snprintf(text, size, "%s", p->what);
    return snprintf(text, size, "%s %lld/%lld", p->what, (long long)p->done,
                    (long long)p->total);
}

/* "convert 5/12 (41%) 1m15s left  rest" */
static void
compose(const struct voco_progress *p, double now, const char *rest, char *text, size_t size)
{
    const double rate = (double)(p->done - p->first) / (now - p->start_s);
    char eta[16];
    int n = name_and_count(p, text, size);

    if (p->total > 0)
        n += snprintf(text + n, size - (size_t)n, " (%.0f%%)",
                      100.0 * (double)p->done / (double)p->total);
    if (p->done > p->first && p->done < p->total)
        n += snprintf(text + n, size - (size_t)n, " %s left",
                      voco_format_seconds((double)(p->total - p->done) / rate, eta));
    if (*rest)
        snprintf(text + n, size - (size_t)n, "  %s", rest);
}

void
voco_progress_show(struct voco_progress *p, int64_t done, const char *fmt, ...)
{
    const double now = voco_seconds();
    char rest[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(rest, sizeof rest, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    if (done > p->done)
        p->done = done;
    if (voco_log_level >= VOCO_LOG_NORMAL &&
        now - p->shown_s >= (p->terminal ? REDRAW_S : PLAIN_S)) {
        char text[sizeof line];

        p->shown_s = now;
        compose(p, now, rest, text, sizeof text);
        if (p->terminal) {
            snprintf(line, sizeof line, "%.*s", terminal_width() - 1, text);
            fprintf(stderr, "\r%s\033[K", line);
            fflush(stderr);
        } else {
            put_line("", text);
        }
    }
    pthread_mutex_unlock(&lock);
}

void
voco_progress_end(struct voco_progress *p, const char *fmt, ...)
{
    char text[512], took[16];
    va_list ap;
    int n;

    pthread_mutex_lock(&lock);
    if (*line)
        fputs("\r\033[K", stderr);
    *line = '\0';
    if (voco_log_level >= VOCO_LOG_NORMAL) {
        n = name_and_count(p, text, sizeof text);
        n += snprintf(text + n, sizeof text - (size_t)n, " in %s",
                      voco_format_seconds(voco_seconds() - p->start_s, took));
        if (*fmt) {
            n += snprintf(text + n, sizeof text - (size_t)n, "  ");
            va_start(ap, fmt);
            vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
            va_end(ap);
        }
        put_line("", text);
    }
    pthread_mutex_unlock(&lock);
}

const char *
voco_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

const char *
voco_format_seconds(double s, char buf[16])
{
    unsigned n;

    if (!(s >= 0 && s < 1e9))
        return strcpy(buf, "?");
    n = (unsigned)lround(s);
    if (s < 9.95)
        snprintf(buf, 16, "%.1fs", s);
    else if (n < 60)
        snprintf(buf, 16, "%us", n);
    else if (n < 3600)
        snprintf(buf, 16, "%um%02us", n / 60, n % 60);
    else if (n < 86400)
        snprintf(buf, 16, "%uh%02um", n / 3600, n % 3600 / 60);
    else
        snprintf(buf, 16, "%ud%02uh", n / 86400, n % 86400 / 3600);
    return buf;
}

const char *
voco_format_bytes(double bytes, char buf[16])
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    int i = 0;

    if (!(bytes >= 0 && bytes < 1e18))
        return strcpy(buf, "?");
    while (bytes >= 1023.95 && i < 5) {
        bytes /= 1024;
        i++;
    }
    snprintf(buf, 16, "%.*f %s", i && bytes < 100 ? 1 : 0, bytes, unit[i]);
    return buf;
}
