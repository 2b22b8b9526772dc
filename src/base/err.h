/*
 * Errors: a code for the program, a sentence for the person.
 *
 * A function that can fail because of the user or a file returns enum voco_err and
 * leaves one sentence, kept per thread, that names the culprit, the value and what
 * was expected.  Our own mistakes abort through VOCO_ASSERT.  Only cmd/main.c exits,
 * and VOCO_NEED where a small allocation fails.
 */
#ifndef VOCO_BASE_ERR_H
#define VOCO_BASE_ERR_H

enum voco_err {
    VOCO_OK = 0,
    VOCO_EINTERNAL,     /* should not happen */
    VOCO_EUSAGE,        /* command line or configuration */
    VOCO_EREJECTED,     /* finished, but some inputs were rejected and listed */
    VOCO_EFORMAT,       /* an input that cannot be used */
    VOCO_EIO,           /* the system refused to read or write, disk full */
    VOCO_EMEMORY,       /* does not fit, or an allocation failed */
    VOCO_ENUMERIC,      /* NaN or Inf, and the policy against it is exhausted */
    VOCO_ECHECKPOINT,   /* no valid checkpoint, or not one of this model */
    VOCO_ESTOPPED       /* stopped on request, state is durable */
};

#if defined __GNUC__
#define VOCO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VOCO_PRINTF(fmt, args)
#endif

/* Keep the sentence (at most 1 KiB, one line, no full stop) and return err. */
enum voco_err voco_fail(enum voco_err err, const char *fmt, ...) VOCO_PRINTF(2, 3);

/* As voco_fail, with ": " and strerror(errno) at the end. */
enum voco_err voco_fail_errno(enum voco_err err, const char *fmt, ...) VOCO_PRINTF(2, 3);

/* Put "context: " in front of the sentence already kept. */
enum voco_err voco_fail_in(enum voco_err err, const char *fmt, ...) VOCO_PRINTF(2, 3);

/* The last sentence of this thread; "" at first. Valid until the next failure. */
const char *voco_fail_text(void);

/* The exit status of doc/formats.md for a code: 0 1 2 3 4 5 6 7 8 75. */
int voco_exit_code(enum voco_err err);

void voco_assert_failed(const char *file, int line, const char *what)
    __attribute__((noreturn));

/* Ends the program with the exit code of VOCO_EMEMORY and a sentence; unfinished files
 * (base/temporary.h) are removed.  For allocations that are small next to those that are
 * planned, where a return would only be a second way to the same end. */
void voco_no_memory(const char *file, int line) __attribute__((noreturn));

#define VOCO_NEED(p) ((p) ? (void)0 : voco_no_memory(__FILE__, __LINE__))

#ifdef VOCO_NO_ASSERT
#define VOCO_ASSERT(x) ((void)sizeof(x))
#else
#define VOCO_ASSERT(x) ((x) ? (void)0 : voco_assert_failed(__FILE__, __LINE__, #x))
#endif

#endif
