#ifndef BASIN_SERVER_TENSOR_CONVERT_H_
#define BASIN_SERVER_TENSOR_CONVERT_H_

// Between basin.v1.Tensor and the float32 rows that core works with. Pure
// functions; thread-safe. A tensor that comes from outside is trusted in
// nothing; errors name the field, what was expected and what came.

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include "core/model/energy_model.h"
#include "core/tensor/shape.h"

namespace basin {

namespace v1 {
class Tensor;
}  // namespace v1

// What a tensor of rows must be.
struct RowsExpectation {
  std::string field;             // its name in the request: "inputs"
  Shape shape;                   // of one row
  double uint8_scale = 0;        // 0 = uint8 is refused
  int64_t max_rows = 0;          // at most; at least one always
  absl::string_view limit_name;  // what max_rows is called
};

// Rows of the model's states.
RowsExpectation ExpectStates(absl::string_view field, const ModelInfo& model,
                             int64_t max_rows, absl::string_view limit_name);

// [rows, D], D = elements of one row.
struct FloatRows {
  int64_t rows = 0;
  std::vector<float> values;
};

// Checks the tensor's dtype, shape, byte count and limit, then converts it:
// uint8 elements are multiplied with the model's uint8_scale. All values are
// finite as float32. InvalidArgument otherwise.
absl::StatusOr<FloatRows> RowsFromProto(const v1::Tensor& tensor,
                                        const RowsExpectation& expected);

// One value for each coordinate of the model's states, [D], from a tensor of
// the state's shape; as RowsFromProto() otherwise.
absl::StatusOr<std::vector<float>> CoordinatesFromProto(
    absl::string_view field, const v1::Tensor& tensor, const ModelInfo& model);

// InvalidArgument, naming row and element, if a value of `values`, [rows, D],
// is outside of `box`, which `box_name` calls "the model's domain".
absl::Status CheckInside(absl::string_view field,
                         absl::Span<const float> values, int64_t dimension,
                         const Box& box, absl::string_view box_name);

// InvalidArgument, naming row and element, if a row of `values`, [rows, D], is
// no state of a discrete domain. With `scale` [D] only coordinates, or sites,
// that are 0 there are looked at.
absl::Status CheckDiscrete(absl::string_view field,
                           absl::Span<const float> values,
                           const ModelInfo& model,
                           absl::Span<const float> scale = {});

// The same if a row is no state of the model's domain, of whatever kind.
absl::Status CheckInDomain(absl::string_view field,
                           absl::Span<const float> values,
                           const ModelInfo& model);

// A float32 tensor of shape [leading..., state...].
// REQUIRES: as many values as the shape has elements.
void FloatsToProto(absl::Span<const int64_t> leading,
                   absl::Span<const int64_t> state,
                   absl::Span<const float> values, v1::Tensor& tensor);

// Energies as a tensor of shape `shape`: float64 for models of that
// precision, else float32. REQUIRES: as FloatsToProto().
void EnergiesToProto(absl::Span<const int64_t> shape, Precision precision,
                     absl::Span<const double> values, v1::Tensor& tensor);

}  // namespace basin

#endif  // BASIN_SERVER_TENSOR_CONVERT_H_
