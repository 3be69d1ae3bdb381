#ifndef BASIN_CORE_BACKEND_CPU_NEIGHBOUR_RUNS_H_
#define BASIN_CORE_BACKEND_CPU_NEIGHBOUR_RUNS_H_

// Fields of lattice sites in vectors, see NeighbourField, and draws of sites
// whose neighbours all weigh the same: for the files that are compiled once per
// instruction set alone, see core/base/cpu_isa.h.

#include <cstdint>

#include "core/backend/discrete_formulas.h"
#include "core/backend/discrete_ops.h"
#include "core/base/host_device.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace basin::BASIN_ISA {

inline constexpr int kRun = NeighbourField::kRun;

// Part of a run. Eight lanes hold the elements 0 1 4 5 2 3 6 7, so that every
// other one of sixteen is one instruction that crosses no 128-bit boundary.
#if defined(__AVX__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using LaneNumbers = int32_t __attribute__((vector_size(sizeof(Lanes))));
inline constexpr int kVectors = kRun / kLanes;

BASIN_HOST_DEVICE Lanes LoadInOrder(const float* from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

BASIN_HOST_DEVICE void StoreInOrder(const Lanes& lanes, float* to) {
  __builtin_memcpy(to, &lanes, sizeof(lanes));
}

BASIN_HOST_DEVICE Lanes Broadcast(float value) { return value - Lanes{}; }

#if defined(__AVX__)

inline constexpr LaneNumbers kElements = {0, 1, 4, 5, 2, 3, 6, 7};

// Between the order of elements and that of lanes: its own inverse.
template <typename Vector>
BASIN_HOST_DEVICE Vector Reordered(const Vector& lanes) {
  using Pairs = double __attribute__((vector_size(sizeof(Lanes))));
  const auto pairs = reinterpret_cast<Pairs>(lanes);
  return reinterpret_cast<Vector>(
      __builtin_shufflevector(pairs, pairs, 0, 2, 1, 3));
}

// Elements 0, 2, ... of a and b.
BASIN_HOST_DEVICE Lanes Even(const Lanes& a, const Lanes& b) {
  return __builtin_shufflevector(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
}

// a, but for elements 0, 2, ...: the first or the second half of `values`.
BASIN_HOST_DEVICE Lanes FirstAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 0, 9, 1, 11, 4, 13, 5, 15);
}
BASIN_HOST_DEVICE Lanes SecondAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 2, 9, 3, 11, 6, 13, 7, 15);
}

#else

inline constexpr LaneNumbers kElements = {0, 1, 2, 3};

template <typename Vector>
BASIN_HOST_DEVICE Vector Reordered(const Vector& lanes) {
  return lanes;
}
BASIN_HOST_DEVICE Lanes Even(const Lanes& a, const Lanes& b) {
  return __builtin_shufflevector(a, b, 0, 2, 4, 6);
}
BASIN_HOST_DEVICE Lanes FirstAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 0, 5, 1, 7);
}
BASIN_HOST_DEVICE Lanes SecondAsEven(const Lanes& values, const Lanes& a) {
  return __builtin_shufflevector(values, a, 2, 5, 3, 7);
}

#endif

BASIN_HOST_DEVICE Lanes Load(const float* from) {
  return Reordered(LoadInOrder(from));
}

BASIN_HOST_DEVICE void Store(const Lanes& lanes, float* to) {
  StoreInOrder(Reordered(lanes), to);
}

// Elements 0, 2, ... of those from `from` on.
BASIN_HOST_DEVICE Lanes LoadEven(const float* from) {
  return Even(LoadInOrder(from), LoadInOrder(from + kLanes));
}

// Elements 0, 2, ... of those from `to` on become `values`.
BASIN_HOST_DEVICE void StoreEven(const Lanes& values, float* to) {
  StoreInOrder(FirstAsEven(values, LoadInOrder(to)), to);
  StoreInOrder(SecondAsEven(values, LoadInOrder(to + kLanes)), to + kLanes);
}

// sums [kRun] += weights * x at the run's neighbours, which have a stride.
BASIN_HOST_DEVICE void AddRun(const NeighbourField::Run& run,
                              const float* weights, const int32_t* neighbours,
                              const float* x, Lanes* sums) {
  Lanes states[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    states[v] = LoadEven(x + run.first + 2 * v * kLanes);
  }
  if (run.odd_lane >= 0) {
    const Lanes odd = Broadcast(x[neighbours[run.odd_lane]]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int32_t element = run.odd_lane - v * kLanes;
      states[v] = kElements == element ? odd : states[v];
    }
  }
  const bool uniform = run.kind == NeighbourField::Kind::kUniform;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    sums[v] += (uniform ? Broadcast(run.weight) : Load(weights + v * kLanes)) *
               states[v];
  }
}

// sum [kRun] of the run of sites from `begin` on, binary.
// REQUIRES: begin is a multiple of kRun.
BASIN_HOST_DEVICE void AddRunOfNeighbours(const NeighbourField& field,
                                          int64_t begin, const float* x,
                                          float* sum) {
  using Kind = NeighbourField::Kind;
  const NeighbourField::SiteRun& own = field.site_runs[begin / kRun];
  const NeighbourField::Run* runs = field.runs + begin / kRun * field.degree;
  const bool uniform = own.kind == Kind::kUniform || own.kind == Kind::kAlike;
  Lanes sums[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    sums[v] =
        uniform ? Broadcast(own.bias) : Load(field.bias + begin + v * kLanes);
  }
  for (int64_t k = 0; k < field.degree; ++k) {
    const float* weights = field.weights + k * field.sites + begin;
    const int32_t* neighbours = field.neighbours + k * field.sites + begin;
    if (runs[k].kind != Kind::kNone) {
      AddRun(runs[k], weights, neighbours, x, sums);
      continue;
    }
    alignas(64) float each[kRun];
    for (int l = 0; l < kRun; ++l) each[l] = weights[l] * x[neighbours[l]];
    for (int v = 0; v < kVectors; ++v) sums[v] += Load(each + v * kLanes);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) Store(sums[v], sum + v * kLanes);
}

// parameter [count] of the sites from `begin` on in the state x, binary.
BASIN_HOST_DEVICE void AddNeighbours(const NeighbourField& field, int64_t begin,
                                     int64_t count, const float* x,
                                     float* parameter) {
  const int64_t end = begin + count;
  for (int64_t at = begin; at < end;) {
    if (at % kRun == 0 && at + kRun <= end) {
      AddRunOfNeighbours(field, at, x, parameter + (at - begin));
      at += kRun;
      continue;
    }
    float sum = field.bias[at];
    for (int64_t k = 0; k < field.degree; ++k) {
      sum += field.weights[k * field.sites + at] *
             x[field.neighbours[k * field.sites + at]];
    }
    parameter[at - begin] = sum;
    ++at;
  }
}

// The same for all classes of each site: parameter [count, q].
BASIN_HOST_DEVICE void AddNeighbourClasses(const NeighbourField& field,
                                           int64_t begin, int64_t count,
                                           const float* x, float* parameter) {
  const int64_t q = field.classes;
  for (int64_t l = 0; l < count; ++l) {
    float* sum = parameter + l * q;
    const float* bias = field.bias + (begin + l) * q;
    for (int64_t a = 0; a < q; ++a) sum[a] = bias[a];
    for (int64_t k = 0; k < field.degree; ++k) {
      const int64_t at = k * field.sites + begin + l;
      const float weight = field.weights[at];
      const float* neighbour = x + field.neighbours[at] * q;
      for (int64_t a = 0; a < q; ++a) sum[a] += weight * neighbour[a];
    }
  }
}

BASIN_HOST_DEVICE void AddField(const NeighbourField& field, int64_t begin,
                                int64_t count, const float* x,
                                float* parameter) {
  if (field.classes == 0) {
    AddNeighbours(field, begin, count, x, parameter);
  } else {
    AddNeighbourClasses(field, begin, count, x, parameter);
  }
}

// Which words draw a 1 where c of `degree` neighbours are 1 that all weigh the
// same: those with word >> 9 below below[c]. One sum of the field, one
// probability and one threshold for all such sites.
class CountTable {
 public:
  // Does nothing if these are what it has.
  void Prepare(const NeighbourField::SiteRun& run, int64_t degree, float beta) {
    const bool same = run.bias == bias_ && run.weight == weight_ &&
                      degree == degree_ && beta == beta_;
    if (same) return;
    bias_ = run.bias;
    weight_ = run.weight;
    degree_ = degree;
    beta_ = beta;
    float parameter = bias_;
    finite_ = true;
    for (int64_t c = 0; c <= degree; ++c) {
      const float logit = beta * parameter;
      finite_ = finite_ && logit - logit == 0;
      below_[c] = finite_ ? Below(logit) : 0;
      parameter += weight_;
    }
  }

  // Whether all laws are finite.
  bool finite() const { return finite_; }

  // below[c], for the numbers c of all lanes.
  BASIN_HOST_DEVICE LaneNumbers operator[](const LaneNumbers& count) const {
#if defined(__AVX2__)
    const __m256i below =
        _mm256_load_si256(reinterpret_cast<const __m256i*>(below_));
    return reinterpret_cast<LaneNumbers>(
        _mm256_permutevar8x32_epi32(below, reinterpret_cast<__m256i>(count)));
#else
    LaneNumbers below = below_[0] - LaneNumbers{};
    for (int32_t c = 1; c <= degree_; ++c) {
      below = count >= c ? below_[c] - LaneNumbers{} : below;
    }
    return below;
#endif
  }

 private:
  static constexpr int32_t kWords = 1 << 23;

  // How many of the kWords values of word >> 9 DrawBernoulli() makes 1.
  static int32_t Below(float logit) {
    const auto draws = [logit](int32_t number) {
      return DrawBernoulli(logit, static_cast<uint32_t>(number) << 9) == 1.0F;
    };
    // About, and then exactly.
    auto below =
        static_cast<int32_t>(kWords / (1.0 + ExpOfDouble(-Clamp(logit))));
    while (below < kWords && draws(below)) ++below;
    while (below > 0 && !draws(below - 1)) --below;
    return below;
  }

  static double Clamp(float logit) {
    constexpr float kLargest = 20.0F;
    return logit < -kLargest ? -kLargest : logit > kLargest ? kLargest : logit;
  }

  float bias_ = 0;
  float weight_ = 0;
  int64_t degree_ = -1;
  float beta_ = 0;
  bool finite_ = false;
  alignas(32) int32_t below_[NeighbourField::kMostAlike + 1] = {};
};

// Draws the run of alike sites from `begin` on of the state x, with `words`.
// REQUIRES: x is 0 or 1 everywhere.
BASIN_HOST_DEVICE void DrawAlike(const NeighbourField& field, int64_t begin,
                                 const CountTable& table, const uint32_t* words,
                                 float* x) {
  const NeighbourField::Run* runs = field.runs + begin / kRun * field.degree;
  // Of the sites' neighbours, and of those beside them.
  Lanes both[2 * kVectors] = {};
  for (int64_t k = 0; k < field.degree; ++k) {
    const float* from = x + runs[k].first;
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVectors; ++v) {
      both[v] += LoadInOrder(from + v * kLanes);
    }
  }
  Lanes ones[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    ones[v] = Even(both[2 * v], both[2 * v + 1]);
  }
  for (int64_t k = 0; k < field.degree; ++k) {
    const int32_t odd = runs[k].odd_lane;
    if (odd < 0) continue;
    const Lanes change =
        Broadcast(x[field.neighbours[k * field.sites + begin + odd]] -
                  x[runs[k].first + 2 * odd]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      ones[v] += kElements == odd - v * kLanes ? change : Lanes{};
    }
  }
  float* to = x + field.site_runs[begin / kRun].first;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    LaneNumbers numbers;
    __builtin_memcpy(&numbers, words + v * kLanes, sizeof(numbers));
    numbers = Reordered(numbers);
    using Words = uint32_t __attribute__((vector_size(sizeof(Lanes))));
    numbers =
        reinterpret_cast<LaneNumbers>(reinterpret_cast<Words>(numbers) >> 9);
    const LaneNumbers is_one =
        numbers < table[__builtin_convertvector(ones[v], LaneNumbers)];
    constexpr int32_t kOne = 0x3F800000;
    StoreEven(reinterpret_cast<Lanes>(is_one & kOne), to + 2 * v * kLanes);
  }
}

// Whether the `count` sites from `begin` on start with a run of alike ones.
BASIN_HOST_DEVICE bool StartsAlike(const NeighbourField& field, int64_t begin,
                                   int count) {
  return begin % kRun == 0 && count >= kRun &&
         field.site_runs[begin / kRun].kind == NeighbourField::Kind::kAlike;
}

}  // namespace basin::BASIN_ISA

#endif  // BASIN_CORE_BACKEND_CPU_NEIGHBOUR_RUNS_H_
