/* Searching and scoring rows of non-negative term weights: see trivec.index.native.impacts_kernels.

   Results must not depend on the processor: no product is fused with an addition in this file, so that every
   number is the one that numpy's float32 gives for the same operations in the same order. */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off")
#elif defined(__clang__)
#pragma clang fp contract(off)
#endif

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "_impacts_best.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__GNUC__)
#define PREFETCH(place) __builtin_prefetch(place)
#else
#define PREFETCH(place) ((void)(place))
#endif

/* Looking up one row costs about as much as adding this many postings. */
#define LOOKUP_COST 64

/* Lists are set aside when together they give less than this part of the threshold. With more, too many rows would
   stay candidates. */
#define SET_ASIDE 0.8

typedef struct {
    int saturated;     /* BM25: a value counts as value / (value + norm); otherwise as itself */
    float base, slope; /* norm = base + slope * length */
} Formula;

static inline float norm_of(const Formula *formula, float length)
{
    return formula->base + formula->slope * length;
}

/* ---- posting lists ---- */

typedef struct {
    const int32_t *rows;     /* of this term, ascending */
    const float *values;
    int64_t length;
    const int32_t *starts;   /* where each block of rows begins in the list; NULL for a short list */
    const float *maxima;     /* per block; NULL for a short list */
    float maximum, weight;
    int64_t next;            /* short lists: first posting not yet passed */
    int64_t low, high;       /* postings in the window at hand */
    double bound;            /* no row of the window gets more from this term */
} List;

typedef struct {
    const int32_t *rows;
    const float *values;
    const int64_t *offsets;
    const float *maxima;
    const int32_t *long_places;
    const int32_t *block_starts;
    const float *block_maxima, *block_shortest;
    const float *lengths;
    int64_t postings, terms, longs, blocks, count;
    int64_t block;
} Part;

/* The first place in list[low..high) whose row is at least `row`, near `low` most of the time. */
static inline int64_t seek(const int32_t *list, int64_t low, int64_t high, int64_t row)
{
    int64_t step = 1, reach = low;
    while (reach < high && list[reach] < row) {
        low = reach + 1;
        reach += step;
        step *= 2;
    }
    if (reach < high)
        high = reach;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (list[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int open_list(const Part *part, int64_t place, float weight, List *list)
{
    memset(list, 0, sizeof *list);
    if (place < 0 || place >= part->terms)
        return -1;
    int64_t start = part->offsets[place], stop = part->offsets[place + 1];
    if (start < 0 || stop < start || stop > part->postings)
        return -1;
    list->rows = part->rows + start;
    list->values = part->values + start;
    list->length = stop - start;
    list->maximum = part->maxima[place];
    list->weight = weight;
    int64_t low = seek(part->long_places, 0, part->longs, place);
    if (low < part->longs && part->long_places[low] == place) {
        list->starts = part->block_starts + low * (part->blocks + 1);
        list->maxima = part->block_maxima + low * part->blocks;
    }
    return 0;
}

static inline int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Point a list at one block of rows. */
static void enter(List *list, const Part *part, const Formula *formula, int64_t block, int64_t stop)
{
    float maximum = list->maximum;
    if (list->starts) {
        list->low = within(list->starts[block], 0, list->length);
        list->high = within(list->starts[block + 1], list->low, list->length);
        maximum = list->maxima[block];
    } else {
        list->low = list->next;
        list->high = list->next = seek(list->rows, list->low, list->length, stop);
    }
    if (list->low == list->high || list->weight <= 0) {
        list->bound = 0;
        return;
    }
    double most = maximum;
    if (formula->saturated)
        most = maximum / (maximum + (double)norm_of(formula, part->block_shortest[block]));
    list->bound = list->weight * most;
}

/* ---- one search ---- */

typedef struct {
    const Part *part;
    Formula formula;
    List *lists;          /* in the order in which they are added up */
    double *rest;         /* rest[j]: no row of the window gets more from lists j and later */
    size_t n;
    const char *allowed;  /* NULL: all rows */
    double slack;         /* how far rounding can carry a sum past its bound */
    float *all;           /* where the score of every row goes; NULL if nobody wants them */
    float *sums, *norms;  /* of one block */
    uint32_t *candidates;
    Best best;
} Search;

static void add_postings(Search *search, const List *list, uint32_t base, uint32_t span)
{
    const int32_t *rows = list->rows;
    const float *values = list->values, *norms = search->norms, weight = list->weight;
    float *sums = search->sums;
    const int64_t ahead = list->high + (list->high - list->low) < list->length ? list->high - list->low : 0;
    for (int64_t i = 0; i < ahead; i += 16) { /* about what the next block takes: with a dozen lists at a time, the */
        PREFETCH(rows + list->high + i);      /* processor does not see by itself that each is read on */
        PREFETCH(values + list->high + i);
    }
    if (search->formula.saturated)
        for (int64_t i = list->low; i < list->high; i++) {
            uint32_t at = (uint32_t)rows[i] - base;
            if (at < span)
                sums[at] += weight * (values[i] / (values[i] + norms[at]));
        }
    else
        for (int64_t i = list->low; i < list->high; i++) {
            uint32_t at = (uint32_t)rows[i] - base;
            if (at < span)
                sums[at] += weight * values[i];
        }
}

/* Add a list to the first n candidates alone. */
static void look_up(Search *search, const List *list, int64_t base, size_t n)
{
    int64_t low = list->low;
    for (size_t i = 0; i < n && low < list->high; i++) {
        uint32_t at = search->candidates[i];
        low = seek(list->rows, low, list->high, base + at);
        if (low == list->high || list->rows[low] != base + (int64_t)at)
            continue;
        float value = list->values[low];
        if (search->formula.saturated)
            value = value / (value + search->norms[at]);
        search->sums[at] += list->weight * value;
    }
}

/* Those of the first n candidates whose sum is above `cut`. */
static size_t keep(Search *search, size_t n, float cut)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t at = search->candidates[i];
        search->candidates[kept] = at;
        kept += search->sums[at] > cut;
    }
    return kept;
}

/* Bit i tells whether sums[i] is above `cut`. */
static inline uint32_t above_32(const float *sums, float cut)
{
    uint32_t mask = 0;
#if defined(__SSE2__)
    __m128 bar = _mm_set1_ps(cut);
    for (int i = 0; i < 32; i += 4)
        mask |= (uint32_t)_mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(sums + i), bar)) << i;
#else
    for (int i = 0; i < 32; i++)
        mask |= (uint32_t)(sums[i] > cut) << i;
#endif
    return mask;
}

/* Bit i tells whether allowed[i] is set, for i < n <= 32. */
static inline uint32_t set_32(const char *allowed, uint32_t n)
{
    uint32_t mask = 0;
#if defined(__SSE2__)
    if (n == 32) {
        __m128i zero = _mm_setzero_si128();
        for (int i = 0; i < 32; i += 16) {
            __m128i unset = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(allowed + i)), zero);
            mask |= (uint32_t)(~_mm_movemask_epi8(unset) & 0xFFFF) << i;
        }
        return mask;
    }
#endif
    for (uint32_t i = 0; i < n; i++)
        mask |= (uint32_t)(allowed[i] != 0) << i;
    return mask;
}

static inline uint32_t lowest_bit(uint32_t mask)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctz(mask);
#else
    uint32_t at = 0;
    while (!(mask >> at & 1))
        at++;
    return at;
#endif
}

/* Places of the window whose sum is above `cut` and which are allowed, ascending. */
static size_t collect(Search *search, int64_t base, uint32_t span, float cut)
{
    const float *sums = search->sums;
    const char *allowed = search->allowed ? search->allowed + base : NULL;
    uint32_t *candidates = search->candidates;
    size_t found = 0;
    for (uint32_t start = 0; start < span; start += 32) {
        uint32_t mask = above_32(sums + start, cut);
        if (mask && allowed)
            mask &= set_32(allowed + start, span - start < 32 ? span - start : 32);
        for (; mask; mask &= mask - 1)
            candidates[found++] = start + lowest_bit(mask);
    }
    return found;
}

/* What the sums must exceed before lists j and later are added; rounding is allowed for. */
static float cut_before(const Search *search, size_t j)
{
    if (search->rest[j] == 0)
        return search->best.threshold;
    double cut = search->best.threshold - search->rest[j] - search->slack;
    if (!(cut > 0))
        return 0;
    float low = (float)cut;
    return low > cut ? nextafterf(low, 0) : low;
}

/* How many lists must be added for every row of the window; the others only matter to rows that these favour. */
static size_t count_needed(Search *search, int64_t block, int64_t stop)
{
    for (size_t j = 0; j < search->n; j++)
        enter(&search->lists[j], search->part, &search->formula, block, stop);
    search->rest[search->n] = 0;
    for (size_t j = search->n; j-- > 0;)
        search->rest[j] = search->rest[j + 1] + search->lists[j].bound;
    size_t needed = search->n;
    while (needed > 0 && (search->rest[needed - 1] == 0 ||
                          search->rest[needed - 1] + search->slack <= search->best.threshold * SET_ASIDE))
        needed--;
    return search->rest[0] + search->slack <= search->best.threshold ? 0 : needed;
}

/* Whether looking the later lists up for the rows that the first lists favour is less work than adding them. */
static int worth_looking_up(const Search *search, size_t needed, uint32_t span)
{
    int64_t later = 0, lists = 0, favoured = 0;
    for (size_t j = needed; j < search->n; j++) {
        later += search->lists[j].high - search->lists[j].low;
        lists += search->lists[j].high > search->lists[j].low;
    }
    if (later < (int64_t)span / 4) /* finding that out costs about as much */
        return 0;
    float cut = cut_before(search, needed);
    for (uint32_t start = 0; start < span && favoured * lists * LOOKUP_COST < later; start += 32)
        for (uint32_t mask = above_32(search->sums + start, cut); mask; mask &= mask - 1)
            favoured++;
    return favoured * lists * LOOKUP_COST < later;
}

/* Add as many lists as every row of the window needs, and say how many those are. */
static size_t add_needed(Search *search, int64_t base, uint32_t span, size_t needed)
{
    memset(search->sums, 0, (size_t)(span + 31) / 32 * 32 * sizeof(float));
    if (search->formula.saturated)
        for (uint32_t at = 0; at < span; at++)
            search->norms[at] = norm_of(&search->formula, search->part->lengths[base + at]);
    for (size_t j = 0; j < needed; j++)
        add_postings(search, &search->lists[j], (uint32_t)base, span);
    if (needed < search->n && !worth_looking_up(search, needed, span))
        for (; needed < search->n; needed++)
            add_postings(search, &search->lists[needed], (uint32_t)base, span);
    return needed;
}

static void search_window(Search *search, int64_t block)
{
    const Part *part = search->part;
    int64_t base = block * part->block;
    uint32_t span = (uint32_t)(part->count - base < part->block ? part->count - base : part->block);
    int none_allowed = search->allowed && !memchr(search->allowed + base, 1, span);
    if (none_allowed && !search->all)
        return;
    size_t needed = count_needed(search, block, base + span);
    if (search->all)
        needed = search->n;
    if (needed == 0)
        return;
    needed = add_needed(search, base, span, needed);
    if (search->all)
        memcpy(search->all + base, search->sums, span * sizeof(float));
    if (none_allowed)
        return;
    size_t n = collect(search, base, span, cut_before(search, needed));
    for (size_t j = needed; j < search->n && n; j++) {
        look_up(search, &search->lists[j], base, n);
        n = keep(search, n, cut_before(search, j + 1));
    }
    for (size_t i = 0; i < n; i++)
        offer(&search->best, search->sums[search->candidates[i]], (uint32_t)base + search->candidates[i]);
}

static double slack_of(const Search *search)
{
    /* Every product and every sum is off by at most 2^-24 of the sum of all bounds. */
    double all = 0;
    for (size_t j = 0; j < search->n; j++)
        all += fabs(search->lists[j].weight) * (search->formula.saturated ? 1 : (double)search->lists[j].maximum);
    return (double)(search->n + 2) * 1.2e-7 * all;
}

/* The best rows and their scores, best first; -1: no memory. */
static int64_t search_part(Search *search, int64_t *out_rows, float *out_scores)
{
    const Part *part = search->part;
    Best *best = &search->best;
    size_t width = (size_t)(part->block + 31) / 32 * 32; /* sums are compared 32 at a time */
    best->room = best->k + (best->k > 1024 ? best->k : 1024);
    best->keys = malloc(best->room * sizeof *best->keys);
    best->scratch = malloc(best->room * sizeof *best->scratch);
    search->rest = malloc((search->n + 1) * sizeof *search->rest);
    search->sums = malloc(width * sizeof *search->sums);
    search->norms = malloc(width * sizeof *search->norms);
    search->candidates = malloc((width + 1) * sizeof *search->candidates);
    int64_t found = -1;
    if (best->keys && best->scratch && search->rest && search->sums && search->norms && search->candidates) {
        search->slack = slack_of(search);
        for (int64_t block = 0; block < part->blocks; block++)
            search_window(search, block);
        if (best->used > best->k)
            drop_worst(best);
        sort_descending(best->keys, best->scratch, best->used);
        found = (int64_t)best->used;
        for (int64_t i = 0; i < found; i++) {
            out_rows[i] = UINT32_MAX - (uint32_t)best->keys[i];
            out_scores[i] = score_of(best->keys[i]);
        }
    }
    free(best->keys);
    free(best->scratch);
    free(search->rest);
    free(search->sums);
    free(search->norms);
    free(search->candidates);
    return found;
}

/* ---- scores of given rows, from the forward form ---- */

typedef struct {
    const int64_t *starts;
    const int32_t *columns;
    const float *values, *lengths;
    int64_t count, postings;
} Rows;

/* Where a term stands in one row, or -1. */
static inline int64_t find_term(const Rows *rows, int64_t row, int32_t term)
{
    int64_t low = rows->starts[row], high = rows->starts[row + 1];
    if (low < 0 || high > rows->postings)
        return -1;
    int64_t stop = high;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (rows->columns[middle] < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stop && rows->columns[low] == term ? low : -1;
}

static int score_rows(const Rows *rows, const Formula *formula, const int32_t *terms, const float *weights, int64_t n,
                      const int64_t *asked, int64_t asked_n, float *out)
{
    for (int64_t i = 0; i < asked_n; i++) {
        int64_t row = asked[i];
        if (row < 0 || row >= rows->count)
            return -1;
        float sum = 0, norm = formula->saturated ? norm_of(formula, rows->lengths[row]) : 0;
        for (int64_t j = 0; j < n; j++) {
            int64_t place = find_term(rows, row, terms[j]);
            if (place < 0)
                continue;
            float value = rows->values[place];
            if (formula->saturated)
                value = value / (value + norm);
            sum += weights[j] * value;
        }
        out[i] = sum;
    }
    return 0;
}

/* ---- how many living rows hold a term ---- */

static int64_t count_alive(const Part *part, const List *list, const char *alive)
{
    int64_t found = 0;
    for (int64_t i = 0; i < list->length; i++) {
        uint32_t row = (uint32_t)list->rows[i];
        found += row < (uint64_t)part->count && alive[row];
    }
    return found;
}

static int64_t count_dead(const Rows *rows, int32_t term, const char *alive)
{
    int64_t found = 0;
    const char *end = alive + rows->count;
    for (const char *at = alive; at < end && (at = memchr(at, 0, (size_t)(end - at))); at++)
        found += find_term(rows, at - alive, term) >= 0;
    return found;
}

/* ---- Python ---- */

enum { ROWS, VALUES, OFFSETS, MAXIMA, LONGS, STARTS, BLOCK_MAXIMA, SHORTEST, LENGTHS, PART_VIEWS };
enum { INDPTR, COLUMNS, ROW_VALUES, ROW_LENGTHS, ROWS_VIEWS };

static void release(Py_buffer *views, int n)
{
    for (int i = 0; i < n; i++)
        if (views[i].obj)
            PyBuffer_Release(&views[i]);
}

/* Open n buffers out of a tuple. */
static int open_views(PyObject *tuple, Py_buffer *views, int n)
{
    memset(views, 0, (size_t)n * sizeof *views);
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) < n) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of arrays");
        return -1;
    }
    for (int i = 0; i < n; i++)
        if (PyObject_GetBuffer(PyTuple_GetItem(tuple, i), &views[i], PyBUF_SIMPLE)) {
            release(views, n);
            return -1;
        }
    return 0;
}

static int part_of(const Py_buffer *views, int64_t block, Part *part)
{
    part->rows = views[ROWS].buf;
    part->values = views[VALUES].buf;
    part->offsets = views[OFFSETS].buf;
    part->maxima = views[MAXIMA].buf;
    part->long_places = views[LONGS].buf;
    part->block_starts = views[STARTS].buf;
    part->block_maxima = views[BLOCK_MAXIMA].buf;
    part->block_shortest = views[SHORTEST].buf;
    part->lengths = views[LENGTHS].buf;
    part->postings = views[ROWS].len / 4;
    part->terms = views[MAXIMA].len / 4;
    part->longs = views[LONGS].len / 4;
    part->count = views[LENGTHS].len / 4;
    part->block = block;
    if (block < 1 || block > 1 << 24 || part->count > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "block or number of rows out of range");
        return -1;
    }
    part->blocks = (part->count + block - 1) / block;
    if (views[VALUES].len / 4 != part->postings || views[OFFSETS].len / 8 != part->terms + 1 ||
        views[STARTS].len / 4 != part->longs * (part->blocks + 1) ||
        views[BLOCK_MAXIMA].len / 4 != part->longs * part->blocks || views[SHORTEST].len / 4 != part->blocks) {
        PyErr_SetString(PyExc_ValueError, "the arrays of the postings do not fit together");
        return -1;
    }
    return 0;
}

static int rows_of(const Py_buffer *views, Rows *rows)
{
    rows->starts = views[INDPTR].buf;
    rows->columns = views[COLUMNS].buf;
    rows->values = views[ROW_VALUES].buf;
    rows->lengths = views[ROW_LENGTHS].buf;
    rows->count = views[ROW_LENGTHS].len / 4;
    rows->postings = views[COLUMNS].len / 4;
    if (views[INDPTR].len / 8 != rows->count + 1 || views[ROW_VALUES].len / 4 != rows->postings) {
        PyErr_SetString(PyExc_ValueError, "the arrays of the rows do not fit together");
        return -1;
    }
    return 0;
}

static PyObject *bad_length(const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s has another length than it should", what);
    return NULL;
}

/* Run a search whose buffers are open; the number of results, or -1 with an error set. */
static int64_t run_search(Search *search, const Py_buffer *places, const Py_buffer *weights, int64_t k,
                          int64_t *out_rows, float *out_scores)
{
    search->n = (size_t)(places->len / 8);
    search->best.k = (size_t)(k < search->part->count ? k : search->part->count);
    if (search->all)
        memset(search->all, 0, (size_t)search->part->count * sizeof(float));
    if (search->best.k == 0 || search->n == 0)
        return 0;
    search->lists = malloc(search->n * sizeof *search->lists);
    if (!search->lists) {
        PyErr_NoMemory();
        return -1;
    }
    int64_t found = -1;
    for (size_t j = 0; j < search->n; j++)
        if (open_list(search->part, ((const int64_t *)places->buf)[j], ((const float *)weights->buf)[j],
                      &search->lists[j])) {
            PyErr_SetString(PyExc_ValueError, "a place is out of range, or the offsets of the postings are damaged");
            goto done;
        }
    Py_BEGIN_ALLOW_THREADS
    found = search_part(search, out_rows, out_scores);
    Py_END_ALLOW_THREADS
    if (found < 0)
        PyErr_NoMemory();
done:
    free(search->lists);
    return found;
}

static PyObject *impacts_search(PyObject *self, PyObject *args)
{
    PyObject *tuple, *allowed_or_none, *all_or_none, *result = NULL;
    Py_buffer views[PART_VIEWS], places, weights, out_rows, out_scores, allowed = {0}, all = {0};
    long long block, k;
    int saturated;
    double base, slope;
    (void)self;
    if (!PyArg_ParseTuple(args, "OLy*y*p(dd)LOw*w*O", &tuple, &block, &places, &weights, &saturated, &base, &slope,
                          &k, &allowed_or_none, &out_rows, &out_scores, &all_or_none))
        return NULL;
    if (open_views(tuple, views, PART_VIEWS))
        goto close;
    if (allowed_or_none != Py_None && PyObject_GetBuffer(allowed_or_none, &allowed, PyBUF_SIMPLE))
        goto release;
    if (all_or_none != Py_None && PyObject_GetBuffer(all_or_none, &all, PyBUF_WRITABLE))
        goto release;
    Part part;
    if (part_of(views, block, &part))
        goto release;
    if (allowed.obj && allowed.len != part.count)
        bad_length("allowed");
    else if (all.obj && all.len / 4 != part.count)
        bad_length("the scores of all rows");
    else if (places.len / 8 != weights.len / 4)
        bad_length("weights");
    else if (k < 0 || out_rows.len / 8 < (k < part.count ? k : part.count) ||
             out_scores.len / 4 < (k < part.count ? k : part.count))
        bad_length("the result");
    else {
        Search search = {.part = &part, .formula = {saturated, (float)base, (float)slope}, .allowed = allowed.buf,
                         .all = all.buf};
        int64_t found = run_search(&search, &places, &weights, k, out_rows.buf, out_scores.buf);
        if (found >= 0)
            result = PyLong_FromLongLong(found);
    }
release:
    if (allowed.obj)
        PyBuffer_Release(&allowed);
    if (all.obj)
        PyBuffer_Release(&all);
    release(views, PART_VIEWS);
close:
    PyBuffer_Release(&places);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&out_rows);
    PyBuffer_Release(&out_scores);
    return result;
}

static PyObject *impacts_score(PyObject *self, PyObject *args)
{
    PyObject *tuple, *result = NULL;
    Py_buffer views[ROWS_VIEWS], terms, weights, asked, out;
    int saturated, bad = 0;
    double base, slope;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*y*p(dd)y*w*", &tuple, &terms, &weights, &saturated, &base, &slope, &asked,
                          &out))
        return NULL;
    if (open_views(tuple, views, ROWS_VIEWS))
        goto close;
    Rows rows;
    if (rows_of(views, &rows))
        goto release;
    if (terms.len / 4 != weights.len / 4) {
        bad_length("weights");
        goto release;
    }
    if (out.len / 4 != asked.len / 8) {
        bad_length("the result");
        goto release;
    }
    Formula formula = {saturated, (float)base, (float)slope};
    Py_BEGIN_ALLOW_THREADS
    bad = score_rows(&rows, &formula, terms.buf, weights.buf, terms.len / 4, asked.buf, asked.len / 8, out.buf);
    Py_END_ALLOW_THREADS
    if (bad)
        PyErr_SetString(PyExc_ValueError, "a row is out of range");
    else
        result = Py_NewRef(Py_None);
release:
    release(views, ROWS_VIEWS);
close:
    PyBuffer_Release(&terms);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&asked);
    PyBuffer_Release(&out);
    return result;
}

/* Count the living rows of each term, by whichever of lists and dead rows is less work. */
static int count_terms(const Part *part, const Rows *rows, const int64_t *places, const int32_t *terms, int64_t n,
                       const char *alive, int64_t *out)
{
    int64_t dead = 0;
    for (int64_t row = 0; row < part->count; row++)
        dead += !alive[row];
    for (int64_t j = 0; j < n; j++) {
        List list;
        if (open_list(part, places[j], 0, &list))
            return -1;
        if (dead * LOOKUP_COST < list.length)
            out[j] = list.length - (dead ? count_dead(rows, terms[j], alive) : 0);
        else
            out[j] = count_alive(part, &list, alive);
    }
    return 0;
}

static PyObject *impacts_frequencies(PyObject *self, PyObject *args)
{
    PyObject *part_tuple, *rows_tuple, *result = NULL;
    Py_buffer part_views[PART_VIEWS], rows_views[ROWS_VIEWS], places, terms, alive, out;
    long long block;
    int bad = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OLOy*y*y*w*", &part_tuple, &block, &rows_tuple, &places, &terms, &alive, &out))
        return NULL;
    if (open_views(part_tuple, part_views, PART_VIEWS))
        goto close;
    if (open_views(rows_tuple, rows_views, ROWS_VIEWS))
        goto release;
    Part part;
    Rows rows;
    if (part_of(part_views, block, &part) || rows_of(rows_views, &rows))
        goto release_rows;
    if (alive.len != part.count || rows.count != part.count)
        bad_length("alive");
    else if (places.len / 8 != terms.len / 4 || places.len / 8 != out.len / 8)
        bad_length("the result");
    else {
        Py_BEGIN_ALLOW_THREADS
        bad = count_terms(&part, &rows, places.buf, terms.buf, places.len / 8, alive.buf, out.buf);
        Py_END_ALLOW_THREADS
        if (bad)
            PyErr_SetString(PyExc_ValueError, "a place is out of range, or the offsets of the postings are damaged");
        else
            result = Py_NewRef(Py_None);
    }
release_rows:
    release(rows_views, ROWS_VIEWS);
release:
    release(part_views, PART_VIEWS);
close:
    PyBuffer_Release(&places);
    PyBuffer_Release(&terms);
    PyBuffer_Release(&alive);
    PyBuffer_Release(&out);
    return result;
}

static PyMethodDef methods[] = {
    {"search", impacts_search, METH_VARARGS,
     "search(part, block, places, weights, saturated, (base, slope), k, allowed, rows, scores, all) -> found"},
    {"score", impacts_score, METH_VARARGS,
     "score(forward, terms, weights, saturated, (base, slope), rows, scores)"},
    {"frequencies", impacts_frequencies, METH_VARARGS,
     "frequencies(part, block, forward, places, terms, alive, counts)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_impacts",
                                    "Searching rows of term weights. Called by trivec.index.native.impacts_kernels.",
                                    -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__impacts(void)
{
    return PyModule_Create(&module);
}
