#ifndef BASIN_TESTS_CONFORMANCE_ONNX_SCOPE_H_
#define BASIN_TESTS_CONFORMANCE_ONNX_SCOPE_H_

#include <string>

#include "core/onnx/onnx_proto.h"

namespace basin::testing {

// Why a test of ONNX is none of Basin's: what it asks for is no part of an
// energy that Basin serves. Empty if it is in scope. Every reason is decided
// by hand, in onnx_scope.cc: an operator that is forgotten fails.
std::string WhyNotInScope(const std::string& test,
                          const onnx::ModelProto& model);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CONFORMANCE_ONNX_SCOPE_H_
