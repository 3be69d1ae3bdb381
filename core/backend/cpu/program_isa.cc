// The interpreter of elementwise programs, compiled once per instruction set:
// see core/base/cpu_isa.h. One vectorised loop for each scalar operation and
// kind of arguments, over pieces that stay in the first-level cache.

#include <cstdint>

#include "core/backend/cpu/program_loops.h"
#include "core/base/elementary.h"
#include "core/graph/scalar_program.h"

namespace basin::BASIN_ISA {
namespace {

// a, b and c are the arguments; unused ones are any pointer.
using Loop = void (*)(const float* a, const float* b, const float* c,
                      float* out, int64_t n);

template <float (*kFormula)(float), int kSplats>
void Unary(const float* __restrict a, const float*, const float*,
           float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = kFormula(a[(kSplats & 1) != 0 ? 0 : i]);
  }
}

template <float (*kFormula)(float, float), int kSplats>
void Binary(const float* __restrict a, const float* __restrict b, const float*,
            float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] =
        kFormula(a[(kSplats & 1) != 0 ? 0 : i], b[(kSplats & 2) != 0 ? 0 : i]);
  }
}

template <int kSplats>
void Select(const float* __restrict a, const float* __restrict b,
            const float* __restrict c, float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float if_true = b[(kSplats & 2) != 0 ? 0 : i];
    const float if_false = c[(kSplats & 4) != 0 ? 0 : i];
    out[i] =
        SelectBits(a[(kSplats & 1) != 0 ? 0 : i] != 0.0F, if_true, if_false);
  }
}

BASIN_HOST_DEVICE float Neg(float a) { return -a; }
BASIN_HOST_DEVICE float Reciprocal(float a) { return 1.0F / a; }
BASIN_HOST_DEVICE float Add(float a, float b) { return a + b; }
BASIN_HOST_DEVICE float Sub(float a, float b) { return a - b; }
BASIN_HOST_DEVICE float Mul(float a, float b) { return a * b; }
BASIN_HOST_DEVICE float Div(float a, float b) { return a / b; }
BASIN_HOST_DEVICE float Less(float a, float b) { return a < b ? 1.0F : 0.0F; }
BASIN_HOST_DEVICE float LessEqual(float a, float b) {
  return a <= b ? 1.0F : 0.0F;
}
BASIN_HOST_DEVICE float Equal(float a, float b) { return a == b ? 1.0F : 0.0F; }

// The loops of one operation, by which arguments are splats.
struct LoopSet {
  Loop by_splats[8] = {};
};

template <float (*kFormula)(float)>
constexpr LoopSet UnarySet() {
  return {{Unary<kFormula, 0>, Unary<kFormula, 1>}};
}

template <float (*kFormula)(float, float)>
constexpr LoopSet BinarySet() {
  return {{Binary<kFormula, 0>, Binary<kFormula, 1>, Binary<kFormula, 2>,
           Binary<kFormula, 3>}};
}

constexpr LoopSet SelectSet() {
  return {{Select<0>, Select<1>, Select<2>, Select<3>, Select<4>, Select<5>,
           Select<6>, Select<7>}};
}

constexpr int kNumOps = static_cast<int>(ScalarOp::kSelect) + 1;

struct LoopTable {
  LoopSet sets[kNumOps];
};

constexpr LoopTable MakeTable() {
  LoopTable table = {};
  const auto set = [&table](ScalarOp op, const LoopSet& loops) {
    table.sets[static_cast<int>(op)] = loops;
  };
  set(ScalarOp::kNeg, UnarySet<Neg>());
  set(ScalarOp::kAbs, UnarySet<Abs>());
  set(ScalarOp::kSign, UnarySet<Sign>());
  set(ScalarOp::kExp, UnarySet<Exp>());
  set(ScalarOp::kLog, UnarySet<Log>());
  set(ScalarOp::kSqrt, UnarySet<Sqrt>());
  set(ScalarOp::kReciprocal, UnarySet<Reciprocal>());
  set(ScalarOp::kSin, UnarySet<Sin>());
  set(ScalarOp::kCos, UnarySet<Cos>());
  set(ScalarOp::kTanh, UnarySet<Tanh>());
  set(ScalarOp::kErf, UnarySet<Erf>());
  set(ScalarOp::kSigmoid, UnarySet<Sigmoid>());
  set(ScalarOp::kSoftplus, UnarySet<Softplus>());
  set(ScalarOp::kFloor, UnarySet<Floor>());
  set(ScalarOp::kSinh, UnarySet<Sinh>());
  set(ScalarOp::kAsin, UnarySet<Asin>());
  set(ScalarOp::kAcos, UnarySet<Acos>());
  set(ScalarOp::kAtan, UnarySet<Atan>());
  set(ScalarOp::kAsinh, UnarySet<Asinh>());
  set(ScalarOp::kAcosh, UnarySet<Acosh>());
  set(ScalarOp::kAtanh, UnarySet<Atanh>());
  set(ScalarOp::kAdd, BinarySet<Add>());
  set(ScalarOp::kSub, BinarySet<Sub>());
  set(ScalarOp::kMul, BinarySet<Mul>());
  set(ScalarOp::kDiv, BinarySet<Div>());
  set(ScalarOp::kPow, BinarySet<Pow>());
  set(ScalarOp::kMax, BinarySet<Maximum>());
  set(ScalarOp::kMin, BinarySet<Minimum>());
  set(ScalarOp::kLess, BinarySet<Less>());
  set(ScalarOp::kLessEqual, BinarySet<LessEqual>());
  set(ScalarOp::kEqual, BinarySet<Equal>());
  set(ScalarOp::kSelect, SelectSet());
  return table;
}

constexpr LoopTable kTable = MakeTable();

// Copies the block of an operand that starts at `from` to `to`.
void CopyPattern(const ProgramLoops& loops, const ProgramOperand& operand,
                 const float* from, float* to) {
  const int last = loops.block_rank - 1;
  const int64_t inner = loops.block_dims[last];
  const int64_t stride = operand.block_strides[last];
  int64_t index[ProgramOperand::kMaxLoops] = {};
  for (int64_t done = 0; done < loops.block_size; done += inner) {
    for (int64_t i = 0; i < inner; ++i) to[done + i] = from[i * stride];
    for (int d = last - 1; d >= 0; --d) {
      from += operand.block_strides[d];
      if (++index[d] < loops.block_dims[d]) break;
      from -= operand.block_strides[d] * loops.block_dims[d];
      index[d] = 0;
    }
  }
}

// One piece of n elements: the last step writes to `out`.
void RunPiece(const ProgramLoops& loops, const float* const* values, float* out,
              int64_t n) {
  for (int s = 0; s < loops.num_steps; ++s) {
    const ProgramStep& step = loops.steps[s];
    const bool is_last = s + 1 == loops.num_steps;
    // Registers are scratch memory of ours, constant only to the readers.
    float* result = is_last ? out : const_cast<float*>(values[step.result]);
    const Loop loop = kTable.sets[step.op].by_splats[step.splats];
    loop(values[step.args[0]], values[step.args[1]], values[step.args[2]],
         result, step.is_splat ? 1 : n);
  }
}

// Sets the operands' values for the block whose operands start at `starts`.
void SetBlock(const ProgramLoops& loops, const float* const* starts,
              const float** values, float* scratch) {
  for (int o = 0; o < loops.num_operands; ++o) {
    const ProgramOperand& operand = loops.operands[o];
    switch (operand.kind) {
      case ProgramOperand::Kind::kPattern:
        CopyPattern(loops, operand, starts[o], scratch + operand.buffer);
        [[fallthrough]];
      case ProgramOperand::Kind::kFixed:
        values[o] = scratch + operand.buffer;
        break;
      case ProgramOperand::Kind::kPointer:
      case ProgramOperand::Kind::kSplat:
        values[o] = starts[o];
        break;
    }
  }
}

void RunBlock(const ProgramLoops& loops, const float** values, float* out) {
  for (int64_t done = 0; done < loops.block_size; done += loops.piece) {
    const int64_t left = loops.block_size - done;
    const int64_t n = left < loops.piece ? left : loops.piece;
    RunPiece(loops, values, out + done, n);
    for (int o = 0; o < loops.num_operands; ++o) {
      const bool splat = loops.operands[o].kind == ProgramOperand::Kind::kSplat;
      values[o] += splat ? 0 : n;
    }
  }
}

// Moves the operands' starts to the next block.
void NextBlock(const ProgramLoops& loops, int64_t* index,
               const float** starts) {
  for (int d = loops.outer_rank - 1; d >= 0; --d) {
    const bool wraps = ++index[d] == loops.outer_dims[d];
    const int64_t steps = wraps ? 1 - loops.outer_dims[d] : 1;
    for (int o = 0; o < loops.num_operands; ++o) {
      starts[o] += loops.operands[o].outer_strides[d] * steps;
    }
    if (!wraps) return;
    index[d] = 0;
  }
}

void Run(const ProgramLoops& loops, const float* const* operands, float* out,
         const float** values, float* scratch) {
  const float** starts = values + loops.num_values;
  for (int o = 0; o < loops.num_operands; ++o) {
    starts[o] = operands[o];
    const ProgramOperand& operand = loops.operands[o];
    if (operand.kind == ProgramOperand::Kind::kFixed) {
      CopyPattern(loops, operand, operands[o], scratch + operand.buffer);
    }
  }
  const float** constants = values + loops.num_operands;
  for (int c = 0; c < loops.num_constants; ++c) {
    constants[c] = loops.constants + c;
  }
  const float** registers = constants + loops.num_constants;
  const int num_registers =
      loops.num_values - loops.num_operands - loops.num_constants;
  for (int r = 0; r < num_registers; ++r) {
    registers[r] = scratch + loops.registers + r * loops.piece;
  }
  int64_t index[ProgramOperand::kMaxLoops] = {};
  for (int64_t block = 0; block < loops.num_blocks; ++block) {
    SetBlock(loops, starts, values, scratch);
    RunBlock(loops, values, out + block * loops.block_size);
    NextBlock(loops, index, starts);
  }
}

}  // namespace

extern const RunProgramFunction kRunProgram = Run;

}  // namespace basin::BASIN_ISA
