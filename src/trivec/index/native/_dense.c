/* Dot products of one query with rows of a stored matrix, exact or over the signs of the values.

   Every row is computed alone and in one fixed order of additions, whichever rows are asked for, so that a search
   and a later request for the same rows give the same bits. Row numbers and lengths are checked before anything is
   read; the interpreter's lock is released while computing. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86 1
#include <immintrin.h>
#else
#define X86 0
#endif

#if defined(__GNUC__)
#define PREFETCH(place) __builtin_prefetch(place)
#else
#define PREFETCH(place) ((void)(place))
#endif

#define AHEAD 6 /* rows fetched ahead */
#define FAR 64  /* the same for rows of few bytes */

enum { FLOAT32, FLOAT16, INT8, KINDS };
static const size_t ITEM[KINDS] = {4, 2, 1};

/* ---- one row ---- */

typedef float (*Dot)(const float *query, const void *row, size_t width);

/* Of a finite half: moving its exponent and mantissa into a float's place leaves 2^112 to make good. */
static inline float half_value(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fffu) << 13;
    float value;
    memcpy(&value, &bits, 4);
    value *= 5.192296858534828e33f; /* 2^112 */
    return half & 0x8000u ? -value : value;
}

static inline float at_float32(const void *row, size_t i) { return ((const float *)row)[i]; }
static inline float at_float16(const void *row, size_t i) { return half_value(((const uint16_t *)row)[i]); }
static inline float at_int8(const void *row, size_t i) { return ((const int8_t *)row)[i]; }

#define PORTABLE_DOT(KIND)                                                                                        \
    static float dot_##KIND(const float *query, const void *row, size_t width)                                    \
    {                                                                                                             \
        float lanes[16] = {0}, sum = 0;                                                                           \
        size_t i = 0;                                                                                             \
        for (; i + 16 <= width; i += 16)                                                                          \
            for (size_t j = 0; j < 16; j++)                                                                       \
                lanes[j] += query[i + j] * at_##KIND(row, i + j);                                                 \
        for (; i < width; i++)                                                                                    \
            sum += query[i] * at_##KIND(row, i);                                                                  \
        for (size_t j = 0; j < 16; j++)                                                                           \
            sum += lanes[j];                                                                                      \
        return sum;                                                                                               \
    }

PORTABLE_DOT(float32)
PORTABLE_DOT(float16)
PORTABLE_DOT(int8)

#if X86
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx2,fma,f16c")))

AVX2 static inline __m256 eight_float32(const void *row, size_t i) { return _mm256_loadu_ps((const float *)row + i); }
AVX2 static inline __m256 eight_float16(const void *row, size_t i)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)row + i)));
}
AVX2 static inline __m256 eight_int8(const void *row, size_t i)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)((const int8_t *)row + i))));
}
AVX512 static inline __m512 sixteen_float32(const void *row, size_t i)
{
    return _mm512_loadu_ps((const float *)row + i);
}
AVX512 static inline __m512 sixteen_float16(const void *row, size_t i)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)((const uint16_t *)row + i)));
}
AVX512 static inline __m512 sixteen_int8(const void *row, size_t i)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)((const int8_t *)row + i))));
}
AVX2 static inline float sum_eight(__m256 lanes)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}

#define WIDE_DOTS(KIND)                                                                                           \
    AVX2 static float dot_##KIND##_avx2(const float *query, const void *row, size_t width)                        \
    {                                                                                                             \
        __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;                                                      \
        size_t i = 0;                                                                                             \
        for (; i + 32 <= width; i += 32) {                                                                        \
            a = _mm256_fmadd_ps(_mm256_loadu_ps(query + i), eight_##KIND(row, i), a);                             \
            b = _mm256_fmadd_ps(_mm256_loadu_ps(query + i + 8), eight_##KIND(row, i + 8), b);                     \
            c = _mm256_fmadd_ps(_mm256_loadu_ps(query + i + 16), eight_##KIND(row, i + 16), c);                   \
            d = _mm256_fmadd_ps(_mm256_loadu_ps(query + i + 24), eight_##KIND(row, i + 24), d);                   \
        }                                                                                                         \
        float sum = sum_eight(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));                           \
        for (; i < width; i++)                                                                                    \
            sum += query[i] * at_##KIND(row, i);                                                                  \
        return sum;                                                                                               \
    }                                                                                                             \
    AVX512 static float dot_##KIND##_avx512(const float *query, const void *row, size_t width)                    \
    {                                                                                                             \
        __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;                                                      \
        size_t i = 0;                                                                                             \
        for (; i + 64 <= width; i += 64) {                                                                        \
            a = _mm512_fmadd_ps(_mm512_loadu_ps(query + i), sixteen_##KIND(row, i), a);                           \
            b = _mm512_fmadd_ps(_mm512_loadu_ps(query + i + 16), sixteen_##KIND(row, i + 16), b);                 \
            c = _mm512_fmadd_ps(_mm512_loadu_ps(query + i + 32), sixteen_##KIND(row, i + 32), c);                 \
            d = _mm512_fmadd_ps(_mm512_loadu_ps(query + i + 48), sixteen_##KIND(row, i + 48), d);                 \
        }                                                                                                         \
        float sum = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));                \
        for (; i < width; i++)                                                                                    \
            sum += query[i] * at_##KIND(row, i);                                                                  \
        return sum;                                                                                               \
    }

WIDE_DOTS(float32)
WIDE_DOTS(float16)
WIDE_DOTS(int8)
#endif

static Dot dots[KINDS] = {dot_float32, dot_float16, dot_int8};

static void choose_dots(void)
{
#if X86
    static const Dot avx2[KINDS] = {dot_float32_avx2, dot_float16_avx2, dot_int8_avx2};
    static const Dot avx512[KINDS] = {dot_float32_avx512, dot_float16_avx512, dot_int8_avx512};
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        memcpy(dots, __builtin_cpu_supports("avx512f") ? avx512 : avx2, sizeof dots);
#endif
}

/* ---- many rows ---- */

static void dot_rows(int kind, const char *values, const float *scales, const float *query, size_t width,
                     const int64_t *rows, size_t count, float *out)
{
    Dot dot = dots[kind];
    size_t stride = width * ITEM[kind];
    for (size_t i = 0; i < count; i++) {
        size_t row = rows ? (size_t)rows[i] : i;
        if (i + AHEAD < count) { /* the processor's own fetching ahead stops at the end of every page */
            const char *next = values + (rows ? (size_t)rows[i + AHEAD] : i + AHEAD) * stride;
            for (size_t line = 0; line < stride && line < 4096; line += 64)
                PREFETCH(next + line);
        }
        float sum = dot(query, values + row * stride, width);
        out[i] = scales ? sum * scales[row] : sum;
    }
}

/* Sum of the query's levels where the row has a one: the query is cut into bit planes, so that counting bits of
   (row and plane) is all there is to do. One loop, compiled twice. */
#define BIT_SUMS_BODY                                                                                             \
    for (size_t i = 0; i < count; i++) {                                                                          \
        size_t row = rows ? (size_t)rows[i] : i;                                                                  \
        const char *place = bits + row * words * 8;                                                               \
        if (rows && i + AHEAD < count) {                                                                          \
            PREFETCH(bits + (size_t)rows[i + AHEAD] * words * 8);                                                 \
            PREFETCH(factors + rows[i + AHEAD]);                                                                  \
        }                                                                                                         \
        uint64_t ones = 0, level = 0;                                                                             \
        for (size_t w = 0; w < words; w++) {                                                                      \
            uint64_t word, plane;                                                                                 \
            memcpy(&word, place + 8 * w, 8);                                                                      \
            ones += COUNT(word);                                                                                  \
            for (size_t p = 0; p < planes; p++) {                                                                 \
                memcpy(&plane, query + 8 * (w * planes + p), 8);                                                  \
                level += (uint64_t)COUNT(word & plane) << p;                                                      \
            }                                                                                                     \
        }                                                                                                         \
        out[i] = factors[row] * (low * (float)ones + step * (float)level - middle);                               \
    }

#define BIT_SUMS(NAME)                                                                                            \
    void NAME(const char *bits, const float *factors, const char *query, size_t words, size_t planes,      \
                     float low, float step, float middle, const int64_t *rows, size_t count, float *out)

#if defined(__GNUC__)
#define COUNT(word) __builtin_popcountll(word)
#else
static inline int COUNT(uint64_t word)
{
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return (int)((((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
}
#endif

static BIT_SUMS(bit_sums_portable) { BIT_SUMS_BODY }
#if X86
__attribute__((target("popcnt"))) static BIT_SUMS(bit_sums_popcnt)
{
    if (planes == 4) { /* the usual number, unrolled */
        const size_t planes = 4;
        BIT_SUMS_BODY
    } else {
        BIT_SUMS_BODY
    }
}
#endif

#if X86
/* The same for eight words at a time and four planes. `wide` holds, for each eight words, as many of every plane. A
   lane counts at most 64 ones a word, so both sums of a row fit into halves of one number. */
#define WIDE __attribute__((target("avx512f,avx512vpopcntdq")))
WIDE static inline __m512i add_ones(__m512i doubled, __m512i word, const char *plane)
{
    __m512i ones = _mm512_popcnt_epi64(_mm512_and_si512(word, _mm512_loadu_si512(plane)));
    return _mm512_add_epi64(_mm512_add_epi64(doubled, doubled), ones);
}

WIDE static void bit_sums_avx512(const char *bits, const float *factors, const char *wide, size_t words, float low,
                                 float step, float middle, const int64_t *rows, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t row = rows ? (size_t)rows[i] : i;
        const char *place = bits + row * words * 8;
        if (i + FAR < count)
            PREFETCH(bits + (rows ? (size_t)rows[i + FAR] : i + FAR) * words * 8);
        __m512i both = _mm512_setzero_si512();
        for (size_t w = 0; w < words; w += 8) {
            const char *planes = wide + 32 * w;
            __mmask8 there = words - w < 8 ? (__mmask8)((1u << (words - w)) - 1) : 0xff;
            __m512i word = _mm512_maskz_loadu_epi64(there, place + 8 * w), level = _mm512_setzero_si512();
            for (int p = 3; p >= 0; p--)
                level = add_ones(level, word, planes + 64 * p);
            both = _mm512_add_epi64(both, _mm512_popcnt_epi64(word));
            both = _mm512_add_epi64(both, _mm512_slli_epi64(level, 32));
        }
        uint64_t sums = (uint64_t)_mm512_reduce_add_epi64(both);
        out[i] = factors[row] * (low * (float)(int32_t)sums + step * (float)(int32_t)(sums >> 32) - middle);
    }
}

/* Four planes as `bit_sums_avx512` wants them, or NULL without memory for them. */
static char *widen(const char *query, size_t words)
{
    char *wide = calloc((words + 7) / 8 * 8 * 4, 8);
    for (size_t w = 0; wide && w < words; w++)
        for (size_t p = 0; p < 4; p++)
            memcpy(wide + 8 * (w / 8 * 32 + 8 * p + w % 8), query + 8 * (w * 4 + p), 8);
    return wide;
}
#endif

/* By the best instructions that there are. Sums stay below 2^32: the caller sees to the number of words. */
static BIT_SUMS(bit_sums)
{
#if X86
    char *wide = NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq") && planes == 4)
        wide = widen(query, words);
    if (wide) {
        bit_sums_avx512(bits, factors, wide, words, low, step, middle, rows, count, out);
        free(wide);
    } else if (__builtin_cpu_supports("popcnt"))
        bit_sums_popcnt(bits, factors, query, words, planes, low, step, middle, rows, count, out);
    else
#endif
        bit_sums_portable(bits, factors, query, words, planes, low, step, middle, rows, count, out);
}

/* ---- the rows whose estimates are best ---- */

#define BINS 1024
#define SAMPLED 16

/* A number that about as many estimates reach as wanted, some more as a rule, by the look of every 16th. */
static float likely_threshold(const float *estimates, size_t count, size_t wanted)
{
    float least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < count; i += SAMPLED) {
        least = estimates[i] < least ? estimates[i] : least;
        most = estimates[i] > most ? estimates[i] : most;
    }
    if (!(most > least))
        return -INFINITY;
    const float scale = (BINS - 1) / (most - least);
    uint32_t held[BINS] = {0};
    for (size_t i = 0; i < count; i += SAMPLED) {
        const float place = (estimates[i] - least) * scale;
        held[place > 0 ? (place < BINS - 1 ? (int)place : BINS - 1) : 0]++;
    }
    size_t bin = BINS, above = 0, enough = wanted / SAMPLED;
    enough += enough / 16 + 8;
    while (bin > 0 && above < enough)
        above += held[--bin];
    return bin > 0 ? least + (float)bin / scale : -INFINITY;
}

/* Rows of at least the best `wanted` estimates, ascending, and how many. If the look at some was misleading: all rows. */
static size_t best_estimates(const float *estimates, const int64_t *rows, size_t count, size_t wanted, int64_t *out)
{
    const float threshold = likely_threshold(estimates, count, wanted);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        out[found] = rows ? rows[i] : (int64_t)i;
        found += estimates[i] >= threshold;
    }
    if (found >= wanted || found == count)
        return found;
    for (size_t i = 0; i < count; i++)
        out[i] = rows ? rows[i] : (int64_t)i;
    return count;
}

/* ---- Python ---- */

static int rows_fit(const Py_buffer *rows, const Py_buffer *out, size_t total)
{
    size_t count = (size_t)out->len / 4;
    if (!rows->buf)
        return count <= total;
    if ((size_t)rows->len != 8 * count)
        return 0;
    const int64_t *row = rows->buf;
    for (size_t i = 0; i < count; i++)
        if (row[i] < 0 || (uint64_t)row[i] >= total)
            return 0;
    return 1;
}

static PyObject *py_dot_rows(PyObject *self, PyObject *args)
{
    int kind;
    Py_buffer values, scales, query, rows, out;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*z*y*z*w*", &kind, &values, &scales, &query, &rows, &out))
        return NULL;
    size_t width = (size_t)query.len / 4, total = 0;
    int fits = kind >= 0 && kind < KINDS && width > 0;
    if (fits) {
        total = (size_t)values.len / (width * ITEM[kind]);
        fits = (!scales.buf || (size_t)scales.len == 4 * total) && rows_fit(&rows, &out, total);
    }
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        dot_rows(kind, values.buf, scales.buf, query.buf, width, rows.buf, (size_t)out.len / 4, out.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    } else {
        PyErr_SetString(PyExc_ValueError, "dot_rows: the arrays' lengths or the row numbers do not fit together");
    }
    PyBuffer_Release(&values);
    if (scales.obj)
        PyBuffer_Release(&scales);
    PyBuffer_Release(&query);
    if (rows.obj)
        PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *py_bit_sums(PyObject *self, PyObject *args)
{
    int planes;
    float low, step, middle;
    Py_buffer bits, factors, query, rows, out;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*ifffz*w*", &bits, &factors, &query, &planes, &low, &step, &middle, &rows, &out))
        return NULL;
    size_t total = (size_t)factors.len / 4;
    size_t words = planes > 0 ? (size_t)query.len / (8 * (size_t)planes) : 0;
    if (words > 0 && words <= 1 << 20 && planes <= 32 && (size_t)bits.len == total * words * 8 && rows_fit(&rows, &out, total)) {
        Py_BEGIN_ALLOW_THREADS
        bit_sums(bits.buf, factors.buf, query.buf, words, (size_t)planes, low, step, middle, rows.buf,
                 (size_t)out.len / 4, out.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    } else {
        PyErr_SetString(PyExc_ValueError, "bit_sums: the arrays' lengths or the row numbers do not fit together");
    }
    PyBuffer_Release(&bits);
    PyBuffer_Release(&factors);
    PyBuffer_Release(&query);
    if (rows.obj)
        PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *py_likely(PyObject *self, PyObject *args)
{
    int planes;
    float low, step, middle, share;
    Py_ssize_t wanted;
    Py_buffer bits, factors, offsets, query, rows, out;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*iffffnz*w*", &bits, &factors, &offsets, &query, &planes, &low, &step, &middle,
                          &share, &wanted, &rows, &out))
        return NULL;
    size_t total = (size_t)factors.len / 4, count = (size_t)out.len / 8, found = 0;
    size_t words = planes > 0 ? (size_t)query.len / (8 * (size_t)planes) : 0;
    const int64_t *row = rows.buf;
    int fits = words > 0 && words <= 1 << 20 && planes <= 32 && (size_t)bits.len == total * words * 8 &&
               offsets.len == factors.len && wanted > 0 && (rows.buf ? (size_t)rows.len == 8 * count : count == total);
    for (size_t i = 0; fits && row && i < count; i++)
        fits = row[i] >= 0 && (uint64_t)row[i] < total;
    float *estimates = fits ? malloc(count * sizeof *estimates + 1) : NULL;
    if (estimates) {
        const float *offset = offsets.buf;
        Py_BEGIN_ALLOW_THREADS
        bit_sums(bits.buf, factors.buf, query.buf, words, (size_t)planes, low, step, middle, row, count, estimates);
        for (size_t i = 0; i < count; i++)
            estimates[i] += share * offset[row ? (size_t)row[i] : i];
        found = best_estimates(estimates, row, count, (size_t)wanted, out.buf);
        Py_END_ALLOW_THREADS
        free(estimates);
        result = PyLong_FromSize_t(found);
    } else if (fits)
        PyErr_NoMemory();
    else
        PyErr_SetString(PyExc_ValueError, "likely: the arrays' lengths or the row numbers do not fit together");
    PyBuffer_Release(&bits);
    PyBuffer_Release(&factors);
    PyBuffer_Release(&offsets);
    PyBuffer_Release(&query);
    if (rows.obj)
        PyBuffer_Release(&rows);
    PyBuffer_Release(&out);
    return result;
}

static PyMethodDef methods[] = {
    {"dot_rows", py_dot_rows, METH_VARARGS,
     "dot_rows(kind, values, scales | None, query, rows | None, out): products of the query (float32) with rows of a "
     "matrix of float32 (kind 0), float16 (1) or int8 (2), times a scale a row."},
    {"bit_sums", py_bit_sums, METH_VARARGS,
     "bit_sums(bits, factors, query, planes, low, step, middle, rows | None, out): factor times (low * ones + step * "
     "level - middle), where level adds the query's bit planes at the row's ones."},
    {"likely", py_likely, METH_VARARGS,
     "likely(bits, factors, offsets, query, planes, low, step, middle, share, wanted, rows | None, out) -> found: rows "
     "among which the best `wanted` are by bit_sums plus share times offset, ascending."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "trivec.index.native._dense", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__dense(void)
{
    choose_dots();
    return PyModule_Create(&module);
}
