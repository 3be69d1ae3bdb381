#include "core/model/initial_mixture.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Cholesky>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/model/settings_fields.h"

namespace basin::internal {
namespace {

using Matrix =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kMaxComponents = 1024;

std::vector<double> Values(const google::protobuf::RepeatedField<double>& v) {
  return {v.begin(), v.end()};
}

// The Cholesky factor of a covariance [D, D].
absl::StatusOr<std::vector<double>> FactorOf(
    const std::vector<double>& covariance, int64_t dimension,
    const std::string& field) {
  const Matrix matrix =
      Eigen::Map<const Matrix>(covariance.data(), dimension, dimension);
  const bool symmetric =
      matrix.allFinite() && matrix.isApprox(matrix.transpose().eval(), 1e-6);
  const Eigen::LLT<Matrix> cholesky(matrix);
  if (!symmetric || cholesky.info() != Eigen::Success) {
    return FieldError(field, "a symmetric, positive definite matrix",
                      symmetric ? "one that is not positive definite"
                                : "one that is not symmetric");
  }
  const Matrix factor = cholesky.matrixL();
  return std::vector<double>(factor.data(), factor.data() + factor.size());
}

// Standard deviations, one for each coordinate, or one for all.
absl::StatusOr<std::vector<double>> DiagonalOf(std::vector<double> stddev,
                                               size_t dimension,
                                               const std::string& field) {
  for (const double value : stddev) {
    BASIN_RETURN_IF_ERROR(CheckPositive(field, value));
    BASIN_RETURN_IF_ERROR(ToFiniteFloat(field, value).status());
  }
  if (stddev.size() == 1) stddev.resize(dimension, stddev[0]);
  return stddev;
}

absl::StatusOr<MixtureLaw::Component> ReadComponent(
    const config::Initial::Mixture::Component& config,
    const std::string& field) {
  MixtureLaw::Component component;
  component.weight = config.weight();
  BASIN_RETURN_IF_ERROR(
      CheckPositive(absl::StrCat(field, ".weight"), component.weight));
  component.mean = Values(config.mean());
  for (const double value : component.mean) {
    BASIN_RETURN_IF_ERROR(
        ToFiniteFloat(absl::StrCat(field, ".mean"), value).status());
  }
  const int d = config.mean_size();
  const int covariance = config.covariance_size();
  const int stddev = config.stddev_size();
  if ((covariance > 0) == (stddev > 0)) {
    return FieldError(field, "either covariance or stddev",
                      covariance > 0 ? "both" : "none");
  }
  if (stddev > 0) {
    if (stddev != 1 && stddev != d) {
      return FieldError(absl::StrCat(field, ".stddev"),
                        absl::StrCat("1 or ", d, " values"), stddev);
    }
    BASIN_ASSIGN_OR_RETURN(
        component.factor,
        DiagonalOf(Values(config.stddev()), component.mean.size(),
                   absl::StrCat(field, ".stddev")));
    return component;
  }
  if (int64_t{covariance} != int64_t{d} * d) {
    return FieldError(absl::StrCat(field, ".covariance"),
                      absl::StrCat(int64_t{d} * d, " values"), covariance);
  }
  BASIN_ASSIGN_OR_RETURN(component.factor,
                         FactorOf(Values(config.covariance()), d,
                                  absl::StrCat(field, ".covariance")));
  return component;
}

}  // namespace

absl::StatusOr<InitialLaw> ReadInitialMixture(
    const config::Initial::Mixture& config) {
  BASIN_RETURN_IF_ERROR(CheckRange("initial.mixture: number of components",
                                   config.component_size(), 1, kMaxComponents));
  auto components = std::make_shared<std::vector<MixtureLaw::Component>>();
  double sum = 0;
  for (int k = 0; k < config.component_size(); ++k) {
    BASIN_ASSIGN_OR_RETURN(
        MixtureLaw::Component component,
        ReadComponent(config.component(k),
                      absl::StrCat("initial.mixture.component[", k, "]")));
    sum += component.weight;
    components->push_back(std::move(component));
  }
  BASIN_RETURN_IF_ERROR(
      ToFiniteFloat("initial.mixture: sum of weights", sum).status());
  for (MixtureLaw::Component& component : *components) component.weight /= sum;
  return MixtureLaw{std::move(components)};
}

absl::Status CheckInitialMixture(const MixtureLaw& law, const Box& box,
                                 int64_t dimension) {
  for (size_t k = 0; k < law.components->size(); ++k) {
    const std::vector<double>& mean = (*law.components)[k].mean;
    const std::string field =
        absl::StrCat("initial.mixture.component[", k, "].mean");
    if (static_cast<int64_t>(mean.size()) != dimension) {
      return FieldError(field,
                        absl::StrCat(dimension, " values, one a coordinate"),
                        mean.size());
    }
    for (const double value : mean) {
      if (value >= box.lower && value <= box.upper) continue;
      return FieldError(field,
                        absl::StrCat("values within the domain, [", box.lower,
                                     ", ", box.upper, "]"),
                        value);
    }
  }
  return absl::OkStatus();
}

}  // namespace basin::internal
