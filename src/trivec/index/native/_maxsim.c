/* MaxSim of one query with many passages, computed from the passages' codes.
 *
 * Tokens of successive passages fill blocks of BLOCK vectors, which are decoded once and multiplied with all query
 * vectors. Query vectors stand side by side, PANEL of them, so that a token's value is multiplied with a whole
 * register of them and the maximum over tokens needs no look across a register. Dimensions go in chunks of CHUNK:
 * what a tile reads stays in the first-level cache, and the distance between two tokens is a constant.
 *
 * Nothing is read outside the buffers given: rows, offsets and lists are checked before the first token is decoded.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__)
#error "the kernel needs GCC or Clang; without it trivec uses numpy"
#endif

#define BLOCK 48
#define PANEL 16
#define CHUNK 128
#define AHEAD 4 /* tokens between asking for a centroid and adding it */

struct job {
    int bits;             /* of a dimension: 32 and 16 are floats, 8 whole numbers, 4 and 2 beyond a centroid */
    size_t width;         /* dimensions, with those that only fill the last byte of a code */
    size_t code_bytes;    /* of one token */
    size_t tokens;        /* stored */
    size_t passages;      /* stored */
    size_t count;         /* passages to score */
    size_t queries;       /* query vectors */
    size_t panels;        /* of PANEL query vectors */
    size_t lists_count;   /* centroids */
    const uint8_t *codes;
    const int8_t *table;  /* 16 levels */
    const float *scales;
    const uint16_t *lists;
    const uint16_t *factors;
    const uint16_t *centroids;
    const int64_t *offsets;
    const int64_t *rows;
    const float *query;
    float *scores;
};

struct work {
    float *tokens;        /* [chunk][BLOCK][CHUNK] */
    float *query;         /* [panel][width][PANEL] */
    float *similarities;  /* [panel][BLOCK][PANEL] */
    float *best;          /* [panel][PANEL] */
    float *scales;        /* [BLOCK]: of the decoded tokens */
    float *row;           /* one decoded token */
    int8_t *levels;       /* of one token */
    size_t *passages;     /* [BLOCK]: whose token this is, as a place in `rows` */
    void *memory;
};

struct kernel {
    void (*decode)(const struct job *, const struct work *, size_t token, float *to);
    void (*multiply)(const struct job *, const struct work *, size_t filled);
    void (*keep_best)(const struct job *, const struct work *, size_t first, size_t last);
};

static inline float half_to_float(uint16_t half)
{
    float value;
#if defined(__aarch64__)
    __fp16 native;
    memcpy(&native, &half, sizeof native);
    value = native;
#else
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f; /* moves the exponent, and makes subnormals normal */
    memcpy(&bits, &value, sizeof bits);
    bits |= sign | (value >= 65536 ? 0x7f800000u : 0);
    memcpy(&value, &bits, sizeof value);
#endif
    return value;
}

#define NAME(x) x##_portable
#define TARGET
#define LANES 4
#if defined(__x86_64__)
#define TILE 2
#else
#define TILE 4
#endif
#define WITH_F16C 0
#define WITH_SHUFFLE 0
#include "_maxsim_kernel.h"
static const struct kernel portable = {decode_portable, multiply_portable, keep_best_portable};
#undef NAME
#undef TARGET
#undef LANES
#undef TILE
#undef WITH_F16C
#undef WITH_SHUFFLE

#if defined(__x86_64__)
#include <immintrin.h>
#define WITH_F16C 1
#define WITH_SHUFFLE 1

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define TILE 6
#include "_maxsim_kernel.h"
static const struct kernel avx2 = {decode_avx2, multiply_avx2, keep_best_avx2};
#undef NAME
#undef TARGET
#undef LANES
#undef TILE

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
#define LANES 16
#define TILE 16
#include "_maxsim_kernel.h"
static const struct kernel avx512 = {decode_avx512, multiply_avx512, keep_best_avx512};
#endif

static const char *const KERNELS[] = {"portable", "avx2", "avx512"};

/* The best kernel that the processor runs, but none better than `most` (a place in KERNELS). */
static int best_kernel(int most)
{
#if defined(__x86_64__)
    const int wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512dq");
    const int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); /* and all of these have F16C */
    if (most >= 2 && wide && fma)
        return 2;
    if (most >= 1 && fma)
        return 1;
#endif
    (void)most;
    return 0;
}

static const struct kernel *kernel_of(int number)
{
#if defined(__x86_64__)
    if (number)
        return number == 2 ? &avx512 : &avx2;
#endif
    (void)number;
    return &portable;
}

/* The mean of the best similarities is the passage's score. */
static void finish_passage(const struct job *job, const struct work *work, size_t passage)
{
    double total = 0;
    for (size_t i = 0; i < job->queries; i++)
        total += work->best[i];
    job->scores[passage] = (float)(total / (double)job->queries);
    for (size_t i = 0; i < job->panels * PANEL; i++)
        work->best[i] = -INFINITY;
}

/* Scores what the block's tokens complete. `next` is the passage of the token that follows, count if none does. */
static void finish_block(const struct job *job, const struct work *work, const struct kernel *kernel, size_t filled,
                         size_t next)
{
    kernel->multiply(job, work, filled);
    for (size_t first = 0, last; first < filled; first = last) {
        const size_t passage = work->passages[first];
        for (last = first + 1; last < filled && work->passages[last] == passage; last++)
            ;
        kernel->keep_best(job, work, first, last);
        if (last < filled || next != passage)
            finish_passage(job, work, passage);
    }
}

static void put_token(const struct job *job, const struct work *work, const struct kernel *kernel, size_t token,
                      size_t slot)
{
    work->scales[slot] = job->factors ? half_to_float(job->factors[token]) : job->scales ? job->scales[token] : 1.0f;
    if (job->width <= CHUNK) {
        kernel->decode(job, work, token, work->tokens + slot * CHUNK);
        return;
    }
    kernel->decode(job, work, token, work->row);
    for (size_t start = 0; start < job->width; start += CHUNK) {
        const size_t width = job->width - start < CHUNK ? job->width - start : CHUNK;
        memcpy(work->tokens + start * BLOCK + slot * CHUNK, work->row + start, width * sizeof(float));
    }
}

static void score_passages(const struct job *job, const struct work *work, const struct kernel *kernel)
{
    size_t filled = 0;
    for (size_t i = 0; i < job->count; i++) {
        const size_t last = (size_t)job->offsets[job->rows[i] + 1];
        job->scores[i] = 0;
        for (size_t token = (size_t)job->offsets[job->rows[i]]; token < last; token++) {
            if (filled == BLOCK) {
                finish_block(job, work, kernel, filled, i);
                filled = 0;
            }
            work->passages[filled] = i;
            put_token(job, work, kernel, token, filled++);
        }
    }
    finish_block(job, work, kernel, filled, job->count);
}

/* NULL, or what is wrong with the rows. */
static const char *check_rows(const struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const int64_t row = job->rows[i];
        if (row < 0 || (uint64_t)row >= job->passages)
            return "a row is outside the part";
        const int64_t first = job->offsets[row], last = job->offsets[row + 1];
        if (first < 0 || last < first || (uint64_t)last > job->tokens)
            return "the offsets do not rise from 0 to the number of tokens";
        for (int64_t token = first; job->lists && token < last; token++)
            if (job->lists[token] >= job->lists_count)
                return "a token names a centroid that is not there";
    }
    return NULL;
}

static int make_work(const struct job *job, struct work *work)
{
    const size_t chunks = (job->width + CHUNK - 1) / CHUNK, floats = chunks * BLOCK * CHUNK +
        job->panels * (job->width + BLOCK + 1) * PANEL + BLOCK + job->width;
    work->memory = calloc(floats * sizeof(float) + job->width + 8 + BLOCK * sizeof(size_t) + 64, 1);
    if (!work->memory)
        return 0;
    work->tokens = (float *)(((uintptr_t)work->memory + 63) & ~(uintptr_t)63);
    work->query = work->tokens + chunks * BLOCK * CHUNK;
    work->similarities = work->query + job->panels * job->width * PANEL;
    work->best = work->similarities + job->panels * BLOCK * PANEL;
    work->scales = work->best + job->panels * PANEL;
    work->row = work->scales + BLOCK;
    work->levels = (int8_t *)(work->row + job->width);
    work->passages = (size_t *)(((uintptr_t)(work->levels + job->width) + 7) & ~(uintptr_t)7);
    for (size_t q = 0; q < job->queries; q++)
        for (size_t k = 0; k < job->width; k++)
            work->query[((q / PANEL) * job->width + k) * PANEL + q % PANEL] = job->query[q * job->width + k];
    for (size_t i = 0; i < job->panels * PANEL; i++)
        work->best[i] = -INFINITY;
    return 1;
}

/* NULL, or what is wrong. Runs without the interpreter's lock. */
static const char *run(const struct job *job, int kernel)
{
    struct work work;
    const char *wrong = check_rows(job);
    if (wrong || !job->queries || !job->width) {
        memset(job->scores, 0, job->count * sizeof(float));
        return wrong;
    }
    if (!make_work(job, &work))
        return "there is no memory for it";
    score_passages(job, &work, kernel_of(kernel));
    free(work.memory);
    return NULL;
}

enum { CODES, TABLE, SCALES, LISTS, FACTORS, CENTROIDS, OFFSETS, ROWS, QUERY, SCORES, BUFFERS };

static const size_t ITEM_BYTES[BUFFERS] = {1, 1, 4, 2, 2, 2, 8, 8, 4, 4};

/* NULL, or what is wrong with the sizes of the buffers. */
static const char *fill_job(struct job *job, const Py_buffer *buffers)
{
    size_t items[BUFFERS];
    for (int i = 0; i < BUFFERS; i++) {
        if (buffers[i].len % ITEM_BYTES[i] || (uintptr_t)buffers[i].buf % ITEM_BYTES[i])
            return "a buffer is cut off or not aligned";
        items[i] = (size_t)buffers[i].len / ITEM_BYTES[i];
    }
    if ((job->bits == 32 || job->bits == 16) && (uintptr_t)buffers[CODES].buf % (job->bits / 8))
        return "the codes are not aligned";
    job->code_bytes = (job->width * (size_t)job->bits + 7) / 8;
    job->width = job->bits < 8 ? job->code_bytes * (8 / (size_t)job->bits) : job->width;
    if (items[CODES] % job->code_bytes || items[QUERY] % job->width || items[CENTROIDS] % job->width || !items[OFFSETS])
        return "codes, query or centroids do not have that width";
    job->tokens = items[CODES] / job->code_bytes;
    job->passages = items[OFFSETS] - 1;
    job->count = items[ROWS];
    job->queries = items[QUERY] / job->width;
    job->panels = (job->queries + PANEL - 1) / PANEL;
    job->lists_count = items[CENTROIDS] / job->width;
    const int scaled = job->bits <= 8, listed = job->bits < 8;
    if (items[SCORES] != job->count || items[TABLE] != 16 || items[SCALES] != (scaled ? job->tokens : 0) ||
        items[LISTS] != (listed ? job->tokens : 0) || items[FACTORS] != items[LISTS])
        return "scores, levels, scales, lists or factors have another length than the rows and tokens ask for";
    job->codes = buffers[CODES].buf;
    job->table = buffers[TABLE].buf;
    job->scales = scaled ? buffers[SCALES].buf : NULL;
    job->lists = listed ? buffers[LISTS].buf : NULL;
    job->factors = listed ? buffers[FACTORS].buf : NULL;
    job->centroids = listed ? buffers[CENTROIDS].buf : NULL;
    job->offsets = buffers[OFFSETS].buf;
    job->rows = buffers[ROWS].buf;
    job->query = buffers[QUERY].buf;
    job->scores = buffers[SCORES].buf;
    return NULL;
}

static PyObject *maxsim(PyObject *self, PyObject *arguments)
{
    Py_buffer buffers[BUFFERS];
    struct job job = {0};
    Py_ssize_t width;
    int most = 2;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "iny*y*y*y*y*y*y*y*y*w*|i", &job.bits, &width, &buffers[CODES], &buffers[TABLE],
                          &buffers[SCALES], &buffers[LISTS], &buffers[FACTORS], &buffers[CENTROIDS], &buffers[OFFSETS],
                          &buffers[ROWS], &buffers[QUERY], &buffers[SCORES], &most))
        return NULL;
    const int known = job.bits == 32 || job.bits == 16 || job.bits == 8 || job.bits == 4 || job.bits == 2;
    const char *wrong = known && width > 0 && width < 1 << 24 ? NULL : "there are no such bits or width";
    if (!wrong) {
        job.width = (size_t)width;
        wrong = fill_job(&job, buffers);
    }
    if (!wrong) {
        const int kernel = best_kernel(most);
        Py_BEGIN_ALLOW_THREADS
        wrong = run(&job, kernel);
        Py_END_ALLOW_THREADS
    }
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&buffers[i]);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *kernel(PyObject *self, PyObject *arguments)
{
    int most = 2;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "|i", &most))
        return NULL;
    return PyUnicode_FromString(KERNELS[best_kernel(most)]);
}

static PyMethodDef METHODS[] = {
    {"maxsim", maxsim, METH_VARARGS,
     "maxsim(bits, width, codes, levels, scales, lists, factors, centroids, offsets, rows, query, scores, most=2)\n\n"
     "Write the MaxSim of passages with a query into scores: see trivec.index.native.token_maxsim."},
    {"kernel", kernel, METH_VARARGS,
     "kernel(most=2)\n\nName of the instruction set used, when none better than number `most` may be."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_maxsim", "MaxSim computed from codes.", -1, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__maxsim(void)
{
    return PyModule_Create(&MODULE);
}
