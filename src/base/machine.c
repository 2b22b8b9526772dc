/* The machine as Linux tells it: /proc, /sys, cgroups of version 1 and 2. */
#define _GNU_SOURCE
#include "base/machine.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/file.h"

/* The first line of a small file without its newline; false when there is none. */
static bool
first_line(const char *path, char *line, size_t size)
{
    FILE *in = fopen(path, "re");
    bool got;

    if (!in)
        return false;
    got = fgets(line, (int)size, in) != NULL;
    fclose(in);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

/* The text behind the colon in the first line of path that starts with key. */
static bool
keyed_line(const char *path, const char *key, char *value, size_t size)
{
    FILE *in = fopen(path, "re");
    char line[512];
    bool got = false;

    if (!in)
        return false;
    while (!got && fgets(line, sizeof line, in)) {
        const char *colon = strchr(line, ':');

        if (colon && strncmp(line, key, strlen(key)) == 0) {
            colon += 1 + strspn(colon + 1, " \t");
            snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
            got = true;
        }
    }
    fclose(in);
    return got;
}

/* ---- CPUs ---- */

static void
read_names(const char *root, struct voco_machine *m)
{
    char *cpuinfo = voco_format("%s/proc/cpuinfo", root), family[16], model[16];

    keyed_line(cpuinfo, "model name", m->cpu, sizeof m->cpu);
    if (keyed_line(cpuinfo, "cpu family", family, sizeof family)
        && keyed_line(cpuinfo, "model\t", model, sizeof model))
        snprintf(m->cpu_model, sizeof m->cpu_model, "family %s, model %s", family, model);
    free(cpuinfo);
}

/* Counts a core once: at the first of its hardware threads that is in the mask. */
static void
count_cpus(const char *root, struct voco_machine *m)
{
    enum { CPUS_MAX = 8192 };
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    const size_t bytes = CPU_ALLOC_SIZE(CPUS_MAX);

    m->cpus = m->cores = 1;
    if (!set)
        return;
    if (sched_getaffinity(0, bytes, set) == 0) {
        m->cpus = CPU_COUNT_S(bytes, set);
        m->cores = 0;
        for (int i = 0; i < CPUS_MAX; i++) {
            char *path, siblings[256];
            bool first = true;

            if (!CPU_ISSET_S((size_t)i, bytes, set))
                continue;
            path = voco_format("%s/sys/devices/system/cpu/cpu%d/topology/"
                               "thread_siblings_list", root, i);
            if (first_line(path, siblings, sizeof siblings)) {
                const int lowest = atoi(siblings);      /* "3,67" or "6-7" */

                first = lowest >= i || lowest < 0 ||
                        !CPU_ISSET_S((size_t)lowest, bytes, set);
            }
            free(path);
            m->cores += first;
        }
    }
    CPU_FREE(set);
}

/* ---- cgroups ---- */

/*
 * The cgroup folder of a controller, as it is mounted: "" is version 2.  /proc/self/cgroup
 * has lines "ID:CONTROLLERS:PATH".  Inside a container the path may be the host's and not
 * exist here; the limits are then in the mount's root, which the walk upwards reaches.
 */
static bool
cgroup_path(const char *root, const char *controller, char *path, size_t size)
{
    char *name = voco_format("%s/proc/self/cgroup", root);
    FILE *in = fopen(name, "re");
    char line[512];
    bool got = false;

    free(name);
    if (!in)
        return false;
    while (!got && fgets(line, sizeof line, in)) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        list++;
        if (*controller == '\0') {
            got = *list == '\0';
        } else {
            char *save = NULL;

            for (char *c = strtok_r(list, ",", &save); c && !got;
                 c = strtok_r(NULL, ",", &save))
                got = strcmp(c, controller) == 0;
        }
        if (got)
            snprintf(path, size, "%s", group);
    }
    fclose(in);
    return got;
}

/* Calls fn for the cgroup's folder and each above it, up to the mount's root. */
static void
walk_up(const char *root, const char *mount, const char *group,
        void (*fn)(const char *folder, struct voco_machine *m), struct voco_machine *m)
{
    char *folder = voco_format("%s/sys/fs/cgroup%s%s", root, mount, group);
    const size_t top = strlen(root) + strlen("/sys/fs/cgroup") + strlen(mount);

    for (;;) {
        char *slash;

        while (strlen(folder) > top && folder[strlen(folder) - 1] == '/')
            folder[strlen(folder) - 1] = '\0';
        fn(folder, m);
        slash = strrchr(folder, '/');
        if (strlen(folder) <= top || !slash)
            break;
        *slash = '\0';
    }
    free(folder);
}

static bool
file_number(const char *folder, const char *name, double *ret)
{
    char *path = voco_format("%s/%s", folder, name);
    char line[64], *end = line;
    const bool got = first_line(path, line, sizeof line);

    free(path);
    if (got)
        *ret = strtod(line, &end);
    return got && end != line;
}

/* Page cache that the kernel gives back when asked: counted as used by the cgroup. */
static double
reclaimable(const char *folder, const char *key)
{
    char *path = voco_format("%s/memory.stat", folder);
    FILE *in = fopen(path, "re");
    char name[64];
    double bytes = 0, value;

    free(path);
    if (!in)
        return 0;
    while (fscanf(in, "%63s %lf", name, &value) == 2)
        if (strcmp(name, key) == 0)
            bytes = value;
    fclose(in);
    return bytes;
}

static void
lower_quota(struct voco_machine *m, double quota)
{
    if (quota > 0 && (m->quota == 0 || quota < m->quota))
        m->quota = quota;
}

/* used belongs to the group with the lowest limit. */
static void
lower_memory(struct voco_machine *m, double limit, double used)
{
    /* version 1 writes "no limit" as the largest page-aligned number */
    if (limit > 0 && limit < 0x1p60 &&
        (m->cgroup_limit == 0 || limit < (double)m->cgroup_limit)) {
        m->cgroup_limit = (uint64_t)limit;
        m->cgroup_used = used > 0 && used < 0x1p60 ? (uint64_t)used : 0;
    }
}

static void
read_v2(const char *folder, struct voco_machine *m)
{
    char *path = voco_format("%s/cpu.max", folder);
    char line[64];
    double quota, period, limit, used = 0;

    if (first_line(path, line, sizeof line) &&
        sscanf(line, "%lf %lf", &quota, &period) == 2 && period > 0)
        lower_quota(m, quota / period);         /* "max 100000" does not scan */
    free(path);
    if (file_number(folder, "memory.max", &limit)) {
        file_number(folder, "memory.current", &used);
        lower_memory(m, limit, used - reclaimable(folder, "inactive_file"));
    }
}

static void
read_v1_cpu(const char *folder, struct voco_machine *m)
{
    double quota, period;

    if (file_number(folder, "cpu.cfs_quota_us", &quota) &&
        file_number(folder, "cpu.cfs_period_us", &period) && period > 0)
        lower_quota(m, quota / period);
}

static void
read_v1_memory(const char *folder, struct voco_machine *m)
{
    double limit, used = 0;

    if (file_number(folder, "memory.limit_in_bytes", &limit)) {
        file_number(folder, "memory.usage_in_bytes", &used);
        lower_memory(m, limit, used - reclaimable(folder, "total_inactive_file"));
    }
}

static void
read_cgroups(const char *root, struct voco_machine *m)
{
    char group[512];

    if (cgroup_path(root, "", group, sizeof group))
        walk_up(root, "", group, read_v2, m);
    if (cgroup_path(root, "cpu", group, sizeof group)) {
        walk_up(root, "/cpu", group, read_v1_cpu, m);
        walk_up(root, "/cpu,cpuacct", group, read_v1_cpu, m);
    }
    if (cgroup_path(root, "memory", group, sizeof group))
        walk_up(root, "/memory", group, read_v1_memory, m);
}

/* ---- the rest ---- */

static void
read_memory(const char *root, struct voco_machine *m)
{
    char *path = voco_format("%s/proc/meminfo", root);
    char text[64];
    struct rlimit limit;
    struct sysinfo info;

    if (keyed_line(path, "MemAvailable", text, sizeof text))
        m->available = (uint64_t)strtoull(text, NULL, 10) * 1024;
    else if (sysinfo(&info) == 0)               /* without /proc: caches count as used */
        m->available = (uint64_t)info.freeram * info.mem_unit;
    free(path);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        m->address_limit = (uint64_t)limit.rlim_cur;
    m->memory = m->available;
    if (m->cgroup_limit) {
        const uint64_t left = m->cgroup_limit > m->cgroup_used
                                  ? m->cgroup_limit - m->cgroup_used : 0;

        if (left < m->memory || m->memory == 0)
            m->memory = left;
    }
    if (m->address_limit && (m->address_limit < m->memory || m->memory == 0))
        m->memory = m->address_limit;
}

static void
read_huge_pages(const char *root, struct voco_machine *m)
{
    char *path = voco_format("%s/sys/kernel/mm/transparent_hugepage/enabled", root);
    char line[64];

    if (first_line(path, line, sizeof line)) {
        const char *chosen = strchr(line, '[');     /* "always [madvise] never" */

        if (chosen)
            snprintf(m->huge_pages, sizeof m->huge_pages, "%.*s",
                     (int)strcspn(chosen + 1, "]"), chosen + 1);
    }
    free(path);
}

void
voco_machine_read(const char *root, struct voco_machine *ret)
{
    *ret = (struct voco_machine){ 0 };
    read_names(root, ret);
    count_cpus(root, ret);
    read_cgroups(root, ret);
    read_memory(root, ret);
    read_huge_pages(root, ret);
    ret->threads = ret->cores;
    if (ret->quota > 0 && ret->quota < ret->threads)
        ret->threads = ret->quota < 1 ? 1 : (int)ret->quota;
}

int
voco_default_threads(void)
{
    const char *text = getenv("OMP_NUM_THREADS");
    const int asked = text ? atoi(text) : 0;
    struct voco_machine m;

    if (asked > 0)
        return asked;
    voco_machine_read("", &m);
    return m.threads;
}

uint64_t
voco_addresses_left(void)
{
    struct rlimit limit;
    char line[128];
    uint64_t used = 0;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    if (first_line("/proc/self/statm", line, sizeof line))
        used = (uint64_t)strtoull(line, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

int64_t
voco_page_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);         /* cannot fail with these arguments */
    return usage.ru_minflt;
}
