#include <utility>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/load_limits.h"
#include "core/model/onnx_source.h"

namespace basin::internal {
namespace {

class GraphFamily final : public EnergySource {
 public:
  explicit GraphFamily(OnnxSource onnx) : onnx_(std::move(onnx)) {}

  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    BASIN_ASSIGN_OR_RETURN(const OnnxSource::Output output,
                           onnx_.Append(inputs, rows, "energy", builder));
    const Shape& shape = builder.shape(output.value);
    const bool has_rows = shape.rank() >= 1 && shape.dim(0) == rows;
    if (!has_rows || shape.num_elements() != rows) {
      return OutputShapeError(output, "energies [N] or [N, 1]", rows, shape);
    }
    return SourceOutputs{.energy =
                             builder.Reshape(output.value, Shape({rows}))};
  }

 private:
  const OnnxSource onnx_;
};

}  // namespace

SourceOr OpenGraph(const ModelFiles& files, ModelSettings* settings) {
  BASIN_ASSIGN_OR_RETURN(
      OnnxSource onnx, OnnxSource::Open(files.Path("model.onnx"),
                                        OnnxLimitsOf(files.limits), settings));
  return std::make_shared<GraphFamily>(std::move(onnx));
}

}  // namespace basin::internal
