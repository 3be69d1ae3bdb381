// The checks at load, against plans that are wrong on purpose.

#include "core/model/model_checks.h"

#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kRows = 4;
constexpr int kDimension = 3;

// A function of a tile: x [rows, D] -> energy [rows], grad_energy [rows, D]
// (null for the plan without gradient).
using TileFunction =
    std::function<void(const float* x, double* energy, float* gradient)>;

class FakePlan : public Plan {
 public:
  explicit FakePlan(TileFunction function) : function_(std::move(function)) {}
  size_t workspace_bytes() const override { return 64; }
  absl::Status Run(Workspace& /*workspace*/,
                   absl::Span<const float* const> inputs,
                   absl::Span<void* const> outputs) const override {
    function_(inputs[0], static_cast<double*>(outputs[0]),
              outputs.size() > 1 ? static_cast<float*>(outputs[1]) : nullptr);
    return absl::OkStatus();
  }

 private:
  const TileFunction function_;
};

// E(x) = sum of sin(x_i), with a gradient that is `factor` times too large.
TileFunction SumOfSines(float factor = 1) {
  return [factor](const float* x, double* energy, float* gradient) {
    for (int row = 0; row < kRows; ++row) {
      energy[row] = 0;
      for (int i = row * kDimension; i < (row + 1) * kDimension; ++i) {
        energy[row] += std::sin(x[i]);
        if (gradient != nullptr) gradient[i] = factor * std::cos(x[i]);
      }
    }
  };
}

// Plans that compute `function`, with a probe of them, and states.
class ModelChecksTest : public ::testing::Test {
 protected:
  ModelChecksTest() : backend_(CreateCpuBackend()) {
    info_.dimension = kDimension;
    info_.initial = NormalLaw{};
    states_ = internal::ProbePoints(info_, kRows);
  }

  internal::ModelProbe& Probe(const TileFunction& function) {
    plans_.rows = kRows;
    plans_.energy = std::make_unique<FakePlan>(function);
    plans_.gradient = std::make_unique<FakePlan>(function);
    auto probe = internal::ModelProbe::Create(*backend_, plans_,
                                              internal::SizesOf(info_));
    BASIN_CHECK(probe.ok());
    probe_ = *std::move(probe);
    return *probe_;
  }

  internal::Evaluation Evaluate(internal::ModelProbe& probe) {
    auto evaluation = probe.Evaluate(states_);
    BASIN_CHECK(evaluation.ok());
    return *std::move(evaluation);
  }

  const std::unique_ptr<Backend> backend_;
  ModelInfo info_;
  std::vector<float> states_;
  internal::TilePlans plans_;
  std::unique_ptr<internal::ModelProbe> probe_;
};

TEST_F(ModelChecksTest, AGoodModelPasses) {
  auto& probe = Probe(SumOfSines());
  const auto found = Evaluate(probe);
  EXPECT_OK(internal::CheckFinite(found, Precision::kFloat32));
  EXPECT_OK(internal::CheckRowsIndependent(probe, states_, found));
  EXPECT_OK(internal::CheckGradient(probe, info_, states_, found));
  EXPECT_TRUE(*internal::GivesSameBits(probe, states_, found));
}

TEST_F(ModelChecksTest, WrongGradientsAreFound) {
  for (const float factor : {-1.0F, 0.0F, 0.5F, 2.0F}) {
    auto& probe = Probe(SumOfSines(factor));
    EXPECT_THAT(internal::CheckGradient(probe, info_, states_, Evaluate(probe)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("the gradient is not that of the energy")))
        << factor;
  }
}

// Where rounding hides the slope nothing can be said.
TEST_F(ModelChecksTest, GradientsBelowRoundingAreNotJudged) {
  auto& probe = Probe([](const float* x, double* energy, float* gradient) {
    SumOfSines(3)(x, energy, gradient);
    for (int row = 0; row < kRows; ++row) energy[row] += 1e7F;
  });
  EXPECT_OK(internal::CheckGradient(probe, info_, states_, Evaluate(probe)));
}

TEST_F(ModelChecksTest, NonFiniteValuesAreFound) {
  auto& probe = Probe([](const float* x, double* energy, float* gradient) {
    SumOfSines()(x, energy, gradient);
    energy[2] = INFINITY;
  });
  EXPECT_THAT(internal::CheckFinite(Evaluate(probe), Precision::kFloat32),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("inf")));
  auto& other = Probe([](const float* x, double* energy, float* gradient) {
    SumOfSines()(x, energy, gradient);
    if (gradient != nullptr) gradient[7] = NAN;
  });
  EXPECT_THAT(internal::CheckFinite(Evaluate(other), Precision::kFloat32),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("grad_energy[1]")));
}

TEST_F(ModelChecksTest, PlansThatDisagreeAreFound) {
  auto& probe = Probe([](const float* x, double* energy, float* gradient) {
    SumOfSines()(x, energy, gradient);
    if (gradient != nullptr) energy[1] += 1;
  });
  EXPECT_THAT(internal::CheckFinite(Evaluate(probe), Precision::kFloat32),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("without")));
}

// Each way in which rows may see each other: all of the tile, the next row,
// the row's place, a neighbour that is not a number.
TEST_F(ModelChecksTest, RowsThatSeeEachOtherAreFound) {
  const std::function<float(const float* x, int row)> leaks[] = {
      [](const float* x, int /*row*/) { return 1e-6F * x[0]; },
      [](const float* x, int row) {
        return 1e-6F * x[(row + 1) % kRows * kDimension];
      },
      [](const float* /*x*/, int row) { return 1e-6F * row; },
      [](const float* x, int row) {
        return 0 * x[(row + 1) % kRows * kDimension];
      }};
  for (const auto& leak : leaks) {
    auto& probe =
        Probe([&leak](const float* x, double* energy, float* gradient) {
          SumOfSines()(x, energy, gradient);
          for (int row = 0; row < kRows; ++row) energy[row] += leak(x, row);
        });
    EXPECT_THAT(internal::CheckRowsIndependent(probe, states_, Evaluate(probe)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("mixes the rows of its batch")));
  }
}

TEST_F(ModelChecksTest, OtherBitsAreFound) {
  const auto expected = Evaluate(Probe(SumOfSines()));
  auto& probe = Probe([](const float* x, double* energy, float* gradient) {
    SumOfSines()(x, energy, gradient);
    if (gradient != nullptr) {
      float& last = gradient[kRows * kDimension - 1];
      last = std::nextafter(last, 2.0F);
    }
  });
  EXPECT_FALSE(*internal::GivesSameBits(probe, states_, expected));
}

}  // namespace
}  // namespace basin::testing
