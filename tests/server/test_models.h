#ifndef BASIN_TESTS_SERVER_TEST_MODELS_H_
#define BASIN_TESTS_SERVER_TEST_MODELS_H_

// Descriptions of models that do not exist, and tensors for them.

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/energy_model.h"

#include "basin/v1/common.pb.h"

namespace basin::testing {

// States [2, 3] in [0, 1], MALA with step size 0.1, uint8 accepted.
inline ModelInfo SmallModel() {
  ModelInfo model;
  model.name = "small";
  model.version = 1;
  model.state_shape = Shape({2, 3});
  model.dimension = 6;
  model.uint8_scale = 0.5;
  model.domain.box = {0, 1};
  model.initial = UniformLaw{0, 1};
  model.default_steps = 40;
  model.has_default_transition = true;
  model.default_transition.kind = TransitionKind::kMala;
  model.default_transition.step_size = 0.1;
  return model;
}

// Elements of any type.
template <typename T>
v1::Tensor TensorOf(v1::DType dtype, const std::vector<int64_t>& shape,
                    const std::vector<T>& values) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  for (const int64_t dim : shape) tensor.add_shape(dim);
  tensor.mutable_data()->assign(reinterpret_cast<const char*>(values.data()),
                                values.size() * sizeof(T));
  return tensor;
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_SERVER_TEST_MODELS_H_
