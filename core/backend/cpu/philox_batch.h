#ifndef BASIN_CORE_BACKEND_CPU_PHILOX_BATCH_H_
#define BASIN_CORE_BACKEND_CPU_PHILOX_BATCH_H_

// Many Philox blocks at once: core/base/philox.h in vectors, for the files that
// are compiled once per instruction set alone (see core/base/cpu_isa.h).

#include <cstdint>

#include "core/base/host_device.h"
#include "core/base/philox.h"

#if defined(__AVX2__) && !defined(__AVX512F__)
#include <immintrin.h>
#define BASIN_PHILOX_AVX2 1
#endif

namespace basin::BASIN_ISA {

// Blocks, and what is drawn from them, that are computed together.
inline constexpr int kPiece = 256;

struct PhiloxBatch {
  alignas(64) uint32_t word[4][kPiece];  // counters, then random words
  alignas(64) uint32_t key[2][kPiece];
};

// Sets keys and counters of the blocks first .. first + count - 1 of `batch`:
// `start`, and those that follow in the first word.
BASIN_HOST_DEVICE void SetCounters(uint64_t key, const PhiloxBlock& start,
                                   int first, int count, PhiloxBatch& batch) {
  const auto key0 = static_cast<uint32_t>(key);
  const auto key1 = static_cast<uint32_t>(key >> 32);
  for (int l = 0; l < count; ++l) {
    batch.word[0][first + l] = start.word[0] + static_cast<uint32_t>(l);
    batch.word[1][first + l] = start.word[1];
    batch.word[2][first + l] = start.word[2];
    batch.word[3][first + l] = start.word[3];
    batch.key[0][first + l] = key0;
    batch.key[1][first + l] = key1;
  }
}

inline constexpr uint32_t kPhiloxFactor[2] = {0xD2511F53U, 0xCD9E8D57U};
inline constexpr uint32_t kPhiloxWeyl[2] = {0x9E3779B9U, 0xBB67AE85U};

#if BASIN_PHILOX_AVX2

struct PhiloxProduct {
  __m256i high, low;
};
// Of eight 32-bit numbers each.
BASIN_HOST_DEVICE PhiloxProduct MulWide(__m256i a, __m256i factor) {
  const __m256i even = _mm256_mul_epu32(a, factor);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  return {_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA),
          _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA)};
}

// The blocks from `first` on, kVectors times eight: as many as hide the
// latency of multiplication, and as the registers hold.
BASIN_HOST_DEVICE void DrawPhiloxLanes(int first, PhiloxBatch& batch) {
  constexpr int kVectors = 2;
  const __m256i factor0 = _mm256_set1_epi32(static_cast<int>(kPhiloxFactor[0]));
  const __m256i factor1 = _mm256_set1_epi32(static_cast<int>(kPhiloxFactor[1]));
  const __m256i weyl0 = _mm256_set1_epi32(static_cast<int>(kPhiloxWeyl[0]));
  const __m256i weyl1 = _mm256_set1_epi32(static_cast<int>(kPhiloxWeyl[1]));
  const auto at = [&](uint32_t* words, int v) {
    return reinterpret_cast<__m256i*>(words + first + 8 * v);
  };
  __m256i w[4][kVectors], key0[kVectors], key1[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    for (int k = 0; k < 4; ++k) w[k][v] = *at(batch.word[k], v);
    key0[v] = *at(batch.key[0], v);
    key1[v] = *at(batch.key[1], v);
  }
  for (int round = 0; round < 10; ++round) {
    for (int v = 0; v < kVectors; ++v) {
      const PhiloxProduct p = MulWide(w[0][v], factor0);
      const PhiloxProduct q = MulWide(w[2][v], factor1);
      w[0][v] = q.high ^ w[1][v] ^ key0[v];
      w[1][v] = q.low;
      w[2][v] = p.high ^ w[3][v] ^ key1[v];
      w[3][v] = p.low;
      key0[v] = _mm256_add_epi32(key0[v], weyl0);
      key1[v] = _mm256_add_epi32(key1[v], weyl1);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int k = 0; k < 4; ++k) *at(batch.word[k], v) = w[k][v];
  }
}

// The first `count` counters become what Philox() makes of them. What lies
// behind them may be overwritten.
BASIN_HOST_DEVICE void DrawPhilox(int count, PhiloxBatch& batch) {
  constexpr int kLanes = 16;
  for (int l = 0; l < count; l += kLanes) DrawPhiloxLanes(l, batch);
}

// Words of eight blocks, in the low halves of 64-bit lanes: those of the blocks
// 0, 2, 4, 6, and of 1, 3, 5, 7. High halves hold anything, which saves most of
// what moving 32-bit words about costs.
struct PhiloxWords {
  __m256i even, odd;
};
BASIN_HOST_DEVICE PhiloxWords Alike(uint32_t word) {
  const __m256i all = _mm256_set1_epi32(static_cast<int>(word));
  return {all, all};
}
BASIN_HOST_DEVICE PhiloxWords MulWide(const PhiloxWords& a, __m256i factor) {
  return {_mm256_mul_epu32(a.even, factor), _mm256_mul_epu32(a.odd, factor)};
}
BASIN_HOST_DEVICE PhiloxWords High(const PhiloxWords& product) {
  return {_mm256_srli_epi64(product.even, 32),
          _mm256_srli_epi64(product.odd, 32)};
}
BASIN_HOST_DEVICE PhiloxWords Xor(const PhiloxWords& a, const PhiloxWords& b,
                                  __m256i key) {
  return {a.even ^ b.even ^ key, a.odd ^ b.odd ^ key};
}

// batch.word becomes what Philox() makes of `count` blocks with one key: of
// `start`, and of those that follow in the first word. What lies behind them
// may be overwritten.
BASIN_HOST_DEVICE void DrawPhiloxFrom(uint64_t key, const PhiloxBlock& start,
                                      int count, PhiloxBatch& batch) {
  constexpr int kLanes = 8;
  __m256i keys[10][2];
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (auto& each : keys) {
    each[0] = _mm256_set1_epi32(static_cast<int>(key0));
    each[1] = _mm256_set1_epi32(static_cast<int>(key1));
    key0 += kPhiloxWeyl[0];
    key1 += kPhiloxWeyl[1];
  }
  const __m256i factor0 = _mm256_set1_epi32(static_cast<int>(kPhiloxFactor[0]));
  const __m256i factor1 = _mm256_set1_epi32(static_cast<int>(kPhiloxFactor[1]));
  const __m256i numbers = _mm256_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0);
  for (int first = 0; first < count; first += kLanes) {
    PhiloxWords w[4] = {Alike(start.word[0] + static_cast<uint32_t>(first)),
                        Alike(start.word[1]), Alike(start.word[2]),
                        Alike(start.word[3])};
    w[0].even = _mm256_add_epi32(w[0].even, numbers);
    w[0].odd = _mm256_add_epi32(w[0].even, _mm256_set1_epi32(1));
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const PhiloxWords p = MulWide(w[0], factor0);
      const PhiloxWords q = MulWide(w[2], factor1);
      w[0] = Xor(High(q), w[1], keys[round][0]);
      w[1] = q;
      w[2] = Xor(High(p), w[3], keys[round][1]);
      w[3] = p;
    }
    for (int k = 0; k < 4; ++k) {
      *reinterpret_cast<__m256i*>(batch.word[k] + first) =
          _mm256_blend_epi32(w[k].even, _mm256_slli_epi64(w[k].odd, 32), 0xAA);
    }
  }
}

#else

// As above. Round by round for all, in products of 32 bits: compilers make
// vectors of these, and of Philox() itself only half as good ones.
BASIN_HOST_DEVICE void DrawPhilox(int count, PhiloxBatch& batch) {
  uint32_t* __restrict w0 = batch.word[0];
  uint32_t* __restrict w1 = batch.word[1];
  uint32_t* __restrict w2 = batch.word[2];
  uint32_t* __restrict w3 = batch.word[3];
  uint32_t weyl0 = 0;
  uint32_t weyl1 = 0;
  for (int round = 0; round < 10; ++round) {
    for (int l = 0; l < count; ++l) {
      const uint32_t a = w0[l];
      const uint32_t b = w2[l];
      const auto high0 =
          static_cast<uint32_t>((uint64_t{kPhiloxFactor[0]} * a) >> 32);
      const auto high1 =
          static_cast<uint32_t>((uint64_t{kPhiloxFactor[1]} * b) >> 32);
      w0[l] = high1 ^ w1[l] ^ (batch.key[0][l] + weyl0);
      w1[l] = b * kPhiloxFactor[1];
      w2[l] = high0 ^ w3[l] ^ (batch.key[1][l] + weyl1);
      w3[l] = a * kPhiloxFactor[0];
    }
    weyl0 += kPhiloxWeyl[0];
    weyl1 += kPhiloxWeyl[1];
  }
}

// As above.
BASIN_HOST_DEVICE void DrawPhiloxFrom(uint64_t key, const PhiloxBlock& start,
                                      int count, PhiloxBatch& batch) {
  SetCounters(key, start, 0, count, batch);
  DrawPhilox(count, batch);
}

#endif

}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_PHILOX_BATCH_H_
