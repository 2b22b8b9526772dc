/* HTML: the style of all pages, text, and images inside of the page. */
#include "report/html.h"

static const char STYLE[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;"
    "padding:0 1rem;color:#1c2024;background:#fff}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .5rem}"
    "p,figcaption{color:#566}table{border-collapse:collapse;font-variant-numeric:"
    "tabular-nums}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid "
    "#dde}th:first-child,td:first-child{text-align:left}th{font-weight:600}"
    "td small{color:#788}td small.line{display:block;white-space:nowrap}th,td{"
    "white-space:nowrap}td:first-child{white-space:normal;overflow-wrap:anywhere}"
    "div.table{overflow-x:auto}.swatch{display:inline-block;width:.7em;height:.7em;"
    "border-radius:2px;margin-right:.5em;background:var(--c)}"
    ".warn{background:#fff4e0;border:1px solid #e6b566;padding:.6rem 1rem;"
    "border-radius:6px;color:#5a3c00}figure{display:inline-block;margin:.5rem .8rem .8rem "
    "0;vertical-align:top}figcaption{font-size:.85rem}img{display:block;border-radius:4px}"
    ".good{color:#0a7a3d}.bad{color:#b3261e}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}p,figcaption"
    "{color:#a3adb5}th,td{border-color:#2c3238}.warn{background:#33270f;color:#f0d9ae}}";

void
voco_html_begin(FILE *out, const char *title)
{
    fputs("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width\"><title>", out);
    voco_html_text(out, title);
    fprintf(out, "</title><style>%s</style>\n", STYLE);
}

void
voco_html_end(FILE *out)
{
    fputs("</html>\n", out);
}

void
voco_html_text(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: putc(*text, out);
        }
}

static void
put_base64(FILE *out, const uint8_t *p, size_t n)
{
    static const char DIGIT[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        const uint32_t word = (uint32_t)p[i] << 16
            | (uint32_t)(i + 1 < n ? p[i + 1] : 0) << 8 | (i + 2 < n ? p[i + 2] : 0);

        putc(DIGIT[word >> 18], out);
        putc(DIGIT[word >> 12 & 63], out);
        putc(i + 1 < n ? DIGIT[word >> 6 & 63] : '=', out);
        putc(i + 2 < n ? DIGIT[word & 63] : '=', out);
    }
}

void
voco_html_png(FILE *out, const char *alt, const uint8_t *png, size_t n)
{
    fprintf(out, "<img alt=\"%s\" src=\"data:image/png;base64,", alt);
    put_base64(out, png, n);
    fputs("\">", out);
}
