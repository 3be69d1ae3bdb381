#ifndef BASIN_CORE_BACKEND_CPU_PROGRAM_LOOPS_H_
#define BASIN_CORE_BACKEND_CPU_PROGRAM_LOOPS_H_

// The interpreter of elementwise programs, see program_kernel.cc, which
// prepares everything that does not depend on the data. Plain types only:
// this header is shared with code compiled per instruction set.

#include <cstdint>

namespace basin {

// A program's values, by number: the operands, then constants, then registers.
// An instruction's loop runs over a piece of up to `piece` elements. A splat
// is a value whose piece is one element, repeated.
struct ProgramStep {
  uint8_t op;      // a ScalarOp
  uint8_t splats;  // bit i: argument i is a splat
  bool is_splat;   // so is the result: compute one element
  int16_t args[3];
  int16_t result;
};

// How an operand is laid out over the program's loops: one stride, in
// elements, for each outer loop.
struct ProgramOperand {
  // kPointer: the block lies in memory as it is. kSplat: one element for the
  // whole block. kPattern: must be copied together for each block; kFixed:
  // the same, but it is the same for all blocks.
  enum class Kind : uint8_t { kPointer, kSplat, kPattern, kFixed };
  static constexpr int kMaxLoops = 9;

  Kind kind = Kind::kPointer;
  int64_t outer_strides[kMaxLoops] = {};
  int64_t block_strides[kMaxLoops] = {};  // kPattern, kFixed
  int64_t buffer = 0;  // where in the scratch memory the copy is, in floats
};

struct ProgramLoops {
  int num_operands = 0;
  int num_values = 0;
  int num_steps = 0;
  const ProgramStep* steps = nullptr;
  const ProgramOperand* operands = nullptr;
  const float* constants = nullptr;  // [num_values - operands - registers]
  int num_constants = 0;

  // The result is outer_rank loops over blocks of block_size contiguous
  // elements; a block is itself block_rank loops, for patterns.
  int outer_rank = 0;
  int64_t outer_dims[ProgramOperand::kMaxLoops] = {};
  int64_t num_blocks = 0;
  int block_rank = 0;
  int64_t block_dims[ProgramOperand::kMaxLoops] = {};
  int64_t block_size = 0;
  int64_t piece = 0;

  int64_t registers = 0;  // where the registers' memory starts, in floats
};

// Runs the program. `values` has room for num_values pointers, `scratch` for
// the registers and the copied operands.
using RunProgramFunction = void (*)(const ProgramLoops& loops,
                                    const float* const* operands, float* out,
                                    const float** values, float* scratch);

// Defined in core/backend/cpu/program_isa.cc.
namespace isa_baseline {
extern const RunProgramFunction kRunProgram;
}
namespace isa_v3 {
extern const RunProgramFunction kRunProgram;
}
namespace isa_v4 {
extern const RunProgramFunction kRunProgram;
}

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CPU_PROGRAM_LOOPS_H_
