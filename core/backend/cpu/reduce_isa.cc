// Reductions, compiled once per instruction set: see core/base/cpu_isa.h.
// Sums have a fixed order: 32 lanes, added up in a fixed tree.

#include <cstdint>

#include "core/backend/cpu/reduce_loops.h"
#include "core/base/elementary.h"

namespace basin::BASIN_ISA {
namespace {

constexpr int kLanes = 16;  // of one vector
using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));

// Shorter rows are reduced one element after the other.
constexpr int64_t kShort = 16;

struct Sum {
  static constexpr float kNeutral = 0.0F;
  static BASIN_HOST_DEVICE float Join(float a, float b) { return a + b; }
  static BASIN_HOST_DEVICE double Join(double a, double b) { return a + b; }
  static BASIN_HOST_DEVICE void Join(Vector& a, const Vector& b) { a += b; }
};

struct Max {
  static constexpr float kNeutral = -__builtin_inff();
  static BASIN_HOST_DEVICE float Join(float a, float b) {
    return Maximum(a, b);
  }
  static BASIN_HOST_DEVICE double Join(double a, double b) {
    const double larger = a > b ? a : b;
    return a != a ? a : larger;
  }
  static BASIN_HOST_DEVICE void Join(Vector& a, const Vector& b) {
    const Vector larger = a > b ? a : b;
    a = a != a ? a : larger;
  }
};

// The loops' position: moves `at` from one place to the next.
template <typename T>
BASIN_HOST_DEVICE const T* Advance(const T* at, int rank, const int64_t* dims,
                                   const int64_t* strides, int64_t* index) {
  for (int d = rank - 1; d >= 0; --d) {
    at += strides[d];
    if (++index[d] < dims[d]) return at;
    at -= strides[d] * dims[d];
    index[d] = 0;
  }
  return at;
}

template <typename Reduction>
BASIN_HOST_DEVICE void JoinRow(const float* x, int64_t n, Vector& even,
                               Vector& odd) {
  Vector v;
  Vector w;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    __builtin_memcpy(&v, x + i, sizeof(v));
    __builtin_memcpy(&w, x + i + kLanes, sizeof(w));
    Reduction::Join(even, v);
    Reduction::Join(odd, w);
  }
  if (i == n) return;
  float tail[2 * kLanes];
  for (int64_t l = 0; l < 2 * kLanes; ++l) {
    tail[l] = i + l < n ? x[i + l] : Reduction::kNeutral;
  }
  __builtin_memcpy(&v, tail, sizeof(v));
  __builtin_memcpy(&w, tail + kLanes, sizeof(w));
  Reduction::Join(even, v);
  Reduction::Join(odd, w);
}

template <typename Reduction>
BASIN_HOST_DEVICE float JoinLanes(Vector even, const Vector& odd) {
  Reduction::Join(even, odd);
  float lanes[kLanes];
  __builtin_memcpy(lanes, &even, sizeof(lanes));
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) {
      lanes[l] = Reduction::Join(lanes[l], lanes[l + width]);
    }
  }
  return lanes[0];
}

// One element of the result: all of `loops`' reduced axes from `x` on.
template <typename Reduction>
BASIN_HOST_DEVICE float ReduceToOne(const ReduceLoops& loops, const float* x) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  if (loops.inner < kShort) {
    float result = Reduction::kNeutral;
    for (int64_t r = 0; r < loops.num_reduced; ++r) {
      for (int64_t i = 0; i < loops.inner; ++i) {
        result = Reduction::Join(result, x[i]);
      }
      x = Advance(x, loops.reduced_rank, loops.reduced_dims,
                  loops.reduced_strides, index);
    }
    return result;
  }
  Vector even = Vector{} + Reduction::kNeutral;
  Vector odd = even;
  for (int64_t r = 0; r < loops.num_reduced; ++r) {
    JoinRow<Reduction>(x, loops.inner, even, odd);
    x = Advance(x, loops.reduced_rank, loops.reduced_dims,
                loops.reduced_strides, index);
  }
  return JoinLanes<Reduction>(even, odd);
}

// A row of the result: the inner axis is kept.
template <typename Reduction>
BASIN_HOST_DEVICE void ReduceToRow(const ReduceLoops& loops, const float* x,
                                   float* __restrict out) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  const int64_t n = loops.inner;
  for (int64_t i = 0; i < n; ++i) out[i] = Reduction::kNeutral;
  for (int64_t r = 0; r < loops.num_reduced; ++r) {
    for (int64_t i = 0; i < n; ++i) out[i] = Reduction::Join(out[i], x[i]);
    x = Advance(x, loops.reduced_rank, loops.reduced_dims,
                loops.reduced_strides, index);
  }
}

template <typename Reduction>
void Reduce(const ReduceLoops& loops, const float* x, float* out) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  for (int64_t k = 0; k < loops.num_kept; ++k) {
    if (loops.inner_is == ReduceLoops::Inner::kReduced) {
      out[k] = ReduceToOne<Reduction>(loops, x);
    } else {
      ReduceToRow<Reduction>(loops, x, out + k * loops.inner);
    }
    x = Advance(x, loops.kept_rank, loops.kept_dims, loops.kept_strides, index);
  }
}

// Both kinds in double: element i of a row in lane i % kLanes.
template <typename Reduction, typename T>
BASIN_HOST_DEVICE double ReduceToDouble(const ReduceLoops& loops, const T* x) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  double lanes[kLanes];
  for (double& lane : lanes) lane = Reduction::kNeutral;
  for (int64_t r = 0; r < loops.num_reduced; ++r) {
    int64_t i = 0;
    for (; i + kLanes <= loops.inner; i += kLanes) {
      for (int l = 0; l < kLanes; ++l) {
        lanes[l] = Reduction::Join(lanes[l], static_cast<double>(x[i + l]));
      }
    }
    for (int l = 0; i + l < loops.inner; ++l) {
      lanes[l] = Reduction::Join(lanes[l], static_cast<double>(x[i + l]));
    }
    x = Advance(x, loops.reduced_rank, loops.reduced_dims,
                loops.reduced_strides, index);
  }
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) {
      lanes[l] = Reduction::Join(lanes[l], lanes[l + width]);
    }
  }
  return lanes[0];
}

template <typename Reduction, typename T>
BASIN_HOST_DEVICE void ReduceToDoubles(const ReduceLoops& loops, const T* x,
                                       double* __restrict out) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  const int64_t n = loops.inner;
  for (int64_t i = 0; i < n; ++i) out[i] = Reduction::kNeutral;
  for (int64_t r = 0; r < loops.num_reduced; ++r) {
    for (int64_t i = 0; i < n; ++i) {
      out[i] = Reduction::Join(out[i], static_cast<double>(x[i]));
    }
    x = Advance(x, loops.reduced_rank, loops.reduced_dims,
                loops.reduced_strides, index);
  }
}

template <typename Reduction, typename T>
void ReduceInDouble(const ReduceLoops& loops, const T* x, double* out) {
  int64_t index[ReduceLoops::kMaxLoops] = {};
  for (int64_t k = 0; k < loops.num_kept; ++k) {
    if (loops.inner_is == ReduceLoops::Inner::kReduced) {
      out[k] = ReduceToDouble<Reduction>(loops, x);
    } else {
      ReduceToDoubles<Reduction>(loops, x, out + k * loops.inner);
    }
    x = Advance(x, loops.kept_rank, loops.kept_dims, loops.kept_strides, index);
  }
}

template <typename T>
void RunInDouble(const ReduceLoops& loops, const T* x, double* out) {
  if (loops.kind == ReduceLoops::Kind::kSum) {
    ReduceInDouble<Sum>(loops, x, out);
  } else {
    ReduceInDouble<Max>(loops, x, out);
  }
}

void Run(const ReduceLoops& loops, const float* x, float* out) {
  if (loops.kind == ReduceLoops::Kind::kSum) {
    Reduce<Sum>(loops, x, out);
  } else {
    Reduce<Max>(loops, x, out);
  }
}

}  // namespace

extern const RunReduceFunction kRunReduce = Run;
extern const RunWideReduceFunction kRunWideReduce = RunInDouble<float>;
extern const RunDoubleReduceFunction kRunDoubleReduce = RunInDouble<double>;

}  // namespace basin::BASIN_ISA
