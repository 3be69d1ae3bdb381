// Comparisons, logic and choice. Truth is an integer here, 0 or 1. All but
// Where are piecewise constant: their gradient is zero.

#include <limits>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/operators.h"

namespace basin::internal {
namespace {

// REQUIRES: truth.
Value Not(NodeContext& n, const Value& x) {
  return n.Binary(ScalarOp::kEqual, x, n.NumberLike(x, 0));
}

using Formula = Value (*)(NodeContext& n, const Value& a, const Value& b);

template <Formula formula>
absl::StatusOr<Value> LowerBinary(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value a, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value b, n.Input(1));
  return formula(n, a, b);
}

Value Less(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kLess, a, b);
}

Value LessOrEqual(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kLessEqual, a, b);
}

Value Greater(NodeContext& n, const Value& a, const Value& b) {
  return Less(n, b, a);
}

Value GreaterOrEqual(NodeContext& n, const Value& a, const Value& b) {
  return LessOrEqual(n, b, a);
}

Value Equal(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kEqual, a, b);
}

Value And(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kMin, a, b);
}

Value Or(NodeContext& n, const Value& a, const Value& b) {
  return n.Binary(ScalarOp::kMax, a, b);
}

Value Xor(NodeContext& n, const Value& a, const Value& b) {
  return Not(n, Equal(n, a, b));
}

absl::StatusOr<Value> LowerNot(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return Not(n, x);
}

absl::StatusOr<Value> LowerIsNaN(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  return Not(n, Equal(n, x, x));
}

absl::StatusOr<Value> LowerIsInf(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // One that no number is equal to stands for what is not looked for.
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  const bool positive = n.Int("detect_positive", 1) != 0;
  const bool negative = n.Int("detect_negative", 1) != 0;
  return Or(n, Equal(n, x, Number(positive ? kInfinity : kNone)),
            Equal(n, x, Number(negative ? -kInfinity : kNone)));
}

absl::StatusOr<Value> LowerWhere(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(3, 3));
  BASIN_ASSIGN_OR_RETURN(const Value condition, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Value a, n.Input(1));
  BASIN_ASSIGN_OR_RETURN(const Value b, n.Input(2));
  return n.Select(condition, a, b);
}

constexpr Operator kOperators[] = {
    {"And", 7, LowerBinary<And>},
    {"Equal", 7, LowerBinary<Equal>},
    {"Greater", 7, LowerBinary<Greater>},
    {"GreaterOrEqual", 12, LowerBinary<GreaterOrEqual>},
    {"IsInf", 10, LowerIsInf},
    {"IsNaN", 9, LowerIsNaN},
    {"Less", 7, LowerBinary<Less>},
    {"LessOrEqual", 12, LowerBinary<LessOrEqual>},
    {"Not", 1, LowerNot},
    {"Or", 7, LowerBinary<Or>},
    {"Where", 9, LowerWhere},
    {"Xor", 7, LowerBinary<Xor>},
};

}  // namespace

absl::Span<const Operator> LogicOperators() { return kOperators; }

}  // namespace basin::internal
