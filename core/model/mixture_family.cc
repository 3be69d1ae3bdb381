// Mixtures of Gaussians with full covariances, normalised:
//
//   E(x) = -log sum_k w_k N(x; mu_k, Sigma_k)
//
// With the Cholesky factor L_k of Sigma_k, z = L_k^-1 (x - mu_k) has
// -log N = |z|^2 / 2 + log det L_k + D/2 log(2 pi).

#include <algorithm>
#include <cmath>
#include <numbers>

#include <Eigen/Cholesky>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/families.h"
#include "core/model/settings_fields.h"
#include "core/model/weight_file.h"

namespace basin::internal {
namespace {

// [K, D] and [K, D, D] in double, before they become constants.
struct Components {
  int64_t dimension = 0;
  std::vector<double> weights;
  std::vector<double> means;
  std::vector<double> covariances;
};

class MixtureFamily final : public EnergySource {
 public:
  struct Constants {
    Tensor means;        // [K, 1, D]
    Tensor whitening;    // [K, D, D], transposed: z = (x - mu) whitening
    Tensor log_weights;  // [K, 1], of w_k / (det L_k (2 pi)^(D/2))
  };

  explicit MixtureFamily(Constants constants)
      : constants_(std::move(constants)) {}

  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    constexpr auto kDrop = GraphBuilder::ReducedAxes::kDrop;
    const int64_t d = constants_.means.shape().dim(2);
    const ValueId x = builder.Reshape(inputs.state, Shape({1, rows, d}));
    const ValueId centred = builder.Sub(x, builder.Constant(constants_.means));
    const ValueId z =
        builder.Matmul(centred, builder.Constant(constants_.whitening));
    const ValueId squares = builder.ReduceSum(builder.Mul(z, z), {2}, kDrop);
    const ValueId log_densities =
        builder.Sub(builder.Constant(constants_.log_weights),
                    builder.Mul(builder.Constant(0.5F), squares));
    return SourceOutputs{
        .energy = builder.Unary(ScalarOp::kNeg,
                                builder.LogSumExp(log_densities, {0}, kDrop))};
  }

 private:
  const Constants constants_;
};

// Before memory is taken for the covariances.
absl::Status CheckSize(size_t components, size_t dimension) {
  constexpr size_t kMaxMixtureDimension = 4096;
  constexpr size_t kMaxElements = size_t{1} << 26;
  if (dimension <= kMaxMixtureDimension &&
      components * dimension * dimension <= kMaxElements) {
    return absl::OkStatus();
  }
  return FieldError(
      "mixture",
      absl::StrCat("at most ", kMaxMixtureDimension, " dimensions, and ",
                   kMaxElements, " elements of covariances"),
      absl::StrCat(components, " components of ", dimension, " dimensions"));
}

absl::StatusOr<Components> FromSettings(const MixtureSettings& settings) {
  Components result;
  const auto& components = settings.components;
  const size_t d = components[0].mean.size();
  BASIN_RETURN_IF_ERROR(CheckSize(components.size(), d));
  result.dimension = static_cast<int64_t>(d);
  for (size_t k = 0; k < components.size(); ++k) {
    const MixtureSettings::Component& component = components[k];
    const std::string field = absl::StrCat("mixture.component[", k, "]");
    if (component.mean.size() != d || d == 0) {
      return FieldError(absl::StrCat(field, ".mean"),
                        d == 0 ? "at least one value"
                               : absl::StrCat(d, " values, as the first has"),
                        component.mean.size());
    }
    const size_t given = component.covariance.size();
    if (given != d * d && given != 1) {
      return FieldError(absl::StrCat(field, ".covariance"),
                        absl::StrCat(d * d, " values, or one variance"), given);
    }
    result.weights.push_back(component.weight);
    result.means.insert(result.means.end(), component.mean.begin(),
                        component.mean.end());
    for (size_t i = 0; i < d * d; ++i) {
      const double diagonal = i % (d + 1) == 0 ? component.covariance[0] : 0;
      result.covariances.push_back(given == d * d ? component.covariance[i]
                                                  : diagonal);
    }
  }
  return result;
}

bool IsKnown(const std::string& name) {
  return name == "weights" || name == "means" || name == "covariances";
}

std::vector<double> Doubles(const Tensor& tensor) {
  const Tensor wide = Widened(tensor);
  const auto data = wide.data<double>();
  return {data.begin(), data.end()};
}

absl::StatusOr<Components> FromFile(const ModelFiles& files, ModelInfo* info) {
  BASIN_ASSIGN_OR_RETURN(WeightFile file,
                         WeightFile::Open(files, IsKnown, info));
  BASIN_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("means"));
  if (shape.rank() != 2 || shape.num_elements() == 0) {
    return WeightError("means",
                       absl::StrCat("expected [K, D], got ", shape.ToString()));
  }
  const int64_t k = shape.dim(0);
  const int64_t d = shape.dim(1);
  BASIN_RETURN_IF_ERROR(
      CheckSize(static_cast<size_t>(k), static_cast<size_t>(d)));
  BASIN_ASSIGN_OR_RETURN(const Tensor means, file.Load("means", shape));
  BASIN_ASSIGN_OR_RETURN(const Tensor weights,
                         file.Load("weights", Shape({k})));
  BASIN_ASSIGN_OR_RETURN(const Tensor covariances,
                         file.Load("covariances", Shape({k, d, d})));
  return Components{.dimension = d,
                    .weights = Doubles(weights),
                    .means = Doubles(means),
                    .covariances = Doubles(covariances)};
}

using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// L^-1 of a covariance L L^T, transposed, and log det L.
struct Whitening {
  Matrix matrix;
  double log_det = 0;
};
absl::StatusOr<Whitening> Whiten(const Matrix& covariance,
                                 const std::string& field) {
  const bool symmetric =
      covariance.allFinite() &&
      covariance.isApprox(covariance.transpose().eval(), 1e-6);
  const Eigen::LLT<Matrix> factor(covariance);
  if (!symmetric || factor.info() != Eigen::Success) {
    return FieldError(field, "a symmetric, positive definite matrix",
                      symmetric ? "one that is not positive definite"
                                : "one that is not symmetric");
  }
  const Matrix l = factor.matrixL();
  Whitening result;
  result.matrix =
      l.triangularView<Eigen::Lower>()
          .solve(Matrix::Identity(covariance.rows(), covariance.cols()))
          .transpose();
  result.log_det = l.diagonal().array().log().sum();
  return result;
}

absl::StatusOr<MixtureFamily::Constants> Constants(
    const Components& components) {
  const auto k = static_cast<int64_t>(components.weights.size());
  const int64_t d = components.dimension;
  double total = 0;
  for (size_t i = 0; i < components.weights.size(); ++i) {
    BASIN_RETURN_IF_ERROR(
        CheckPositive(absl::StrCat("mixture: weight of component ", i),
                      components.weights[i]));
    total += components.weights[i];
  }
  MixtureFamily::Constants result;
  result.means = Tensor(DType::kFloat64, Shape({k, 1, d}));
  result.whitening = Tensor(DType::kFloat64, Shape({k, d, d}));
  result.log_weights = Tensor(DType::kFloat64, Shape({k, 1}));
  const auto means = result.means.mutable_data<double>();
  const auto whitening = result.whitening.mutable_data<double>();
  const auto log_weights = result.log_weights.mutable_data<double>();
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] = components.means[i];
    BASIN_RETURN_IF_ERROR(ToFiniteFloat("mixture: a mean", means[i]).status());
  }
  for (int64_t i = 0; i < k; ++i) {
    const Eigen::Map<const Matrix> covariance(
        &components.covariances[static_cast<size_t>(i * d * d)], d, d);
    BASIN_ASSIGN_OR_RETURN(
        const Whitening white,
        Whiten(covariance,
               absl::StrCat("mixture: covariance of component ", i)));
    const double log_2_pi = std::log(2 * std::numbers::pi);
    log_weights[static_cast<size_t>(i)] =
        std::log(components.weights[static_cast<size_t>(i)] / total) -
        white.log_det - 0.5 * static_cast<double>(d) * log_2_pi;
    std::copy_n(white.matrix.data(), d * d, &whitening[i * d * d]);
  }
  return result;
}

}  // namespace

SourceOr OpenMixture(const ModelFiles& files, ModelSettings* settings) {
  const bool in_file = settings->mixture.components.empty();
  BASIN_ASSIGN_OR_RETURN(const Components components,
                         in_file ? FromFile(files, &settings->info)
                                 : FromSettings(settings->mixture));
  BASIN_ASSIGN_OR_RETURN(MixtureFamily::Constants constants,
                         Constants(components));
  if (settings->info.precision != Precision::kFloat64) {  // half the memory
    constants.means = Narrowed(constants.means);
    constants.whitening = Narrowed(constants.whitening);
  }
  if (!in_file) {
    settings->info.parameters = static_cast<int64_t>(
        components.weights.size() + components.means.size() +
        components.covariances.size());
  }
  BASIN_RETURN_IF_ERROR(CompleteState(Shape({components.dimension}), settings));
  BASIN_RETURN_IF_ERROR(CompleteDomain(DomainKind::kContinuous, 0, settings));
  return std::make_shared<MixtureFamily>(std::move(constants));
}

}  // namespace basin::internal
