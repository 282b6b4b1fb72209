/* The inner loops of _maxsim.c, included once for each instruction set, with
 *
 *   NAME(x)   the name of x for this instruction set
 *   TARGET    the attribute that lets the compiler use it
 *   LANES     floats in a vector register
 *   TILE      token vectors held in registers at once; divides BLOCK
 *   WITH_PAIRS   1 where pairs of 16-bit products are added up: NAME(add_pairs) on LANES of them, NAME(pairs)
 *   WITH_F16C, WITH_SHUFFLE   1 where half floats are converted, and bytes looked up, by one instruction
 */

typedef float NAME(vector) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static TARGET void NAME(halves)(const uint16_t *from, float *to, size_t count)
{
    size_t i = 0;
#if WITH_F16C
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + i))));
#endif
    for (; i < count; i++)
        to[i] = half_to_float(from[i]);
}

/* Codes of `bits` bits to levels. Byte j of n holds the codes of dimensions j, j + n, j + 2n, ..., lowest bits first. */
static TARGET void NAME(unpack)(const uint8_t *from, int8_t *to, size_t count, int bits, const int8_t *levels)
{
    const int mask = (1 << bits) - 1;
    for (int shift = 0; shift < 8; shift += bits, to += count) {
        size_t j = 0;
#if WITH_SHUFFLE
        const __m128i table = _mm_loadu_si128((const __m128i *)levels);
        for (; j + 16 <= count; j += 16) {
            __m128i code = _mm_srl_epi16(_mm_loadu_si128((const __m128i *)(from + j)), _mm_cvtsi32_si128(shift));
            code = _mm_and_si128(code, _mm_set1_epi8((char)mask));
            _mm_storeu_si128((__m128i *)(to + j), _mm_shuffle_epi8(table, code));
        }
#endif
        for (; j < count; j++)
            to[j] = levels[(from[j] >> shift) & mask];
    }
}

static TARGET void NAME(add_centroid)(const struct job *job, size_t token, const int8_t *levels, float *restrict to)
{
    const float scale = job->scales[token];
    if (token + AHEAD < job->tokens) /* centroids lie anywhere in their table */
        for (size_t k = 0; k < job->width; k += 32)
            __builtin_prefetch(job->centroids + job->lists[token + AHEAD] * job->width + k);
    NAME(halves)(job->centroids + job->lists[token] * job->width, to, job->width);
    for (size_t k = 0; k < job->width; k++)
        to[k] += scale * levels[k];
}

/* One token as floats, but for its factor, or for the scale of whole numbers. */
static TARGET void NAME(decode)(const struct job *job, const struct work *work, size_t token, float *restrict to)
{
    const uint8_t *code = job->codes + token * job->code_bytes;
    if (job->bits == 32) {
        memcpy(to, code, job->width * sizeof(float));
    } else if (job->bits == 16) {
        NAME(halves)((const uint16_t *)code, to, job->width);
    } else if (job->bits == 8) {
        for (size_t k = 0; k < job->width; k++)
            to[k] = ((const int8_t *)code)[k];
    } else {
        NAME(unpack)(code, work->levels, job->code_bytes, job->bits, job->table);
        NAME(add_centroid)(job, token, work->levels, to);
    }
}

/* Adds the products of TILE tokens with PANEL query vectors, over at most CHUNK dimensions. */
static TARGET void NAME(tile)(const float *tokens, const float *query, size_t width, float *similarities)
{
    NAME(vector) sums[TILE][PANEL / LANES];
#pragma GCC unroll 16
    for (int t = 0; t < TILE; t++)
#pragma GCC unroll 4
        for (int v = 0; v < PANEL / LANES; v++)
            sums[t][v] = *(const NAME(vector) *)(similarities + t * PANEL + v * LANES);
    for (size_t k = 0; k < width; k++) {
        NAME(vector) part[PANEL / LANES];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL / LANES; v++)
            part[v] = *(const NAME(vector) *)(query + k * PANEL + v * LANES);
#pragma GCC unroll 16
        for (int t = 0; t < TILE; t++) {
            const float value = tokens[t * CHUNK + k];
#pragma GCC unroll 4
            for (int v = 0; v < PANEL / LANES; v++)
                sums[t][v] += part[v] * value;
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < TILE; t++)
#pragma GCC unroll 4
        for (int v = 0; v < PANEL / LANES; v++)
            *(NAME(vector) *)(similarities + t * PANEL + v * LANES) = sums[t][v];
}

/* Similarities of the block's first `filled` tokens (and of leftovers behind them) with all query vectors. */
static TARGET void NAME(multiply)(const struct job *job, const struct work *work, size_t filled)
{
    for (size_t panel = 0; panel < job->panels; panel++) {
        float *similarities = work->similarities + panel * BLOCK * PANEL;
        memset(similarities, 0, BLOCK * PANEL * sizeof(float));
        for (size_t start = 0; start < job->width; start += CHUNK) {
            const size_t width = job->width - start < CHUNK ? job->width - start : CHUNK;
            const float *query = work->query + (panel * job->width + start) * PANEL;
            for (size_t t = 0; t < filled; t += TILE)
                NAME(tile)(work->tokens + start * BLOCK + t * CHUNK, query, width, similarities + t * PANEL);
        }
    }
}

#if WITH_PAIRS
/* Similarities of TILE tokens with PANEL query vectors, but for the steps of the query vectors. */
static TARGET void NAME(tile_whole)(const int16_t *tokens, const int16_t *query, size_t width, const float *scales,
                                    float *similarities)
{
    NAME(pairs) sums[TILE][PANEL / LANES];
    memset(sums, 0, sizeof sums);
    for (size_t start = 0; start < width; start += CHUNK, tokens += BLOCK * CHUNK) {
        const size_t end = width - start < CHUNK ? width - start : CHUNK;
        for (size_t k = 0; k < end; k += 2, query += 2 * PANEL) {
            NAME(pairs) part[PANEL / LANES];
#pragma GCC unroll 4
            for (int v = 0; v < PANEL / LANES; v++)
                memcpy(&part[v], query + v * 2 * LANES, sizeof part[v]);
#pragma GCC unroll 16
            for (int t = 0; t < TILE; t++) {
                int32_t pair;
                memcpy(&pair, tokens + t * CHUNK + k, sizeof pair);
#pragma GCC unroll 4
                for (int v = 0; v < PANEL / LANES; v++)
                    sums[t][v] = NAME(add_pairs)(sums[t][v], part[v], pair);
            }
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < TILE; t++)
#pragma GCC unroll 4
        for (int v = 0; v < PANEL / LANES; v++)
            *(NAME(vector) *)(similarities + t * PANEL + v * LANES) =
                (NAME(vector))NAME(floats)(sums[t][v]) * scales[t];
}

/* As multiply, for whole numbers; the tokens' scales are in the similarities. */
static TARGET void NAME(multiply_whole)(const struct job *job, const struct work *work, size_t filled)
{
    const size_t padded = (job->width + 1) / 2 * 2;
    for (size_t panel = 0; panel < job->panels; panel++)
        for (size_t t = 0; t < filled; t += TILE)
            NAME(tile_whole)(work->whole_tokens + t * CHUNK, work->whole_query + panel * padded * PANEL, job->width,
                             work->scales + t, work->similarities + (panel * BLOCK + t) * PANEL);
}
#endif

/* Raises each query vector's best similarity with one passage by those of the tokens from `first` to `last`. */
static TARGET void NAME(keep_best)(const struct job *job, const struct work *work, size_t first, size_t last)
{
    for (size_t panel = 0; panel < job->panels; panel++) {
        float *best = work->best + panel * PANEL;
        float most[PANEL];
        memcpy(most, best, sizeof most);
        for (size_t t = first; t < last; t++) {
            const float *similarities = work->similarities + (panel * BLOCK + t) * PANEL;
            const float scale = job->whole ? 1.0f : work->scales[t];
            for (size_t i = 0; i < PANEL; i++) {
                const float value = scale * similarities[i];
                most[i] = value > most[i] ? value : most[i];
            }
        }
        memcpy(best, most, sizeof most);
    }
}
