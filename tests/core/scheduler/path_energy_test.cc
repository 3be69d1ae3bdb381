// Energies and gradients between two models, each row at a place of its own.

#include "core/scheduler/path_energy.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/chain_tile_buffer.h"
#include "tests/core/scheduler/fake_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::internal {
namespace {

constexpr int kRows = 3;

// E(x) = a x^2 / 2 of one coordinate.
class Bowl final : public EnergyFunction {
 public:
  explicit Bowl(double a) : a_(a) {}
  absl::Status Energy(int rows, const float* x, double* energy) override {
    for (int row = 0; row < rows; ++row) energy[row] = a_ * x[row] * x[row] / 2;
    return absl::OkStatus();
  }
  absl::Status EnergyAndGradient(int rows, const float* x, double* energy,
                                 float* grad_energy) override {
    for (int row = 0; row < rows; ++row) {
      grad_energy[row] = static_cast<float>(a_ * x[row]);
    }
    return Energy(rows, x, energy);
  }

 private:
  const double a_;
};

TEST(PathEnergyTest, BlendsWhateverIsAsked) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  using Call = absl::Status (PathEnergy::*)(int, const float*, double*, float*);
  for (const Call call : {&PathEnergy::EnergyAndGradient,
                          &PathEnergy::DecidingEnergyAndGradient}) {
    ChainTileBuffer buffer(*backend);
    auto tile = buffer.Shape(kRows, kRows, 1, {});
    ASSERT_OK(tile);
    for (int row = 0; row < kRows; ++row) {
      tile->coefficients[row].path = 0.25 * row;
      tile->position[row] = static_cast<float>(row + 1);
    }
    Bowl base(2);
    Bowl end(10);
    PathEnergy path;  // anew: nothing is left of other calls
    ASSERT_OK(path.Bind(*backend, *tile, kRows, end, &base, {}));
    std::vector<double> energy(64);
    std::vector<float> grad_energy(64);
    ASSERT_OK(
        (path.*call)(kRows, tile->position, energy.data(), grad_energy.data()));
    std::vector<double> alone(64);
    for (int row = 0; row < kRows; ++row) {
      const double x = row + 1;
      const double a = 2 + 8 * 0.25 * row;
      EXPECT_DOUBLE_EQ(energy[row], a * x * x / 2);
      EXPECT_FLOAT_EQ(grad_energy[row], static_cast<float>(a * x));
      EXPECT_DOUBLE_EQ(path.end_energy()[row], 5 * x * x);
      EXPECT_DOUBLE_EQ(path.base_energy()[row], x * x);
    }
    ASSERT_OK(path.Energy(kRows, tile->position, alone.data()));
    for (int row = 0; row < kRows; ++row) EXPECT_EQ(alone[row], energy[row]);
  }
}

}  // namespace
}  // namespace basin::internal
