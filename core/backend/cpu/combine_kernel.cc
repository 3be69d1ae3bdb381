// Energies of several models as one, in double whatever the plan computes in.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "core/backend/cpu/kernel.h"

namespace basin {
namespace {

// T is what the plan computes in: the type of shares.
template <typename T>
class CombineKernel : public Kernel {
 public:
  explicit CombineKernel(const KernelInput& input)
      : is_share_(input.node().op == Op::kMixtureShare),
        attributes_(std::get<CombineAttrs>(input.node().attributes)),
        terms_(input.node().inputs.begin(), input.node().inputs.end()),
        out_(input.id),
        elements_(static_cast<size_t>(input.node().shape.num_elements())) {
    for (const ValueId term : terms_) {
      spans_.push_back(elements_ / static_cast<size_t>(
                                       input.graph.shape(term).num_elements()));
    }
    for (const double weight : attributes_.weights) {
      log_weights_.push_back(std::log(weight));
    }
  }

  absl::Status Run(const KernelContext& context) const override {
    for (size_t i = 0; i < elements_; ++i) {
      if (is_share_) {
        context.As<T>(out_)[i] = static_cast<T>(Share(context, i));
      } else if (attributes_.kind == CombineAttrs::Kind::kSum) {
        context.As<double>(out_)[i] = Sum(context, i);
      } else {
        context.As<double>(out_)[i] =
            -LogDensity(context, i) / attributes_.temperature;
      }
    }
    return absl::OkStatus();
  }

 private:
  // `at` counts the elements of the result, which is by row, then by class.
  double Energy(const KernelContext& context, size_t term, size_t at) const {
    return context.As<const double>(terms_[term])[at / spans_[term]];
  }

  double Sum(const KernelContext& context, size_t at) const {
    double sum = 0;
    for (size_t i = 0; i < terms_.size(); ++i) {
      sum += attributes_.weights[i] * Energy(context, i, at);
    }
    return sum / attributes_.temperature;
  }

  // Of one term, unnormalised.
  double LogDensity(const KernelContext& context, size_t term,
                    size_t at) const {
    return log_weights_[term] - Energy(context, term, at);
  }

  // Of the mixture: finite where the densest term is. NaN if one term is.
  double LogDensity(const KernelContext& context, size_t at) const {
    double max = -std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < terms_.size(); ++i) {
      const double density = LogDensity(context, i, at);
      if (std::isnan(density)) return density;
      max = std::max(max, density);
    }
    if (std::isinf(max)) return max;
    double sum = 0;
    for (size_t i = 0; i < terms_.size(); ++i) {
      sum += std::exp(LogDensity(context, i, at) - max);
    }
    return max + std::log(sum);
  }

  double Share(const KernelContext& context, size_t at) const {
    const auto term = static_cast<size_t>(attributes_.term);
    return std::exp(LogDensity(context, term, at) - LogDensity(context, at));
  }

  const bool is_share_;
  const CombineAttrs attributes_;
  const std::vector<ValueId> terms_;
  const ValueId out_;
  const size_t elements_;
  std::vector<size_t> spans_;  // elements that one of each term is for: 1 or K
  std::vector<double> log_weights_;  // of mixtures
};

}  // namespace

KernelOr CreateCombineKernel(const KernelInput& input) {
  if (input.precision == Precision::kFloat64) {
    return std::make_unique<CombineKernel<double>>(input);
  }
  return std::make_unique<CombineKernel<float>>(input);
}

}  // namespace basin
