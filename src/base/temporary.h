/*
 * Names of unfinished files, to be removed when the program ends before they are finished: by
 * a signal, or because a small allocation failed (VOCO_NEED in base/err.h).  A file that is
 * complete has been renamed and is no longer one of them.
 */
#ifndef VOCO_BASE_TEMPORARY_H
#define VOCO_BASE_TEMPORARY_H

/* Names of 4 KiB and more, and more than 64 at a time, are not kept: what they name stays. */
void voco_temporary_add(const char *path);
void voco_temporary_drop(const char *path);     /* finished, or removed by its owner */

/* In a child process: they are the parent's. */
void voco_temporary_forget(void);

/* Unlinks them all.  For ends of the program only; may be called by a signal handler. */
void voco_temporary_remove(void);

#endif
