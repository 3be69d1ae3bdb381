#include "tests/statistical/faulty_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace basin::testing {

ChainTile FaultyOps::ForMoves(ChainTile tile) const {
  coefficients_.assign(tile.coefficients, tile.coefficients + tile.rows);
  chain_.assign(tile.chain, tile.chain + tile.rows);
  if (fault_ == Fault::kDriftFlipped) {
    for (ChainCoefficients& row : coefficients_) row.drift = -row.drift;
  }
  if (fault_ == Fault::kNoiseTooSmall) MultiplyNoise(0.70710678F);
  if (fault_ == Fault::kNoiseFromPosition) {
    std::iota(chain_.begin(), chain_.end(), 0);
  }
  tile.coefficients = coefficients_.data();
  tile.chain = chain_.data();
  return tile;
}

void FaultyOps::MultiplyNoise(float factor) const {
  for (ChainCoefficients& row : coefficients_) row.noise *= factor;
}

void FaultyOps::Displace(const ChainTile& tile,
                         const Displacement& move) const {
  ops_.Displace(ForMoves(tile), move);
}

void FaultyOps::Confine(const ChainTile& tile, Confinement how,
                        float* x) const {
  ops_.Confine(tile, how, x);
}

void FaultyOps::SetEnergyLogRatio(const ChainTile& tile) const {
  ops_.SetEnergyLogRatio(tile);
}

void FaultyOps::AddEnergyLogRatio(const ChainTile& tile,
                                  const double* from_energy,
                                  const double* to_energy) const {
  if (fault_ == Fault::kSurrogateNotDivided) return;
  ops_.AddEnergyLogRatio(tile, from_energy, to_energy);
}

void FaultyOps::AcceptOrReject(const ChainTile& tile,
                               const Decision& decision) const {
  ChainTile seen = tile;
  double* ratio = tile.log_ratio;
  // In front of the exact decision, any cheap one would do.
  const bool exact = decision.purpose == DrawPurpose::kAccept;
  chain_.assign(tile.chain, tile.chain + tile.rows);
  if (exact && fault_ == Fault::kNoAcceptStep) {
    std::fill_n(ratio, tile.rows, std::numeric_limits<double>::infinity());
  }
  if (exact && fault_ == Fault::kOneDecision) {
    const double mean =
        std::accumulate(ratio, ratio + tile.rows, 0.0) / tile.rows;
    std::fill_n(ratio, tile.rows, mean);
    std::fill(chain_.begin(), chain_.end(), tile.chain[0]);
    seen.chain = chain_.data();
  }
  ops_.AcceptOrReject(seen, decision);
  if (fault_ != Fault::kMomentumKept) return;
  for (int row = 0; row < tile.rows; ++row) {
    if (tile.accepted[row] != 0) continue;
    float* momentum = tile.momentum + row * tile.dimension;
    for (int64_t i = 0; i < tile.dimension; ++i) momentum[i] = -momentum[i];
  }
}

void FaultyOps::FindFinite(const ChainTile& tile, const float* x,
                           const double* energy, uint8_t* finite) const {
  ops_.FindFinite(tile, x, energy, finite);
}

void FaultyOps::StartMomentum(const ChainTile& tile) const {
  ops_.StartMomentum(ForMoves(tile));
}

void FaultyOps::RefreshMomentum(const ChainTile& tile, Noise noise) const {
  if (fault_ == Fault::kMomentumNotRefreshed) {
    ops_.StartMomentum(tile);
  } else {
    ops_.RefreshMomentum(ForMoves(tile), noise);
  }
}

void FaultyOps::Kick(const ChainTile& tile, const MomentumKick& kick) const {
  const bool after_flight = flew_;
  flew_ = false;
  if (fault_ == Fault::kHalfKickMissing && after_flight) return;
  ChainTile seen = ForMoves(tile);
  if (fault_ == Fault::kMoveUphill && !after_flight) {
    for (ChainCoefficients& row : coefficients_) row.drift = -row.drift;
  }
  if (fault_ == Fault::kScaleNotSquared && after_flight &&
      tile.scale != nullptr) {
    scale_.assign(tile.scale, tile.scale + tile.rows * tile.dimension);
    for (float& s : scale_) s = s == 0 ? 0.0F : 1.0F;
    seen.scale = scale_.data();
  }
  ops_.Kick(seen, kick);
}

void FaultyOps::Fly(const ChainTile& tile, const Flight& flight) const {
  flew_ = true;
  const std::vector<float> momentum(
      flight.momentum, flight.momentum + tile.rows * tile.dimension);
  ops_.Fly(tile, flight);
  if (fault_ != Fault::kReflectionWithoutFlip) return;
  std::copy(momentum.begin(), momentum.end(), flight.momentum);
}

void FaultyOps::AddKineticEnergy(const ChainTile& tile, const float* momentum,
                                 double sign, double* log_density) const {
  if (fault_ == Fault::kKineticEnergyMissing) return;
  const double factor = fault_ == Fault::kTwoEpsilonDensity ? 2 : 1;
  ops_.AddKineticEnergy(tile, momentum, factor * sign, log_density);
}

int FaultyOps::LongestStep(const ChainTile& tile) const {
  return ops_.LongestStep(tile);
}

}  // namespace basin::testing
