// Products of doubles, compiled once per instruction set: see
// core/base/cpu_isa.h.

#include <cstdint>

#include "core/backend/cpu/float64_loops.h"
#include "core/base/host_device.h"

namespace basin::BASIN_ISA {
namespace {

// A block of the result stays in registers: kRows rows of kVectors vectors.
constexpr int kRows = 4;
constexpr int kVectors = 2;
constexpr int kLanes = 8;
constexpr int kColumns = kVectors * kLanes;
using Vector = double __attribute__((vector_size(kLanes * sizeof(double))));

BASIN_HOST_DEVICE Vector Load(const double* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(vector));
  return vector;
}

// kColumns columns of the result.
template <int kBlockRows>
BASIN_HOST_DEVICE void Block(const DoubleProduct& p, const double* a,
                             const double* b, double* out) {
  Vector sums[kBlockRows][kVectors] = {};
  for (int i = 0; p.adds && i < kBlockRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = Load(out + i * p.n + v * kLanes);
    }
  }
  for (int64_t k = 0; k < p.k; ++k) {
    Vector from[kVectors];
    for (int v = 0; v < kVectors; ++v) from[v] = Load(b + k * p.n + v * kLanes);
    for (int i = 0; i < kBlockRows; ++i) {
      const double factor = a[i * p.a_row_stride + k * p.a_column_stride];
      for (int v = 0; v < kVectors; ++v) sums[i][v] += factor * from[v];
    }
  }
  for (int i = 0; i < kBlockRows; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      __builtin_memcpy(out + i * p.n + v * kLanes, &sums[i][v], sizeof(Vector));
    }
  }
}

// What is left: fewer than kColumns columns.
template <int kBlockRows>
BASIN_HOST_DEVICE void Rest(const DoubleProduct& p, int64_t columns,
                            const double* a, const double* b, double* out) {
  for (int i = 0; i < kBlockRows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = p.adds ? out[i * p.n + j] : 0.0;
      for (int64_t k = 0; k < p.k; ++k) {
        sum += a[i * p.a_row_stride + k * p.a_column_stride] * b[k * p.n + j];
      }
      out[i * p.n + j] = sum;
    }
  }
}

template <int kBlockRows>
BASIN_HOST_DEVICE void BlockRow(const DoubleProduct& p, const double* a,
                                const double* b, double* out) {
  int64_t j = 0;
  for (; j + kColumns <= p.n; j += kColumns) {
    Block<kBlockRows>(p, a, b + j, out + j);
  }
  if (j < p.n) Rest<kBlockRows>(p, p.n - j, a, b + j, out + j);
}

void Multiply(const DoubleProduct& p, const double* a, const double* b,
              double* out) {
  int64_t i = 0;
  for (; i + kRows <= p.m; i += kRows) {
    BlockRow<kRows>(p, a + i * p.a_row_stride, b, out + i * p.n);
  }
  for (; i < p.m; ++i) {
    BlockRow<1>(p, a + i * p.a_row_stride, b, out + i * p.n);
  }
}

}  // namespace

extern const MultiplyFunction kMultiply = Multiply;

}  // namespace basin::BASIN_ISA
