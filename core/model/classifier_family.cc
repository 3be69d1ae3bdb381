#include <utility>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/load_limits.h"
#include "core/model/onnx_source.h"

namespace basin::internal {
namespace {

// Stands for the logits of classes that a label excludes: exp() of it is 0
// next to any logit.
constexpr float kExcluded = -1e30F;

// JEM (Grathwohl et al. 2020): E(x) = -logsumexp_y f(x)[y] and
// E(x, y) = -f(x)[y], for the logits f.
class ClassifierFamily final : public EnergySource {
 public:
  ClassifierFamily(OnnxSource onnx, size_t label)
      : onnx_(std::move(onnx)), label_(label) {}

  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    SourceInputs of_file = inputs;
    of_file.context.resize(label_);
    BASIN_ASSIGN_OR_RETURN(const OnnxSource::Output output,
                           onnx_.Append(of_file, rows, "logits", builder));
    const ValueId logits = output.value;
    const Shape& shape = builder.shape(logits);
    if (shape.rank() != 2 || shape.dim(0) != rows || shape.dim(1) < 1) {
      return OutputShapeError(output, "logits [N, K]", rows, shape);
    }
    SourceOutputs result;
    result.class_energies = builder.Unary(ScalarOp::kNeg, logits);
    const ValueId kept = Keep(logits, inputs.context[label_], builder);
    result.energy = builder.Unary(
        ScalarOp::kNeg,
        builder.LogSumExp(kept, {1}, GraphBuilder::ReducedAxes::kDrop));
    return result;
  }

 private:
  // logits [N, K] where the row's label is that class or -1 (all), else
  // nothing. The logsumexp of a single class is its logit, exactly.
  static ValueId Keep(ValueId logits, ValueId label, GraphBuilder& builder) {
    const Shape shape = builder.shape(logits);
    Tensor classes(DType::kFloat32, Shape({1, shape.dim(1)}));
    for (int64_t k = 0; k < shape.dim(1); ++k) {
      classes.mutable_data<float>()[static_cast<size_t>(k)] =
          static_cast<float>(k);
    }
    const ValueId column = builder.Reshape(label, Shape({shape.dim(0), 1}));
    const ValueId all =
        builder.Binary(ScalarOp::kLess, column, builder.Constant(0.0F));
    const ValueId match =
        builder.Binary(ScalarOp::kEqual, column, builder.Constant(classes));
    return builder.Select(builder.Binary(ScalarOp::kMax, all, match), logits,
                          builder.Constant(kExcluded));
  }

  const OnnxSource onnx_;
  const size_t label_;  // place of the label in the context
};

// The number of classes; the file must not depend on rows in it.
absl::StatusOr<int64_t> CountClasses(const OnnxSource& onnx,
                                     const ModelInfo& info) {
  constexpr int kRows = 2;  // with one, some wrong outputs look right
  GraphBuilder builder;
  SourceInputs inputs;
  BASIN_ASSIGN_OR_RETURN(const Shape state, WithRows(kRows, info.state_shape));
  inputs.state = builder.Input("x", state);
  for (const ContextInput& context : info.context) {
    BASIN_ASSIGN_OR_RETURN(const Shape shape, WithRows(kRows, context.shape));
    inputs.context.push_back(builder.Input(context.name, shape));
  }
  BASIN_ASSIGN_OR_RETURN(const OnnxSource::Output output,
                         onnx.Append(inputs, kRows, "logits", builder));
  const Shape& shape = builder.shape(output.value);
  if (shape.rank() == 2 && shape.dim(0) == kRows && shape.dim(1) >= 1) {
    return shape.dim(1);
  }
  return OutputShapeError(output, "logits [N, K]", kRows, shape);
}

}  // namespace

SourceOr OpenClassifier(const ModelFiles& files, ModelSettings* settings) {
  BASIN_ASSIGN_OR_RETURN(
      OnnxSource onnx, OnnxSource::Open(files.Path("model.onnx"),
                                        OnnxLimitsOf(files.limits), settings));
  ModelInfo& info = settings->info;
  for (const ContextInput& context : info.context) {
    if (context.name != kLabelInput) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "model.onnx: input 'label': expected another name, since a "
        "classifier's label picks E(x, y)"));
  }
  BASIN_ASSIGN_OR_RETURN(info.classes, CountClasses(onnx, info));
  const size_t label = info.context.size();
  info.context.push_back({.name = std::string(kLabelInput),
                          .shape = Shape(),
                          .dtype = DType::kInt64,
                          .default_value = -1.0F,
                          .lower = -1,
                          .upper = static_cast<float>(info.classes - 1),
                          .offset = info.context_dimension});
  info.context_dimension += 1;
  return std::make_shared<ClassifierFamily>(std::move(onnx), label);
}

}  // namespace basin::internal
