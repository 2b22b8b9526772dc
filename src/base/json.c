/* JSON from a file of limited size. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum voco_err
voco_json_read(const char *path, size_t max_bytes, size_t flags, json_t **ret)
{
    json_error_t where;
    char *text;
    size_t n, mark;
    enum voco_err err = voco_file_read(path, max_bytes, &text, &n);

    *ret = NULL;
    if (err != VOCO_OK)
        return err;
    mark = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *ret = json_loadb(text + mark, n - mark, flags, &where);
    free(text);
    if (*ret == NULL)
        return voco_fail(VOCO_EFORMAT, "%s:%d:%d: wrong JSON: %s", path, where.line,
                         where.column, where.text);
    return VOCO_OK;
}
