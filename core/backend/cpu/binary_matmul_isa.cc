// Products of zeros and ones with weights, compiled once per instruction set:
// see core/base/cpu_isa.h. Each sum runs over the groups in order, whatever
// the set and the number of rows.

#include <cstdint>

#include "core/backend/cpu/binary_matmul_loops.h"
#include "core/backend/cpu/register_lanes.h"
#include "core/base/host_device.h"

namespace basin::BASIN_ISA {
namespace {

constexpr int kGroup = BinaryMatmulLoops::kGroup;
constexpr int kEntries = BinaryMatmulLoops::kEntries;
constexpr int kColumns = BinaryMatmulLoops::kColumns;
constexpr int kTables = BinaryMatmulLoops::kTables;

constexpr int kVectors = kColumns / kLanes;

BASIN_HOST_DEVICE Lanes* AsLanes(float* at) {
  return static_cast<Lanes*>(__builtin_assume_aligned(at, sizeof(Lanes)));
}
BASIN_HOST_DEVICE const Lanes* AsLanes(const float* at) {
  return static_cast<const Lanes*>(__builtin_assume_aligned(at, sizeof(Lanes)));
}

// codes [groups] of x [inner]; false if an x is neither 0 nor 1.
bool Encode(const BinaryMatmulLoops& loops, const float* x, uint8_t* codes) {
  using Four = float __attribute__((vector_size(kGroup * sizeof(float))));
  using Mask = int32_t __attribute__((vector_size(kGroup * sizeof(float))));
  const int64_t whole = loops.inner / kGroup;
  constexpr Mask kBits = {1, 2, 4, 8};
  Mask wrong = {};
  const auto encode = [&](const Four& values) {
    const Mask ones = values == 1.0F;
    wrong |= ~(ones | (values == 0.0F));
    const Mask bits = ones & kBits;
    return static_cast<uint8_t>((bits[0] | bits[1]) | (bits[2] | bits[3]));
  };
  for (int64_t group = 0; group < whole; ++group) {
    Four values;
    __builtin_memcpy(&values, x + group * kGroup, sizeof(values));
    codes[group] = encode(values);
  }
  if (whole < loops.groups()) {
    Four values = {};
    for (int64_t i = whole * kGroup; i < loops.inner; ++i) {
      values[i - whole * kGroup] = x[i];
    }
    codes[whole] = encode(values);
  }
  return (wrong[0] | wrong[1] | wrong[2] | wrong[3]) == 0;
}

// table [kEntries, kColumns]: entry i is the sum of the rows of weights
// [kGroup, kColumns] that are the ones of i, the lowest first.
void FillTable(const float* weights, float* table) {
  const Lanes* w = AsLanes(weights);
  Lanes* entries = AsLanes(table);
  for (int j = 0; j < kVectors; ++j) {
    Lanes sums[kEntries];
    sums[0] = Lanes{};
#pragma GCC unroll 16
    for (int i = 1; i < kEntries; ++i) {
      const int highest = i < 2 ? 0 : i < 4 ? 1 : i < 8 ? 2 : 3;  // bit of i
      sums[i] = sums[i - (1 << highest)] + w[highest * kVectors + j];
    }
#pragma GCC unroll 16
    for (int i = 0; i < kEntries; ++i) entries[i * kVectors + j] = sums[i];
  }
}

// sums [kColumns] += the entries of `count` tables that `codes` name.
BASIN_HOST_DEVICE void AddEntries(const float* tables, const uint8_t* codes,
                                  int count, float* sums) {
  Lanes* to = AsLanes(sums);
  Lanes sum[kVectors];
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; ++j) sum[j] = to[j];
  for (int t = 0; t < count; ++t) {
    const Lanes* entry = AsLanes(tables) + (t * kEntries + codes[t]) * kVectors;
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; ++j) sum[j] += entry[j];
  }
#pragma GCC unroll 16
  for (int j = 0; j < kVectors; ++j) to[j] = sum[j];
}

// The sums of one panel, of all rows.
void SumPanel(const BinaryMatmulLoops& loops, const BinaryMatmulArrays& arrays,
              const float* panel) {
  const int64_t groups = loops.groups();
  for (int64_t i = 0; i < loops.rows * kColumns; ++i) arrays.sums[i] = 0;
  for (int64_t group = 0; group < groups; group += kTables) {
    const int64_t left = groups - group;
    const auto count = static_cast<int>(left < kTables ? left : kTables);
    for (int t = 0; t < count; ++t) {
      FillTable(panel + (group + t) * kGroup * kColumns,
                arrays.tables + t * kEntries * kColumns);
    }
    for (int64_t row = 0; row < loops.rows; ++row) {
      AddEntries(arrays.tables, arrays.codes + row * groups + group, count,
                 arrays.sums + row * kColumns);
    }
  }
}

void Run(const BinaryMatmulLoops& loops, const BinaryMatmulArrays& arrays) {
  const int64_t groups = loops.groups();
  for (int64_t row = 0; row < loops.rows; ++row) {
    arrays.valid[row] =
        Encode(loops, arrays.x + row * loops.inner, arrays.codes + row * groups)
            ? 1
            : 0;
  }
  for (int64_t panel = 0; panel < loops.panels(); ++panel) {
    SumPanel(loops, arrays, arrays.panels + panel * groups * kGroup * kColumns);
    const int64_t first = panel * kColumns;
    const int64_t left = loops.columns - first;
    const int64_t count = left < kColumns ? left : kColumns;
    for (int64_t row = 0; row < loops.rows; ++row) {
      float* out = arrays.out + row * loops.columns + first;
      const float* sums = arrays.sums + row * kColumns;
      for (int64_t j = 0; j < count; ++j) {
        out[j] = arrays.valid[row] != 0 ? sums[j] : __builtin_nanf("");
      }
    }
  }
}

}  // namespace

extern const BinaryMatmulFunction kBinaryMatmul;
const BinaryMatmulFunction kBinaryMatmul = Run;

}  // namespace basin::BASIN_ISA
