/* Keeping the best k of scored rows that come in ascending order of row. Included by _impacts.c alone.

   A key orders by score, then by ascending row, and no two are equal. Keys that beat the threshold are gathered until
   there is no room; then the best k stay, and the worst of them is the new threshold. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t *keys, *scratch;
    size_t used, room, k;
    float threshold; /* a later row must score more than this */
} Best;

static inline uint64_t key_of(float score, uint32_t row)
{
    uint32_t bits;
    memcpy(&bits, &score, 4);
    return ((uint64_t)bits << 32) | (UINT32_MAX - row);
}

static inline float score_of(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float score;
    memcpy(&score, &bits, 4);
    return score;
}

static void sort_descending(uint64_t *keys, uint64_t *scratch, size_t n)
{
    const size_t run = 8;
    for (size_t start = 0; start < n; start += run) {
        size_t stop = start + run < n ? start + run : n;
        for (size_t i = start + 1; i < stop; i++) {
            uint64_t key = keys[i];
            size_t j = i;
            for (; j > start && keys[j - 1] < key; j--)
                keys[j] = keys[j - 1];
            keys[j] = key;
        }
    }
    uint64_t *from = keys, *to = scratch;
    for (size_t width = run; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = start + width < n ? start + width : n;
            size_t stop = start + 2 * width < n ? start + 2 * width : n;
            size_t i = start, j = middle, at = start;
            while (i < middle && j < stop) {
                uint64_t left = from[i], right = from[j];
                int first = left > right;
                to[at++] = first ? left : right;
                i += first;
                j += !first;
            }
            memcpy(to + at, from + i, (middle - i) * sizeof *to);
            memcpy(to + at + (middle - i), from + j, (stop - j) * sizeof *to);
        }
        uint64_t *other = from;
        from = to;
        to = other;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

static inline void swap(uint64_t *a, uint64_t *b)
{
    uint64_t other = *a;
    *a = *b;
    *b = other;
}

/* Bring the k largest of the keys to the front, in any order. */
static void select_best(uint64_t *keys, uint64_t *scratch, size_t n, size_t k)
{
    size_t low = 0, high = n; /* keys[0..low) > keys[low..high) > keys[high..n) */
    for (int round = 0; low < k && k < high; round++) {
        if (round == 64) { /* the pivots are unlucky: sorting bounds the time */
            sort_descending(keys + low, scratch, high - low);
            return;
        }
        size_t middle = low + (high - low) / 2, last = high - 1;
        if (keys[middle] < keys[last])
            swap(&keys[middle], &keys[last]);
        if (keys[low] < keys[last])
            swap(&keys[low], &keys[last]);
        if (keys[middle] < keys[low])
            swap(&keys[low], &keys[middle]);
        uint64_t pivot = keys[low]; /* the median of three */
        size_t at = low + 1;
        for (size_t i = low + 1; i < high; i++) { /* no branch depends on a key: they are in no order */
            uint64_t key = keys[i];
            keys[i] = keys[at];
            keys[at] = key;
            at += key > pivot;
        }
        at--;
        swap(&keys[low], &keys[at]);
        if (k <= at)
            high = at;
        else
            low = at + 1;
    }
}

static void drop_worst(Best *best)
{
    select_best(best->keys, best->scratch, best->used, best->k);
    best->used = best->k;
    uint64_t worst = best->keys[0];
    for (size_t i = 1; i < best->k; i++)
        worst = best->keys[i] < worst ? best->keys[i] : worst;
    best->threshold = score_of(worst);
}

static inline void offer(Best *best, float score, uint32_t row)
{
    if (!(score > best->threshold))
        return;
    best->keys[best->used++] = key_of(score, row);
    if (best->used == best->room)
        drop_worst(best);
}
