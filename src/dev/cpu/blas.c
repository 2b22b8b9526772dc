/*
 * The BLAS, loaded by the first context that computes on the CPU, with one thread.
 *
 * OpenBLAS starts a thread per core when it is loaded, before main and before it can be
 * told not to.  voco never uses them: its own threads call the BLAS, one call each.  Where
 * addresses are limited (ulimit -v) these threads wait for their buffers for ever, and the
 * exit waits for them.  So the program is not linked with the BLAS but opens the file that
 * configure found, VOCO_BLAS_SONAME, after it has asked for one thread.  A static BLAS,
 * or one of several files, is linked as usual.
 */
#define _GNU_SOURCE
#include "config.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dev/cpu/cpu.h"
#include "dev/cpu/dnnl_shim.h"

typedef void sgemm_fn(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m,
                      blasint n, blasint k, float alpha, const float *a, blasint lda,
                      const float *b, blasint ldb, float beta, float *c, blasint ldc);

static struct {
    sgemm_fn *sgemm;                    /* NULL: not loaded */
    /* only OpenBLAS has these; of another BLAS they are NULL */
    void (*set_num_threads)(int n);
    int (*get_num_threads)(void);
    char *(*get_config)(void);
    char *(*get_corename)(void);
    void *(*memory_alloc)(int which);
    void (*memory_free)(void *buffer);
    int buffers;                        /* made so far: one per thread */
    char why[256];                      /* it could not be loaded */
} blas;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Before main, while there is no other thread that could read the environment. */
__attribute__((constructor(101))) static void
ask_for_one_thread(void)
{
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
}

#ifdef VOCO_BLAS_SONAME

static void
load(void)
{
    void *library = dlopen(VOCO_BLAS_SONAME, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        snprintf(blas.why, sizeof blas.why, "%s", dlerror());
        return;
    }
    /* dlsym returns void *: POSIX lets it be stored as a pointer to a function */
    *(void **)&blas.set_num_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&blas.get_num_threads = dlsym(library, "openblas_get_num_threads");
    *(void **)&blas.get_config = dlsym(library, "openblas_get_config");
    *(void **)&blas.get_corename = dlsym(library, "openblas_get_corename");
    *(void **)&blas.memory_alloc = dlsym(library, "blas_memory_alloc");
    *(void **)&blas.memory_free = dlsym(library, "blas_memory_free");
    *(void **)&blas.sgemm = dlsym(library, "cblas_sgemm");
    if (!blas.sgemm)
        snprintf(blas.why, sizeof blas.why, "%s has no cblas_sgemm", VOCO_BLAS_SONAME);
}

#else

extern void openblas_set_num_threads(int n) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));
extern void *blas_memory_alloc(int which) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

static void
load(void)
{
    blas.set_num_threads = openblas_set_num_threads;
    blas.get_num_threads = openblas_get_num_threads;
    blas.get_config = openblas_get_config;
    blas.get_corename = openblas_get_corename;
    blas.memory_alloc = blas_memory_alloc;
    blas.memory_free = blas_memory_free;
    blas.sgemm = cblas_sgemm;
}

#endif

static void
load_once(void)
{
    load();
    if (blas.set_num_threads)
        blas.set_num_threads(1);
}

enum { BUFFER_MIB = 128 };      /* OpenBLAS 0.3.21's, of which only what is used costs memory */

/* Is there room for these buffers, and as much as one more?  oneDNN makes its code where
 * little is left and does not look whether it got the room. */
static bool
is_room_for(int buffers)
{
    const size_t bytes = ((size_t)buffers + 1) * BUFFER_MIB << 20;
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                   0);

    return p != MAP_FAILED && munmap(p, bytes) == 0;
}

/*
 * OpenBLAS makes a buffer for each thread that calls it, keeps it, and tries for ever when
 * there is no room for one.  So they are made here, where an error can be returned.
 */
static enum voco_err
make_buffers(int threads)
{
    const int more = threads - blas.buffers;
    void **buffer;

    if (more <= 0 || !blas.memory_alloc || !blas.memory_free)
        return VOCO_OK;
    if (!is_room_for(more) || !(buffer = calloc((size_t)threads, sizeof *buffer)))
        return voco_fail(VOCO_EMEMORY, "no room for the BLAS's buffers and oneDNN's code, %d MiB "
                         "of addresses for %d threads: raise ulimit -v or use fewer threads",
                         (more + 1) * BUFFER_MIB, threads);
    for (int i = 0; i < threads; i++)
        buffer[i] = blas.memory_alloc(0);
    for (int i = 0; i < threads; i++)
        blas.memory_free(buffer[i]);
    free(buffer);
    blas.buffers = threads;
    return VOCO_OK;
}

enum voco_err
voco_cpu_blas_open(int threads)
{
    enum voco_err err;

    pthread_once(&once, load_once);
    if (!blas.sgemm)
        return voco_fail(VOCO_EMEMORY, "cannot load the BLAS: %s (is there an ulimit -v, or "
                         "was the library moved?)", blas.why);
    pthread_mutex_lock(&lock);
    err = make_buffers(threads);
    pthread_mutex_unlock(&lock);
    return err;
}

void
voco_cpu_blas_describe(struct voco_cpu_info *ret)
{
    pthread_once(&once, load_once);
    ret->blas_threads = blas.get_num_threads ? blas.get_num_threads() : 0;
    if (blas.get_config && blas.get_corename)
        snprintf(ret->blas, sizeof ret->blas, "%.56s, kernels for %.24s", blas.get_config(),
                 blas.get_corename());
    else if (blas.sgemm)
        snprintf(ret->blas, sizeof ret->blas, "a BLAS that is not OpenBLAS");
    else
        snprintf(ret->blas, sizeof ret->blas, "%.95s", blas.why);
}

/* Does the BLAS use AVX-512 where the machine has it?  Debian's 0.3.21 runs Haswell
 * kernels on CPUs newer than itself; there oneDNN's matmul is twice as wide. */
bool
voco_cpu_blas_is_narrow(void)
{
    static const char *const wide[] = { "SkylakeX", "Cooperlake", "SapphireRapids" };
    const char *name = "";

    if (!voco_dnnl_has_avx512())
        return false;
    pthread_once(&once, load_once);
    if (blas.get_corename)
        name = blas.get_corename();
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (strcmp(name, wide[i]) == 0)
            return false;
    return true;
}

void
voco_cpu_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a,
               int64_t lda, const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
    blas.sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
               (blasint)m, (blasint)n, (blasint)k, 1.0f, a, (blasint)lda, b, (blasint)ldb,
               add ? 1.0f : 0.0f, c, (blasint)ldc);
}
