#include "core/graph/scalar_program.h"

#include <cmath>

#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/tensor/tensor.h"

namespace basin {
namespace {

struct ScalarOpInfo {
  std::string_view name;
  int arity;
};

// In the order of ScalarOp.
constexpr ScalarOpInfo kInfo[] = {
    {"neg", 1},      {"abs", 1},        {"sign", 1},       {"exp", 1},
    {"log", 1},      {"sqrt", 1},       {"reciprocal", 1}, {"sin", 1},
    {"cos", 1},      {"tanh", 1},       {"erf", 1},        {"sigmoid", 1},
    {"softplus", 1}, {"floor", 1},      {"sinh", 1},       {"asin", 1},
    {"acos", 1},     {"atan", 1},       {"asinh", 1},      {"acosh", 1},
    {"atanh", 1},    {"add", 2},        {"sub", 2},        {"mul", 2},
    {"div", 2},      {"pow", 2},        {"max", 2},        {"min", 2},
    {"less", 2},     {"less_equal", 2}, {"equal", 2},      {"select", 3}};

const ScalarOpInfo& Info(ScalarOp op) {
  const auto index = static_cast<size_t>(op);
  BASIN_CHECK(index < sizeof(kInfo) / sizeof(kInfo[0]));
  return kInfo[index];
}

double EvaluateUnary(ScalarOp op, double a) {
  switch (op) {
    case ScalarOp::kNeg:
      return -a;
    case ScalarOp::kAbs:
      return std::abs(a);
    case ScalarOp::kSign:
      return std::isnan(a) ? a : static_cast<double>((a > 0) - (a < 0));
    case ScalarOp::kExp:
      return std::exp(a);
    case ScalarOp::kLog:
      return std::log(a);
    case ScalarOp::kSqrt:
      return std::sqrt(a);
    case ScalarOp::kReciprocal:
      return 1.0 / a;
    case ScalarOp::kSin:
      return std::sin(a);
    case ScalarOp::kCos:
      return std::cos(a);
    case ScalarOp::kTanh:
      return std::tanh(a);
    case ScalarOp::kErf:
      return std::erf(a);
    case ScalarOp::kSigmoid:
      return 1.0 / (1.0 + std::exp(-a));
    case ScalarOp::kSoftplus:
      return std::fmax(a, 0.0) + std::log1p(std::exp(-std::abs(a)));
    case ScalarOp::kFloor:
      return std::floor(a);
    case ScalarOp::kSinh:
      return std::sinh(a);
    case ScalarOp::kAsin:
      return std::asin(a);
    case ScalarOp::kAcos:
      return std::acos(a);
    case ScalarOp::kAtan:
      return std::atan(a);
    case ScalarOp::kAsinh:
      return std::asinh(a);
    case ScalarOp::kAcosh:
      return std::acosh(a);
    case ScalarOp::kAtanh:
      return std::atanh(a);
    default:
      break;
  }
  BASIN_CHECK(false);
  return 0.0;
}

double EvaluateBinary(ScalarOp op, double a, double b) {
  switch (op) {
    case ScalarOp::kAdd:
      return a + b;
    case ScalarOp::kSub:
      return a - b;
    case ScalarOp::kMul:
      return a * b;
    case ScalarOp::kDiv:
      return a / b;
    case ScalarOp::kPow:
      return std::pow(a, b);
    case ScalarOp::kMax:
      return a > b || std::isnan(a) ? a : b;
    case ScalarOp::kMin:
      return a < b || std::isnan(a) ? a : b;
    case ScalarOp::kLess:
      return a < b ? 1.0 : 0.0;
    case ScalarOp::kLessEqual:
      return a <= b ? 1.0 : 0.0;
    case ScalarOp::kEqual:
      return a == b ? 1.0 : 0.0;
    default:
      break;
  }
  BASIN_CHECK(false);
  return 0.0;
}

absl::Status CheckInstruction(const ScalarProgram& program, int index) {
  const ScalarInstruction& instruction = program.instructions[index];
  if (static_cast<size_t>(instruction.op) >= sizeof(kInfo) / sizeof(kInfo[0])) {
    return absl::InvalidArgumentError(absl::StrCat(
        "scalar program: instruction ", index, ": no such operation"));
  }
  const int known =
      program.num_operands + static_cast<int>(program.constants.size()) + index;
  for (int i = 0; i < Arity(instruction.op); ++i) {
    if (instruction.args[i] < 0 || instruction.args[i] >= known) {
      return absl::InvalidArgumentError(absl::StrCat(
          "scalar program: instruction ", index, " (",
          std::string(Name(instruction.op)), ") reads value ",
          instruction.args[i], ", but only 0 to ", known - 1, " exist there"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int Arity(ScalarOp op) { return Info(op).arity; }

std::string_view Name(ScalarOp op) { return Info(op).name; }

double EvaluateInDouble(ScalarOp op, double a, double b, double c) {
  if (op == ScalarOp::kSelect) return a != 0 ? b : c;
  return Arity(op) == 1 ? EvaluateUnary(op, a) : EvaluateBinary(op, a, b);
}

float EvaluateScalar(ScalarOp op, float a, float b, float c) {
  if (op == ScalarOp::kSelect) return a != 0 ? b : c;
  return ToFloat32(EvaluateInDouble(op, a, b, c));
}

absl::Status Validate(const ScalarProgram& program) {
  const size_t instructions = program.instructions.size();
  if (program.num_operands < 1 || program.num_operands > kMaxProgramOperands ||
      program.constants.size() > kMaxProgramConstants || instructions < 1 ||
      instructions > kMaxProgramInstructions) {
    return absl::InvalidArgumentError(absl::StrCat(
        "scalar program with ", program.num_operands, " operands, ",
        program.constants.size(), " constants and ", instructions,
        " instructions: expected 1 to ", kMaxProgramOperands, ", at most ",
        kMaxProgramConstants, ", and 1 to ", kMaxProgramInstructions));
  }
  for (size_t i = 0; i < instructions; ++i) {
    BASIN_RETURN_IF_ERROR(CheckInstruction(program, static_cast<int>(i)));
  }
  return absl::OkStatus();
}

}  // namespace basin
