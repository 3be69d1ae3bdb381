#include "tests/testing/reference_scalar.h"

#include <cmath>
#include <limits>

#include "core/base/check.h"

namespace basin::testing {

namespace {

// sinh, and inverse circular and hyperbolic functions.
double InverseFunction(ScalarOp op, double a) {
  switch (op) {
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
  return a;
}

}  // namespace

double ReferenceScalar(ScalarOp op, double a, double b, double c) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const bool any_nan = std::isnan(a) || std::isnan(b);
  switch (op) {
    case ScalarOp::kNeg:
      return -a;
    case ScalarOp::kAbs:
      return std::fabs(a);
    case ScalarOp::kSign:
      return a > 0 ? 1 : a < 0 ? -1 : a;
    case ScalarOp::kExp:
      return std::exp(a);
    case ScalarOp::kLog:
      return std::log(a);
    case ScalarOp::kSqrt:
      return std::sqrt(a);
    case ScalarOp::kReciprocal:
      return 1 / a;
    case ScalarOp::kSin:
      return std::sin(a);
    case ScalarOp::kCos:
      return std::cos(a);
    case ScalarOp::kTanh:
      return std::tanh(a);
    case ScalarOp::kErf:
      return std::erf(a);
    case ScalarOp::kSigmoid:
      return 1 / (1 + std::exp(-a));
    case ScalarOp::kSoftplus:
      return a > 30 ? a : std::log1p(std::exp(a));
    case ScalarOp::kFloor:
      return std::floor(a);
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
      return any_nan ? nan : std::fmax(a, b);
    case ScalarOp::kMin:
      return any_nan ? nan : std::fmin(a, b);
    case ScalarOp::kLess:
      return a < b;
    case ScalarOp::kLessEqual:
      return a <= b;
    case ScalarOp::kEqual:
      return a == b;
    case ScalarOp::kSelect:
      return a != 0 ? b : c;
    default:
      return InverseFunction(op, a);
  }
}

}  // namespace basin::testing
