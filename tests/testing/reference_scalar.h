#ifndef BASIN_TESTS_TESTING_REFERENCE_SCALAR_H_
#define BASIN_TESTS_TESTING_REFERENCE_SCALAR_H_

#include "core/graph/scalar_program.h"

namespace basin::testing {

// The scalar operations in double. Operands beyond the arity are ignored.
double ReferenceScalar(ScalarOp op, double a, double b, double c);

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_REFERENCE_SCALAR_H_
