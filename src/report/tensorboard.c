/* TensorBoard event files.  Sources: TensorFlow's record_writer (framing) and event.proto,
 * summary.proto (field numbers below); protocol buffers' encoding guide. */
#include "report/tensorboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/open.h"

struct voco_events {
    FILE *out;
    char *path;
};

/* A message under construction: bytes that grow. */
struct bytes {
    uint8_t *data;
    size_t n, room;
};

enum wire { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

/* Event: wall_time 1 (double), step 2 (int64), file_version 3, summary 5, session_log 7.
 * Summary: value 1.  Value: tag 1, simple_value 2 (float), image 4.
 * Image: height 1, width 2, colorspace 3, encoded 4.  SessionLog: status 1, START = 1. */

static void
put(struct bytes *b, const void *data, size_t n)
{
    if (n > b->room - b->n) {
        b->room = 2 * (b->n + n);
        b->data = realloc(b->data, b->room);
        VOCO_NEED(b->data);
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void
put_le(struct bytes *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        put(b, &(uint8_t){ (uint8_t)(v >> 8 * i) }, 1);
}

static void
put_varint(struct bytes *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put(b, &(uint8_t){ (uint8_t)(v | 0x80) }, 1);
    put(b, &(uint8_t){ (uint8_t)v }, 1);
}

static void
put_key(struct bytes *b, unsigned field, enum wire wire)
{
    put_varint(b, field << 3 | wire);
}

static void
put_int(struct bytes *b, unsigned field, int64_t v)
{
    put_key(b, field, VARINT);
    put_varint(b, (uint64_t)v);
}

static void
put_bytes(struct bytes *b, unsigned field, const void *data, size_t n)
{
    put_key(b, field, LENGTH);
    put_varint(b, n);
    put(b, data, n);
}

static void
put_message(struct bytes *b, unsigned field, struct bytes *message)
{
    put_bytes(b, field, message->data, message->n);
    free(message->data);
}

/* The CRC of a CRC is weak, hence the mask. */
static uint32_t
masked_crc(const void *data, size_t n)
{
    const uint32_t crc = voco_crc32c(0, data, n);

    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static struct bytes
new_event(int64_t step)
{
    struct bytes event = { 0 };
    struct timespec now;
    uint64_t bits;

    clock_gettime(CLOCK_REALTIME, &now);
    const double wall = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &wall, sizeof bits);
    put_key(&event, 1, FIXED64);
    put_le(&event, bits, 8);
    put_int(&event, 2, step);
    return event;
}

/* Frame and write the event, and free it. */
static enum voco_err
write_event(struct voco_events *e, struct bytes *event)
{
    struct bytes record = { 0 };
    enum voco_err err = VOCO_OK;

    put_le(&record, event->n, 8);
    put_le(&record, masked_crc(record.data, 8), 4);
    put(&record, event->data, event->n);
    put_le(&record, masked_crc(event->data, event->n), 4);
    if (fwrite(record.data, 1, record.n, e->out) != record.n)
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", e->path);
    free(record.data);
    free(event->data);
    return err;
}

/* A name that no earlier start in the same second has taken. */
static enum voco_err
create(const char *folder, struct voco_events *e)
{
    char host[256] = "localhost";

    gethostname(host, sizeof host - 1);
    for (int i = 0; i < 100 && !e->out; i++) {
        free(e->path);
        e->path = i == 0 ? voco_format("%s/events.out.tfevents.%010lld.%s.%ld", folder,
                                       (long long)time(NULL), host, (long)getpid())
                         : voco_format("%s/events.out.tfevents.%010lld.%s.%ld.%02d",
                                       folder, (long long)time(NULL), host,
                                       (long)getpid(), i);
        e->out = voco_open_stream(e->path, "wbx");
    }
    return e->out ? VOCO_OK : voco_fail_errno(VOCO_EIO, "%s: cannot create", e->path);
}

static enum voco_err
write_start(struct voco_events *e, int64_t from_step)
{
    struct bytes version = new_event(0), start, log = { 0 };
    enum voco_err err;

    put_bytes(&version, 3, "brain.Event:2", 13);
    err = write_event(e, &version);
    if (err)
        return err;
    start = new_event(from_step);
    put_int(&log, 1, 1);
    put_message(&start, 7, &log);
    return write_event(e, &start);
}

enum voco_err
voco_events_open(const char *folder, int64_t from_step, struct voco_events **ret)
{
    struct voco_events *e = calloc(1, sizeof *e);
    enum voco_err err;

    if (!e)
        return voco_fail(VOCO_EMEMORY, "%s: no memory", folder);
    err = create(folder, e);
    if (!err)
        err = write_start(e, from_step);
    if (!err)
        err = voco_events_flush(e);
    if (err) {
        if (e->out)
            fclose(e->out);
        free(e->path);
        free(e);
        return err;
    }
    *ret = e;
    return VOCO_OK;
}

/* An event with one Summary.Value: the tag and the field already encoded in rest. */
static enum voco_err
write_value(struct voco_events *e, const char *tag, int64_t step, struct bytes *rest)
{
    struct bytes event = new_event(step), summary = { 0 }, value = { 0 };

    put_bytes(&value, 1, tag, strlen(tag));
    put(&value, rest->data, rest->n);
    free(rest->data);
    put_message(&summary, 1, &value);
    put_message(&event, 5, &summary);
    return write_event(e, &event);
}

enum voco_err
voco_events_scalar(struct voco_events *e, const char *tag, int64_t step, double value)
{
    struct bytes rest = { 0 };
    const float f = (float)value;
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    put_key(&rest, 2, FIXED32);
    put_le(&rest, bits, 4);
    return write_value(e, tag, step, &rest);
}

enum voco_err
voco_events_image(struct voco_events *e, const char *tag, int64_t step,
                  const struct voco_picture *p)
{
    struct bytes rest = { 0 }, image = { 0 };
    uint8_t *png;
    size_t n;
    const enum voco_err err = voco_png_encode(p, &png, &n);

    if (err)
        return err;
    put_int(&image, 1, p->height);
    put_int(&image, 2, p->width);
    put_int(&image, 3, p->channels);
    put_bytes(&image, 4, png, n);
    free(png);
    put_message(&rest, 4, &image);
    return write_value(e, tag, step, &rest);
}

enum voco_err
voco_events_flush(struct voco_events *e)
{
    if (fflush(e->out))
        return voco_fail_errno(VOCO_EIO, "%s: cannot write", e->path);
    return VOCO_OK;
}

enum voco_err
voco_events_close(struct voco_events *e)
{
    enum voco_err err = VOCO_OK;

    if (!e)
        return VOCO_OK;
    if (fclose(e->out))
        err = voco_fail_errno(VOCO_EIO, "%s: cannot write", e->path);
    free(e->path);
    free(e);
    return err;
}
