// Restricted Boltzmann machines. With binary hidden units h these are summed
// out, so that the energy of the visible units v is the free energy
//
//   Bernoulli  F(v) = -b.v - sum_j softplus(c_j + (v W)_j)
//   Gaussian   F(v) = sum_i (v_i - b_i)^2 / (2 sigma_i^2)
//                     - sum_j softplus(c_j + ((v / sigma^2) W)_j)
//
// The former as in Hinton, "A practical guide to training restricted Boltzmann
// machines" (2010); the latter with the parameters of Cho, Ilin and Raiko,
// "Improved learning of Gaussian-Bernoulli restricted Boltzmann machines"
// (2011), where p(v | h) = N(b + W h, sigma^2).

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/weight_file.h"

namespace basin::internal {
namespace {

class RbmFamily final : public EnergySource {
 public:
  struct Weights {
    Tensor w;          // [V, H]
    Tensor b;          // [V]
    Tensor c;          // [H]
    Tensor sigma;      // [V], of Gaussian visible units
    Tensor precision;  // [V], 1 / sigma^2
  };

  RbmFamily(Weights weights, Shape state_shape, bool gaussian)
      : weights_(std::move(weights)),
        state_shape_(std::move(state_shape)),
        gaussian_(gaussian) {}

  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    const ValueId v =
        builder.Reshape(inputs.state, Shape({rows, weights_.w.shape().dim(0)}));
    const ValueId hidden = builder.Unary(
        ScalarOp::kNeg,
        builder.Unary(ScalarOp::kSoftplus, HiddenInput(v, builder)));
    // One sum over all terms, so that it runs in double.
    const ValueId terms = builder.Concat({VisibleTerms(v, builder), hidden}, 1);
    return SourceOutputs{.energy = builder.ReduceSum(
                             terms, {1}, GraphBuilder::ReducedAxes::kDrop)};
  }

  absl::StatusOr<std::vector<Conditional>> Conditionals(
      int rows) const override {
    using Values = InputAttrs::Values;
    std::vector<Conditional> blocks(2);
    const int64_t visible = weights_.w.shape().dim(0);
    const int64_t hidden = weights_.w.shape().dim(1);
    GraphBuilder of_hidden;
    BASIN_ASSIGN_OR_RETURN(const Shape state, WithRows(rows, state_shape_));
    const ValueId v = of_hidden.Reshape(
        of_hidden.Input("v", state,
                        gaussian_ ? Values::kReal : Values::kBinary),
        Shape({rows, visible}));
    const ValueId logits = HiddenInput(v, of_hidden);
    blocks[0].variables = hidden;
    BASIN_ASSIGN_OR_RETURN(blocks[0].graph,
                           std::move(of_hidden).Build({logits}));

    GraphBuilder of_visible;
    const ValueId h =
        of_visible.Input("h", Shape({rows, hidden}), Values::kBinary);
    const ValueId input =
        of_visible.Add(of_visible.Matmul(h, of_visible.Constant(weights_.w),
                                         {.transpose_b = true}),
                       of_visible.Constant(weights_.b));
    std::vector<ValueId> outputs = {input};
    if (gaussian_) {
      outputs.push_back(of_visible.BroadcastTo(
          of_visible.Constant(weights_.sigma), Shape({rows, visible})));
    }
    blocks[1].kind =
        gaussian_ ? BlockLaw::Kind::kNormal : BlockLaw::Kind::kBernoulli;
    blocks[1].variables = visible;
    blocks[1].sites = Range(0, visible);
    blocks[1].given = Conditional::Given::kHidden;
    BASIN_ASSIGN_OR_RETURN(blocks[1].graph,
                           std::move(of_visible).Build(std::move(outputs)));
    return blocks;
  }

 private:
  // c + v W, or c + (v / sigma^2) W: [rows, H].
  ValueId HiddenInput(ValueId v, GraphBuilder& builder) const {
    const ValueId scaled =
        gaussian_ ? builder.Mul(v, builder.Constant(weights_.precision)) : v;
    return builder.Add(builder.Matmul(scaled, builder.Constant(weights_.w)),
                       builder.Constant(weights_.c));
  }

  // What the visible units add to the free energy, each: [rows, V].
  ValueId VisibleTerms(ValueId v, GraphBuilder& builder) const {
    const ValueId b = builder.Constant(weights_.b);
    if (!gaussian_) {
      return builder.Unary(ScalarOp::kNeg, builder.Mul(v, b));
    }
    const ValueId z =
        builder.Div(builder.Sub(v, b), builder.Constant(weights_.sigma));
    return builder.Mul(builder.Constant(0.5F), builder.Mul(z, z));
  }

  const Weights weights_;
  const Shape state_shape_;
  const bool gaussian_;
};

bool IsKnown(const std::string& name) {
  return name == "W" || name == "b" || name == "c" || name == "sigma";
}

absl::Status LoadSigma(WeightFile& file, bool gaussian, const Shape& shape,
                       RbmFamily::Weights* weights) {
  if (!gaussian && file.file().Has("sigma")) {
    return WeightError("sigma",
                       "expected none, since rbm.visible is BERNOULLI");
  }
  BASIN_ASSIGN_OR_RETURN(weights->sigma, file.LoadOr("sigma", shape, 1));
  weights->precision = Tensor(DType::kFloat64, shape);
  const auto precision = weights->precision.mutable_data<double>();
  for (size_t i = 0; i < precision.size(); ++i) {
    const double sigma = RealAt(weights->sigma, i);
    if (!(sigma > 0)) {
      return WeightError("sigma", absl::StrCat("expected more than 0, got ",
                                               sigma, " for unit ", i));
    }
    precision[i] = 1 / (sigma * sigma);
  }
  return absl::OkStatus();
}

}  // namespace

SourceOr OpenRbm(const ModelFiles& files, ModelSettings* settings) {
  const bool gaussian = settings->rbm.gaussian;
  BASIN_ASSIGN_OR_RETURN(WeightFile file,
                         WeightFile::Open(files, IsKnown, &settings->info));
  BASIN_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("W"));
  if (shape.rank() != 2 || shape.num_elements() == 0 ||
      shape.dim(0) > ModelSettings::kMaxDimension) {
    return WeightError("W",
                       absl::StrCat("expected [V, H], got ", shape.ToString()));
  }
  const Shape visible({shape.dim(0)});
  RbmFamily::Weights weights;
  BASIN_ASSIGN_OR_RETURN(weights.w, file.Load("W", shape));
  BASIN_ASSIGN_OR_RETURN(weights.b, file.LoadOr("b", visible, 0));
  BASIN_ASSIGN_OR_RETURN(weights.c, file.LoadOr("c", Shape({shape.dim(1)}), 0));
  BASIN_RETURN_IF_ERROR(LoadSigma(file, gaussian, visible, &weights));
  BASIN_RETURN_IF_ERROR(CompleteState(visible, settings));
  BASIN_RETURN_IF_ERROR(CompleteDomain(
      gaussian ? DomainKind::kContinuous : DomainKind::kBinary, 0, settings));
  settings->info.blocks = {"h", "v"};
  settings->info.has_hidden_units = true;
  return std::make_shared<RbmFamily>(std::move(weights),
                                     settings->info.state_shape, gaussian);
}

}  // namespace basin::internal
