#include "core/scheduler/path_energy.h"

#include <cmath>
#include <numbers>
#include <variant>

#include "core/base/status_macros.h"

namespace basin::internal {

std::optional<TileOps::SeparableLaw> SeparableLawOf(const InitialLaw& initial) {
  TileOps::SeparableLaw law;
  if (const auto* normal = std::get_if<NormalLaw>(&initial)) {
    const double stddev = normal->stddev;
    law.precision = 1 / (stddev * stddev);
    law.center = normal->mean;
    law.constant = std::log(stddev * std::sqrt(2 * std::numbers::pi));
    return law;
  }
  if (const auto* bits = std::get_if<BernoulliLaw>(&initial)) {
    const double p = bits->p;
    if (p == 0.5 || p == 0 || p == 1) return std::nullopt;
    law.slope = std::log1p(-p) - std::log(p);
    law.constant = -std::log1p(-p);
    return law;
  }
  return std::nullopt;
}

absl::Status PathEnergy::Bind(const Backend& backend, const ChainTile& tile,
                              int capacity, EnergyFunction& energy,
                              EnergyFunction* base,
                              const TileOps::SeparableLaw& law) {
  backend_ = &backend;
  tile_ = &tile;
  energy_ = &energy;
  base_ = base;
  law_ = law;
  // Arrays of whole cache lines, as plans need them.
  const auto lines = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  const auto rows = static_cast<size_t>(capacity);
  const size_t energies = lines(rows * sizeof(double));
  const size_t gradients =
      lines(rows * static_cast<size_t>(tile.dimension) * sizeof(float));
  BASIN_RETURN_IF_ERROR(backend.Reserve(memory_, 2 * energies + gradients));
  std::byte* const at = memory_.memory.get();
  end_energy_ = reinterpret_cast<double*>(at);
  base_energy_ = reinterpret_cast<double*>(at + energies);
  base_grad_energy_ = reinterpret_cast<float*>(at + 2 * energies);
  return absl::OkStatus();
}

absl::Status PathEnergy::Energy(int rows, const float* x, double* energy) {
  BASIN_RETURN_IF_ERROR(energy_->Energy(rows, x, end_energy_));
  if (base_ != nullptr) {
    BASIN_RETURN_IF_ERROR(base_->Energy(rows, x, base_energy_));
  }
  Blend(x, energy, nullptr);
  return absl::OkStatus();
}

absl::Status PathEnergy::EnergyAndGradient(int rows, const float* x,
                                           double* energy, float* grad_energy) {
  BASIN_RETURN_IF_ERROR(
      energy_->EnergyAndGradient(rows, x, end_energy_, grad_energy));
  if (base_ != nullptr) {
    BASIN_RETURN_IF_ERROR(
        base_->EnergyAndGradient(rows, x, base_energy_, base_grad_energy_));
  }
  Blend(x, energy, grad_energy);
  return absl::OkStatus();
}

absl::Status PathEnergy::DecidingEnergyAndGradient(int rows, const float* x,
                                                   double* energy,
                                                   float* grad_energy) {
  BASIN_RETURN_IF_ERROR(
      energy_->DecidingEnergyAndGradient(rows, x, end_energy_, grad_energy));
  if (base_ != nullptr) {
    BASIN_RETURN_IF_ERROR(base_->DecidingEnergyAndGradient(
        rows, x, base_energy_, base_grad_energy_));
  }
  Blend(x, energy, grad_energy);
  return absl::OkStatus();
}

void PathEnergy::Blend(const float* x, double* energy, float* grad_energy) {
  const TileOps& ops = backend_->tile_ops();
  float* const base_grad = grad_energy == nullptr ? nullptr : base_grad_energy_;
  if (base_ == nullptr) {
    ops.SetLawEnergy(*tile_, law_, x, base_energy_, base_grad);
  }
  ops.Blend(*tile_, {.base = base_ == nullptr ? TileOps::PathBase::kLaw
                                              : TileOps::PathBase::kModel,
                     .base_energy = base_energy_,
                     .base_grad_energy = base_grad,
                     .end_energy = end_energy_,
                     .energy = energy,
                     .grad_energy = grad_energy});
}

}  // namespace basin::internal
