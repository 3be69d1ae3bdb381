#ifndef BASIN_SERVER_CONTEXT_REQUEST_H_
#define BASIN_SERVER_CONTEXT_REQUEST_H_

// The fields "context" and "label" that Sample and Score requests share.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/map.h>

#include "core/model/energy_model.h"

namespace basin {

namespace v1 {
class Tensor;
}  // namespace v1

// What a request says of the model's context inputs. Borrows.
struct ContextFields {
  const google::protobuf::Map<std::string, v1::Tensor>& tensors;
  std::optional<int64_t> label;
  int64_t rows = 1;  // of the request: its chains or inputs
  // Of the context of all rows together.
  int64_t max_bytes = 0;
};

// The context of all rows, [rows, C], or [1, C] if one serves them all; what
// is left out has its default. NotFound for an input that the model does not
// have, InvalidArgument for what is missing, too large, or wrong in dtype,
// shape or byte count. The values themselves are the scheduler's to check.
absl::StatusOr<std::vector<float>> DecodeContext(const ContextFields& fields,
                                                 const ModelInfo& model);

}  // namespace basin

#endif  // BASIN_SERVER_CONTEXT_REQUEST_H_
