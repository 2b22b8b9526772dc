/*
 * The common part of voco's HTML pages.  A page is one file that needs no other, and is
 * light or dark like the reader's system.
 */
#ifndef VOCO_REPORT_HTML_H
#define VOCO_REPORT_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The head with the style of all pages; the body follows, then voco_html_end. */
void voco_html_begin(FILE *out, const char *title);
void voco_html_end(FILE *out);

/* Text with <, >, & and " as they must be written, also inside of an attribute. */
void voco_html_text(FILE *out, const char *text);

/* An image of these bytes of a PNG; alt is as it shall stand in the page. */
void voco_html_png(FILE *out, const char *alt, const uint8_t *png, size_t n);

#endif
