/*
 * The part of the machine that this process may use: the CPUs of its affinity mask, and
 * the share of them and the memory that its cgroup (a container, a Slurm job) allows.
 */
#ifndef VOCO_BASE_MACHINE_H
#define VOCO_BASE_MACHINE_H

#include <stdint.h>

struct voco_machine {
    char cpu[96];               /* "AMD EPYC 9004 ...", "" when unknown */
    char cpu_model[48];         /* "family 25, model 17", "" when unknown: names are masked */
    int cpus;                   /* hardware threads in the affinity mask */
    int cores;                  /* physical cores behind them */
    double quota;               /* CPUs that the cgroup lets run at once; 0: no limit */
    int threads;                /* to start: cores, but no more than the quota; >= 1 */

    uint64_t memory;            /* bytes that a new process may expect: the least of: */
    uint64_t available;         /* free or reclaimable in this machine */
    uint64_t cgroup_limit;      /* 0: none */
    uint64_t cgroup_used;
    uint64_t address_limit;     /* ulimit -v; 0: none */
    char huge_pages[16];        /* always, madvise, never; "" when unknown */
};

/* Never fails: values that cannot be read are 0 or "".  root is put in front of /proc and
 * /sys: "" but in tests. */
void voco_machine_read(const char *root, struct voco_machine *ret);

/* Bytes of addresses that ulimit -v leaves this process; UINT64_MAX: no limit. */
uint64_t voco_addresses_left(void);

/* Pages that this process has had the kernel make for it so far, without a disk. */
int64_t voco_page_faults(void);

/* OMP_NUM_THREADS where it is set, else the threads of this machine. */
int voco_default_threads(void);

#endif
