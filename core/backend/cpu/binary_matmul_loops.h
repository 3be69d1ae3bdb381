#ifndef BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_LOOPS_H_

// Products of zeros and ones with weights, see binary_matmul_kernel.cc. Plain
// types only: this header is shared with code compiled per instruction set.

#include <cstdint>

namespace basin {

// out [rows, columns] = x [rows, inner] w [inner, columns], every x 0 or 1; a
// row with any other x is NaN.
struct BinaryMatmulLoops {
  // Factors that are added up beforehand, in all their combinations: a table.
  static constexpr int kGroup = 4;
  static constexpr int kEntries = 1 << kGroup;
  // Columns that are computed together, and as many tables as the first-level
  // cache holds of them: 16 KiB.
  static constexpr int kColumns = 32;
  static constexpr int kTables = 8;

  int64_t rows = 0;
  int64_t inner = 0;
  int64_t columns = 0;

  int64_t groups() const { return (inner + kGroup - 1) / kGroup; }
  int64_t panels() const { return (columns + kColumns - 1) / kColumns; }
};

struct BinaryMatmulArrays {
  const float* x = nullptr;
  // w by panels: [panels(), groups() * kGroup, kColumns], zeros beyond it.
  const float* panels = nullptr;
  float* out = nullptr;
  // Scratch, aligned to 64 bytes.
  float* tables = nullptr;   // [kTables, kEntries, kColumns]
  float* sums = nullptr;     // [rows, kColumns]
  uint8_t* codes = nullptr;  // [rows, groups()]: which entry
  uint8_t* valid = nullptr;  // [rows]
};

using BinaryMatmulFunction = void (*)(const BinaryMatmulLoops& loops,
                                      const BinaryMatmulArrays& arrays);

// Defined in core/backend/cpu/binary_matmul_isa.cc.
namespace isa_baseline {
extern const BinaryMatmulFunction kBinaryMatmul;
}  // namespace isa_baseline
namespace isa_v3 {
extern const BinaryMatmulFunction kBinaryMatmul;
}  // namespace isa_v3
namespace isa_v4 {
extern const BinaryMatmulFunction kBinaryMatmul;
}  // namespace isa_v4

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_BINARY_MATMUL_LOOPS_H_
