#ifndef BASIN_CORE_GRAPH_SCALAR_PROGRAM_H_
#define BASIN_CORE_GRAPH_SCALAR_PROGRAM_H_

// Elementwise computation as data: a short straight-line program that a
// backend runs for each element.

#include <cstdint>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace basin {

// Scalar operations. Comparisons give 1 or 0; select takes its second operand
// where the first is not 0, else its third. sign(0) is 0; max and min of a NaN
// are NaN.
enum class ScalarOp : uint8_t {
  // One operand.
  kNeg,
  kAbs,
  kSign,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kSin,
  kCos,
  kTanh,
  kErf,
  kSigmoid,
  kSoftplus,  // log(1 + exp(x))
  kFloor,
  kSinh,
  kAsin,
  kAcos,
  kAtan,
  kAsinh,
  kAcosh,
  kAtanh,
  // Two operands.
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMax,
  kMin,
  kLess,
  kLessEqual,
  kEqual,
  // Three operands.
  kSelect,
};

// 1, 2 or 3.
int Arity(ScalarOp op);

// "add", "exp", ...
std::string_view Name(ScalarOp op);

// The operation on one float; operands beyond its arity are ignored. Computed
// in double and rounded once: for folding constants, not for speed.
float EvaluateScalar(ScalarOp op, float a, float b, float c);

// The operation on one double, by the C++ library's functions.
double EvaluateInDouble(ScalarOp op, double a, double b, double c);

// What an instruction reads: values are numbered, first the program's
// operands, then its constants, then the results of its instructions.
struct ScalarInstruction {
  ScalarOp op;
  int16_t args[3] = {-1, -1, -1};  // value numbers; -1 where unused
};

// The result is the value of the last instruction.
struct ScalarProgram {
  int num_operands = 0;
  std::vector<float> constants;
  std::vector<ScalarInstruction> instructions;  // at least one
};

// Limits of a program, so that a backend can keep its values in registers and
// small fixed arrays. Validate() enforces them.
inline constexpr int kMaxProgramOperands = 12;
inline constexpr int kMaxProgramConstants = 32;
inline constexpr int kMaxProgramInstructions = 64;

// InvalidArgument if the program is empty, has no operand, is above a limit,
// or an instruction reads what is not computed before it.
absl::Status Validate(const ScalarProgram& program);

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_SCALAR_PROGRAM_H_
