#include <cstdint>

#include "core/base/elementary.h"
#include "tests/core/base/elementary_loops.h"

namespace basin::BASIN_ISA {
namespace {

template <float (*kFunction)(float)>
void Unary(const float* __restrict x, const float*, float* __restrict out,
           int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = kFunction(x[i]);
}

void Powers(const float* __restrict x, const float* __restrict y,
            float* __restrict out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = Pow(x[i], y[i]);
}

}  // namespace

extern const ElementaryLoops kElementaryLoops = {
    {Unary<Exp>, Unary<Log>, Unary<Sigmoid>, Unary<Softplus>, Unary<Tanh>,
     Unary<Erf>, Unary<Sin>, Unary<Cos>, Unary<Floor>, Unary<Sinh>, Unary<Asin>,
     Unary<Acos>, Unary<Atan>, Unary<Asinh>, Unary<Acosh>, Unary<Atanh>,
     Powers}};

}  // namespace basin::BASIN_ISA
