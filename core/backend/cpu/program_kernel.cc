#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/backend/cpu/float64_kernels.h"
#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/program_loops.h"
#include "core/base/check.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

// Elements of a register: a few of them fit in the first-level cache.
constexpr int64_t kPiece = 1024;
// With more registers than this, pieces are halved.
constexpr int kFewRegisters = 4;
// Blocks shorter than this are joined, for loops that pay.
constexpr int64_t kShortBlock = 64;

// The loops of the result, outermost first, with strides per operand.
struct Loops {
  std::vector<int64_t> dims;
  std::vector<std::vector<int64_t>> strides;  // [operand][loop], elements
};

// One loop for each axis; broadcast axes have stride 0.
Loops LoopsOf(const KernelInput& input) {
  const Shape& shape = input.node().shape;
  Loops loops;
  loops.dims.assign(shape.dims().begin(), shape.dims().end());
  for (size_t i = 0; i < input.node().inputs.size(); ++i) {
    const Shape& operand = input.input_shape(static_cast<int>(i));
    std::vector<int64_t> strides(loops.dims.size(), 0);
    int64_t stride = 1;
    for (int axis = operand.rank() - 1; axis >= 0; --axis) {
      if (operand.dim(axis) == 1) continue;
      strides[static_cast<size_t>(axis)] = stride;
      stride *= operand.dim(axis);
    }
    loops.strides.push_back(std::move(strides));
  }
  return loops;
}

// Whether loop d can be joined with the loop outside it, for all operands.
bool Joins(const Loops& loops, const Loops& joined, size_t d) {
  for (size_t o = 0; o < loops.strides.size(); ++o) {
    if (joined.strides[o].back() != loops.strides[o][d] * loops.dims[d]) {
      return false;
    }
  }
  return true;
}

// Drops loops of one turn and joins neighbours: at least one loop remains.
Loops Join(const Loops& loops) {
  Loops joined;
  joined.strides.resize(loops.strides.size());
  for (size_t d = 0; d < loops.dims.size(); ++d) {
    if (loops.dims[d] == 1) continue;
    const bool joins = !joined.dims.empty() && Joins(loops, joined, d);
    if (!joins) joined.dims.push_back(1);
    joined.dims.back() *= loops.dims[d];
    for (size_t o = 0; o < loops.strides.size(); ++o) {
      if (!joins) joined.strides[o].push_back(0);
      joined.strides[o].back() = loops.strides[o][d];
    }
  }
  if (joined.dims.empty()) {
    joined.dims.push_back(1);
    for (std::vector<int64_t>& strides : joined.strides) strides.push_back(0);
  }
  return joined;
}

// The largest divisor of n that is at most `limit`.
int64_t LargestDivisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d) {
    if (n % d == 0) return d;
  }
  return 1;
}

// How many innermost loops make a block. Where they come out short, a part of
// one more loop is split off for it.
size_t ChooseBlock(Loops& loops) {
  int64_t size = loops.dims.back();
  size_t count = 1;
  while (size < kShortBlock && count < loops.dims.size()) {
    const size_t d = loops.dims.size() - count - 1;
    const int64_t part = LargestDivisor(loops.dims[d], kPiece / size);
    if (part == 1) break;
    if (part < loops.dims[d]) {
      loops.dims[d] /= part;
      loops.dims.insert(loops.dims.begin() + static_cast<int64_t>(d) + 1, part);
      for (std::vector<int64_t>& strides : loops.strides) {
        const int64_t stride = strides[d];
        strides[d] *= part;
        strides.insert(strides.begin() + static_cast<int64_t>(d) + 1, stride);
      }
      return count + 1;
    }
    size *= part;
    ++count;
  }
  return count;
}

ProgramOperand::Kind KindOf(const Loops& loops,
                            const std::vector<int64_t>& strides, size_t first) {
  bool splat = true;
  bool dense = true;
  int64_t stride = 1;
  for (size_t d = loops.dims.size(); d-- > first;) {
    splat = splat && strides[d] == 0;
    dense = dense && strides[d] == stride;
    stride *= loops.dims[d];
  }
  if (splat) return ProgramOperand::Kind::kSplat;
  if (dense) return ProgramOperand::Kind::kPointer;
  const bool fixed = std::all_of(strides.begin(),
                                 strides.begin() + static_cast<int64_t>(first),
                                 [](int64_t outer) { return outer == 0; });
  return fixed ? ProgramOperand::Kind::kFixed : ProgramOperand::Kind::kPattern;
}

// A value of the program while it is prepared.
struct Value {
  int16_t number = 0;  // in the interpreter
  bool splat = false;
  int last_use = -1;  // instruction
};

class ProgramKernel : public Kernel {
 public:
  ProgramKernel(const KernelInput& input, const ScalarProgram& program)
      : out_(input.id),
        inputs_(input.node().inputs.begin(), input.node().inputs.end()),
        constants_(program.constants) {
    PrepareLoops(input);
    PrepareSteps(program);
    PrepareMemory();
  }

  size_t scratch_bytes() const override {
    return pointer_bytes_ + static_cast<size_t>(num_floats_) * sizeof(float);
  }

  absl::Status Run(const KernelContext& context) const override {
    // [inputs | values | starts of operands], then floats.
    auto** pointers = reinterpret_cast<const float**>(context.scratch);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      pointers[i] = context.values[inputs_[i]];
    }
    run_(loops_, pointers, context.values[out_], pointers + inputs_.size(),
         reinterpret_cast<float*>(context.scratch + pointer_bytes_));
    return absl::OkStatus();
  }

 private:
  void PrepareLoops(const KernelInput& input) {
    Loops loops = Join(LoopsOf(input));
    const size_t block_rank = ChooseBlock(loops);
    const size_t first = loops.dims.size() - block_rank;
    BASIN_CHECK(loops.dims.size() <= ProgramOperand::kMaxLoops);
    loops_.outer_rank = static_cast<int>(first);
    loops_.block_rank = static_cast<int>(block_rank);
    loops_.num_blocks = 1;
    loops_.block_size = 1;
    for (size_t d = 0; d < loops.dims.size(); ++d) {
      const int64_t dim = loops.dims[d];
      (d < first ? loops_.num_blocks : loops_.block_size) *= dim;
      (d < first ? loops_.outer_dims[d] : loops_.block_dims[d - first]) = dim;
    }
    for (const std::vector<int64_t>& strides : loops.strides) {
      ProgramOperand operand;
      operand.kind = KindOf(loops, strides, first);
      for (size_t d = 0; d < loops.dims.size(); ++d) {
        (d < first ? operand.outer_strides[d]
                   : operand.block_strides[d - first]) = strides[d];
      }
      operands_.push_back(operand);
    }
  }

  // Renumbers values: registers are used again once their value is dead.
  void PrepareSteps(const ScalarProgram& program) {
    std::vector<Value> values = InitialValues(program);
    const auto first = static_cast<int>(operands_.size() + constants_.size());
    std::vector<int16_t> free;
    int next = first;
    for (size_t i = 0; i < program.instructions.size(); ++i) {
      const ScalarInstruction& instruction = program.instructions[i];
      Value& result = values[static_cast<size_t>(first) + i];
      if (free.empty()) free.push_back(static_cast<int16_t>(next++));
      result.number = free.back();
      free.pop_back();
      const bool is_last = i + 1 == program.instructions.size();
      AddStep(instruction, is_last, values, result);
      for (int a = 0; a < Arity(instruction.op); ++a) {
        Value& value = values[static_cast<size_t>(instruction.args[a])];
        if (value.last_use != static_cast<int>(i)) continue;
        if (value.number >= first) free.push_back(value.number);
        value.last_use = -1;  // given back once, also in x * x
      }
      // Nobody reads it: dead code, which passes remove.
      if (result.last_use < 0) free.push_back(result.number);
    }
    num_registers_ = next - first;
    loops_.num_values = next;
  }

  std::vector<Value> InitialValues(const ScalarProgram& program) const {
    std::vector<Value> values(operands_.size() + constants_.size() +
                              program.instructions.size());
    for (size_t v = 0; v < operands_.size() + constants_.size(); ++v) {
      values[v].number = static_cast<int16_t>(v);
      values[v].splat = v >= operands_.size() ||
                        operands_[v].kind == ProgramOperand::Kind::kSplat;
    }
    for (size_t i = 0; i < program.instructions.size(); ++i) {
      const ScalarInstruction& instruction = program.instructions[i];
      for (int a = 0; a < Arity(instruction.op); ++a) {
        values[static_cast<size_t>(instruction.args[a])].last_use =
            static_cast<int>(i);
      }
    }
    return values;
  }

  void AddStep(const ScalarInstruction& instruction, bool is_last,
               const std::vector<Value>& values, Value& result) {
    ProgramStep step = {};
    step.op = static_cast<uint8_t>(instruction.op);
    step.result = result.number;
    const int arity = Arity(instruction.op);
    for (int a = 0; a < arity; ++a) {
      const Value& value = values[static_cast<size_t>(instruction.args[a])];
      step.args[a] = value.number;
      step.splats |= static_cast<uint8_t>((value.splat ? 1 : 0) << a);
    }
    result.splat = !is_last && step.splats == (1 << arity) - 1;
    step.is_splat = result.splat;
    steps_.push_back(step);
  }

  void PrepareMemory() {
    int64_t floats = 0;
    for (ProgramOperand& operand : operands_) {
      if (operand.kind != ProgramOperand::Kind::kPattern &&
          operand.kind != ProgramOperand::Kind::kFixed) {
        continue;
      }
      operand.buffer = floats;
      floats += Aligned(loops_.block_size);
    }
    const int64_t piece = num_registers_ <= kFewRegisters ? kPiece : kPiece / 2;
    loops_.piece = std::min(Aligned(loops_.block_size), piece);
    loops_.registers = floats;
    num_floats_ = floats + num_registers_ * loops_.piece;
    loops_.num_operands = static_cast<int>(operands_.size());
    loops_.num_steps = static_cast<int>(steps_.size());
    loops_.steps = steps_.data();
    loops_.operands = operands_.data();
    loops_.constants = constants_.data();
    loops_.num_constants = static_cast<int>(constants_.size());
    const size_t pointers = 2 * inputs_.size() + loops_.num_values;
    pointer_bytes_ = (pointers * sizeof(float*) + 63) / 64 * 64;
  }

  static int64_t Aligned(int64_t floats) { return (floats + 15) / 16 * 16; }

  const ValueId out_;
  const std::vector<ValueId> inputs_;
  const std::vector<float> constants_;
  const RunProgramFunction run_ = SelectByIsa(
      isa_baseline::kRunProgram, isa_v3::kRunProgram, isa_v4::kRunProgram);
  std::vector<ProgramOperand> operands_;
  std::vector<ProgramStep> steps_;
  ProgramLoops loops_;
  int num_registers_ = 0;
  size_t pointer_bytes_ = 0;
  int64_t num_floats_ = 0;
};

// A program of the one operation of a kElementwise node.
ScalarProgram SingleOperation(ScalarOp op) {
  ScalarProgram program;
  program.num_operands = Arity(op);
  ScalarInstruction instruction = {op, {-1, -1, -1}};
  for (int16_t a = 0; a < program.num_operands; ++a) instruction.args[a] = a;
  program.instructions.push_back(instruction);
  return program;
}

}  // namespace

KernelOr CreateProgramKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return CreateFloat64ElementwiseKernel(input);
  }
  const Node& node = input.node();
  const ScalarProgram program =
      node.op == Op::kFused
          ? std::get<FusedAttrs>(node.attributes).program
          : SingleOperation(std::get<ElementwiseAttrs>(node.attributes).op);
  const size_t values = node.inputs.size() + program.constants.size() +
                        program.instructions.size();
  if (values > std::numeric_limits<int16_t>::max()) {
    return absl::UnimplementedError(absl::StrCat(
        std::string(Name(node.op)), ": a program of ", values, " values"));
  }
  return std::make_unique<ProgramKernel>(input, program);
}

}  // namespace basin
