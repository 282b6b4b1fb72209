/* MaxSim of queries with many passages, computed from the passages' codes.
 *
 * Tokens of successive passages fill blocks of BLOCK vectors, which are decoded once and multiplied with all query
 * vectors. Query vectors stand side by side, PANEL of them, so that a token's value is multiplied with a whole
 * register of them and the maximum over tokens needs no look across a register. Dimensions go in chunks of CHUNK:
 * what a tile reads stays in the first-level cache, and the distance between two tokens is a constant.
 *
 * Where tokens are whole numbers of 8 bits, the query's values become whole numbers of 16 bits, times a scale for each
 * query vector: the processor adds pairs of such products in one instruction, and the sums are exact. What is lost is
 * half a step of max|q| / 32767 a value of the query, 1e-5 of a score.
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
#define WHOLE_WIDTH 512 /* so many products of 8 with 16 bits add up within 32 bits, whatever the codes */
#define FAR_AHEAD 48 /* tokens between asking for a code and reading it */
#define AHEAD 4 /* tokens between asking for a centroid and adding it */

struct job {
    int whole;            /* whether the query's values become whole numbers as well */
    int bits;             /* of a dimension: 32 and 16 are floats, 8 whole numbers, 4 and 2 beyond a centroid */
    size_t width;         /* dimensions, with those that only fill the last byte of a code */
    size_t code_bytes;    /* of one token */
    size_t tokens;        /* stored */
    size_t passages;      /* stored */
    size_t count;         /* passages to score */
    size_t queries;
    size_t vectors;       /* of all queries */
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
    const float *query;   /* the vectors of one query after the other */
    const int64_t *ends;  /* [queries]: vectors up to the end of each query */
    float *scores;        /* [count][queries] */
};

struct work {
    float *tokens;        /* [chunk][BLOCK][CHUNK] */
    float *query;         /* [panel][width][PANEL] */
    float *similarities;  /* [panel][BLOCK][PANEL] */
    float *best;          /* [panel][PANEL] */
    double *steps;        /* [panel][PANEL]: what the whole numbers of a query vector count */
    int16_t *whole_tokens; /* [chunk][BLOCK][CHUNK], in place of `tokens` */
    int16_t *whole_query; /* [panel][pair of dimensions][PANEL][2], in place of `query` */
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
    void (*multiply_whole)(const struct job *, const struct work *, size_t filled); /* NULL where floats are as fast */
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
#define WITH_PAIRS 0
#include "_maxsim_kernel.h"
static const struct kernel portable = {decode_portable, multiply_portable, keep_best_portable, NULL};
#undef NAME
#undef TARGET
#undef LANES
#undef TILE
#undef WITH_F16C
#undef WITH_SHUFFLE
#undef WITH_PAIRS

#if defined(__x86_64__)
#include <immintrin.h>
#define WITH_F16C 1
#define WITH_SHUFFLE 1
#define WITH_PAIRS 1

typedef __m256i pairs_avx2;
#define TARGET __attribute__((target("avx2,fma,f16c")))
static inline TARGET __m256i add_pairs_avx2(__m256i sum, __m256i query, int32_t pair)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(query, _mm256_set1_epi32(pair)));
}
static inline TARGET __m256 floats_avx2(__m256i sum)
{
    return _mm256_cvtepi32_ps(sum);
}
#undef TARGET

typedef __m512i pairs_avx512;
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
static inline TARGET __m512i add_pairs_avx512(__m512i sum, __m512i query, int32_t pair)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(query, _mm512_set1_epi32(pair)));
}
static inline TARGET __m512 floats_avx512(__m512i sum)
{
    return _mm512_cvtepi32_ps(sum);
}
#undef TARGET

typedef __m512i pairs_avx512vnni;
#define TARGET __attribute__((target("avx512vnni,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
static inline TARGET __m512i add_pairs_avx512vnni(__m512i sum, __m512i query, int32_t pair)
{
    return _mm512_dpwssd_epi32(sum, query, _mm512_set1_epi32(pair));
}
static inline TARGET __m512 floats_avx512vnni(__m512i sum)
{
    return _mm512_cvtepi32_ps(sum);
}
#undef TARGET

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define TILE 6
#include "_maxsim_kernel.h"
static const struct kernel avx2 = {decode_avx2, multiply_avx2, keep_best_avx2, multiply_whole_avx2};
#undef NAME
#undef TARGET
#undef LANES
#undef TILE

#define NAME(x) x##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
#define LANES 16
#define TILE 16
#include "_maxsim_kernel.h"
static const struct kernel avx512 = {decode_avx512, multiply_avx512, keep_best_avx512, multiply_whole_avx512};
#undef NAME
#undef TARGET

#define NAME(x) x##_avx512vnni
#define TARGET __attribute__((target("avx512vnni,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c")))
#include "_maxsim_kernel.h"
static const struct kernel avx512vnni = {decode_avx512vnni, multiply_avx512vnni, keep_best_avx512vnni,
                                         multiply_whole_avx512vnni};
#endif

static const char *const KERNELS[] = {"portable", "avx2", "avx512", "avx512vnni"};

/* The best kernel that the processor runs, but none better than `most` (a place in KERNELS). */
static int best_kernel(int most)
{
#if defined(__x86_64__)
    const int wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512dq");
    const int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); /* and all of these have F16C */
    if (most >= 3 && wide && fma && __builtin_cpu_supports("avx512vnni"))
        return 3;
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
    const struct kernel *const known[] = {&portable, &avx2, &avx512, &avx512vnni};
    return known[number];
#else
    (void)number;
    return &portable;
#endif
}

/* The mean of a query's best similarities is the passage's score. */
static void finish_passage(const struct job *job, const struct work *work, size_t passage)
{
    size_t i = 0;
    for (size_t query = 0; query < job->queries; query++) {
        const size_t first = i, end = (size_t)job->ends[query];
        double total = 0;
        for (; i < end; i++)
            total += work->best[i] * work->steps[i];
        job->scores[passage * job->queries + query] = end > first ? (float)(total / (double)(end - first)) : 0;
    }
    for (size_t i = 0; i < job->panels * PANEL; i++)
        work->best[i] = -INFINITY;
}

/* Scores what the block's tokens complete. `next` is the passage of the token that follows, count if none does. */
static void finish_block(const struct job *job, const struct work *work, const struct kernel *kernel, size_t filled,
                         size_t next)
{
    if (job->whole)
        kernel->multiply_whole(job, work, filled);
    else
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

static void put_whole_token(const struct job *job, const struct work *work, size_t token, size_t slot)
{
    const int8_t *code = (const int8_t *)job->codes + token * job->width;
    work->scales[slot] = job->scales[token];
    for (size_t start = 0; start < job->width; start += CHUNK) {
        const size_t width = job->width - start < CHUNK ? job->width - start : CHUNK;
        int16_t *restrict to = work->whole_tokens + start * BLOCK + slot * CHUNK;
        for (size_t k = 0; k < width; k++)
            to[k] = code[start + k];
    }
}

static void put_token(const struct job *job, const struct work *work, const struct kernel *kernel, size_t token,
                      size_t slot)
{
    if (job->whole) {
        put_whole_token(job, work, token, slot);
        return;
    }
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

/* Asks for a code that is read soon: passages lie anywhere in memory. */
static inline void prefetch_code(const struct job *job, size_t token)
{
    if (token < job->tokens)
        for (size_t byte = 0; byte < job->code_bytes; byte += 64)
            __builtin_prefetch(job->codes + token * job->code_bytes + byte);
}

static void score_passages(const struct job *job, const struct work *work, const struct kernel *kernel)
{
    size_t filled = 0;
    for (size_t i = 0; i < job->count; i++) {
        const size_t last = (size_t)job->offsets[job->rows[i] + 1];
        const size_t next = (size_t)job->offsets[job->rows[i + 1 < job->count ? i + 1 : i]];
        memset(job->scores + i * job->queries, 0, job->queries * sizeof(float));
        for (size_t token = (size_t)job->offsets[job->rows[i]]; token < last; token++) {
            if (filled == BLOCK) {
                finish_block(job, work, kernel, filled, i);
                filled = 0;
            }
            const size_t ahead = token + FAR_AHEAD;
            prefetch_code(job, ahead < last ? ahead : next + (ahead - last));
            work->passages[filled] = i;
            put_token(job, work, kernel, token, filled++);
        }
    }
    finish_block(job, work, kernel, filled, job->count);
}

/* NULL, or what is wrong with the ends of the queries. */
static const char *check_ends(const struct job *job)
{
    int64_t last = 0;
    for (size_t query = 0; query < job->queries; last = job->ends[query++])
        if (job->ends[query] < last)
            return "the ends of the queries do not rise";
    return (uint64_t)last == job->vectors ? NULL : "the last query does not end with the vectors";
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

static void put_query(const struct job *job, const struct work *work)
{
    for (size_t q = 0; q < job->vectors; q++)
        for (size_t k = 0; k < job->width; k++)
            work->query[((q / PANEL) * job->width + k) * PANEL + q % PANEL] = job->query[q * job->width + k];
}

static void put_whole_query(const struct job *job, const struct work *work)
{
    const size_t pairs = (job->width + 1) / 2;
    for (size_t q = 0; q < job->vectors; q++) {
        const float *values = job->query + q * job->width;
        int16_t *to = work->whole_query + ((q / PANEL) * pairs * PANEL + q % PANEL) * 2;
        double most = 0;
        for (size_t k = 0; k < job->width; k++)
            most = fabs(values[k]) > most ? fabs(values[k]) : most;
        work->steps[q] = most / INT16_MAX;
        for (size_t k = 0; k < job->width && most > 0; k++)
            to[k / 2 * PANEL * 2 + k % 2] = (int16_t)lrint(values[k] * (INT16_MAX / most));
    }
}

/* Whether whole numbers can take the place of the query's values. */
static int is_whole(const struct job *job, const struct kernel *kernel)
{
    if (job->bits != 8 || job->width > WHOLE_WIDTH || !kernel->multiply_whole)
        return 0;
    for (size_t i = 0; i < job->vectors * job->width; i++)
        if (!isfinite(job->query[i]))
            return 0;
    return 1;
}

static int make_work(const struct job *job, struct work *work)
{
    const size_t chunks = (job->width + CHUNK - 1) / CHUNK, slots = job->panels * PANEL;
    const size_t floats = chunks * BLOCK * CHUNK + slots * (job->width + 1 + BLOCK + 1 + 2) + BLOCK + job->width;
    work->memory = calloc(floats * sizeof(float) + job->width + 8 + BLOCK * sizeof(size_t) + 64, 1);
    if (!work->memory)
        return 0;
    work->tokens = (float *)(((uintptr_t)work->memory + 63) & ~(uintptr_t)63);
    work->whole_tokens = (int16_t *)work->tokens;
    work->query = work->tokens + chunks * BLOCK * CHUNK;
    work->whole_query = (int16_t *)work->query;
    work->similarities = work->query + slots * (job->width + 1);
    work->best = work->similarities + slots * BLOCK;
    work->steps = (double *)(work->best + slots);
    work->scales = (float *)(work->steps + slots);
    work->row = work->scales + BLOCK;
    work->levels = (int8_t *)(work->row + job->width);
    work->passages = (size_t *)(((uintptr_t)(work->levels + job->width) + 7) & ~(uintptr_t)7);
    for (size_t i = 0; i < slots; i++)
        work->steps[i] = 1;
    if (job->whole)
        put_whole_query(job, work);
    else
        put_query(job, work);
    for (size_t i = 0; i < job->panels * PANEL; i++)
        work->best[i] = -INFINITY;
    return 1;
}

/* NULL, or what is wrong. Runs without the interpreter's lock. */
static const char *run(struct job *job, int number)
{
    const struct kernel *kernel = kernel_of(number);
    struct work work;
    const char *wrong = check_rows(job);
    if (!wrong)
        wrong = check_ends(job);
    if (wrong || !job->vectors || !job->width) {
        memset(job->scores, 0, job->count * job->queries * sizeof(float));
        return wrong;
    }
    job->whole = is_whole(job, kernel);
    if (!make_work(job, &work))
        return "there is no memory for it";
    score_passages(job, &work, kernel);
    free(work.memory);
    return NULL;
}

enum { CODES, TABLE, SCALES, LISTS, FACTORS, CENTROIDS, OFFSETS, ROWS, QUERY, ENDS, SCORES, BUFFERS };

static const size_t ITEM_BYTES[BUFFERS] = {1, 1, 4, 2, 2, 2, 8, 8, 4, 8, 4};

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
    job->queries = items[ENDS];
    job->vectors = items[QUERY] / job->width;
    job->panels = (job->vectors + PANEL - 1) / PANEL;
    job->lists_count = items[CENTROIDS] / job->width;
    const int scaled = job->bits <= 8, listed = job->bits < 8;
    if (items[SCORES] != job->count * job->queries || items[TABLE] != 16 || items[SCALES] != (scaled ? job->tokens : 0) ||
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
    job->ends = buffers[ENDS].buf;
    job->scores = buffers[SCORES].buf;
    return NULL;
}

static PyObject *maxsim(PyObject *self, PyObject *arguments)
{
    Py_buffer buffers[BUFFERS];
    struct job job = {0};
    Py_ssize_t width;
    int most = 3;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "iny*y*y*y*y*y*y*y*y*y*w*|i", &job.bits, &width, &buffers[CODES], &buffers[TABLE],
                          &buffers[SCALES], &buffers[LISTS], &buffers[FACTORS], &buffers[CENTROIDS], &buffers[OFFSETS],
                          &buffers[ROWS], &buffers[QUERY], &buffers[ENDS], &buffers[SCORES], &most))
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
    int most = 3;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "|i", &most))
        return NULL;
    return PyUnicode_FromString(KERNELS[best_kernel(most)]);
}

static PyMethodDef METHODS[] = {
    {"maxsim", maxsim, METH_VARARGS,
     "maxsim(bits, width, codes, levels, scales, lists, factors, centroids, offsets, rows, query, ends, scores, "
     "most=3)\n\n"
     "Write the MaxSim of passages with queries into scores: see trivec.index.native.token_maxsim."},
    {"kernel", kernel, METH_VARARGS,
     "kernel(most=3)\n\nName of the instruction set used, when none better than number `most` may be."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_maxsim", "MaxSim computed from codes.", -1, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__maxsim(void)
{
    return PyModule_Create(&MODULE);
}
