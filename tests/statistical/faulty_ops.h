#ifndef BASIN_TESTS_STATISTICAL_FAULTY_OPS_H_
#define BASIN_TESTS_STATISTICAL_FAULTY_OPS_H_

#include <cstdint>
#include <vector>

#include "core/backend/tile_ops.h"

namespace basin::testing {

// What is wrong with a mutant of a transition.
enum class Fault {
  kNone,                   // the copy itself: must pass
  kNoAcceptStep,           // proposals always become the state
  kDriftFlipped,           // uphill
  kMoveUphill,             // but q as if downhill: the kick before a flight
  kTwoEpsilonDensity,      // 2 epsilon where 4 epsilon belongs in q: momenta
                           // decide as if they had half their variance
  kScaleNotSquared,        // s where s^2 belongs in q of the way back: in
                           // lengths of s, none in the kick after a flight
  kOneDecision,            // the batch accepts or rejects as one, by its mean
  kNoiseFromPosition,      // noise drawn by the place in the batch
  kNoiseTooSmall,          // sqrt(epsilon) where sqrt(2 epsilon) belongs
  kOrderSwapped,           // noise after drift where before belongs, or so
  kMomentumKept,           // its sign stays after a rejection
  kMomentumNotRefreshed,   // drawn once, then never again
  kHalfKickMissing,        // the one after a flight
  kReflectionWithoutFlip,  // of the momentum
  kKineticEnergyMissing,   // potential energies decide alone
  kSurrogateNotDivided,    // the ratio of the cheap energies is left out
};

// Tile operations with a fault, on host memory: a transition that is given
// these is a mutant of itself. Not thread-safe.
class FaultyOps final : public TileOps {
 public:
  // `ops` must outlive this object.
  FaultyOps(Fault fault, const TileOps& ops) : fault_(fault), ops_(ops) {}

  void Displace(const ChainTile& tile, const Displacement& move) const override;
  void Confine(const ChainTile& tile, Confinement how, float* x) const override;
  void SetEnergyLogRatio(const ChainTile& tile) const override;
  void AddEnergyLogRatio(const ChainTile& tile, const double* from_energy,
                         const double* to_energy) const override;
  void AcceptOrReject(const ChainTile& tile,
                      const Decision& decision) const override;
  void SetLawEnergy(const ChainTile& tile, const SeparableLaw& law,
                    const float* x, double* energy,
                    float* grad_energy) const override {
    ops_.SetLawEnergy(tile, law, x, energy, grad_energy);
  }
  void Blend(const ChainTile& tile, const Blending& blending) const override {
    ops_.Blend(tile, blending);
  }
  void FindFinite(const ChainTile& tile, const float* x, const double* energy,
                  uint8_t* finite) const override;
  void StartMomentum(const ChainTile& tile) const override;
  void RefreshMomentum(const ChainTile& tile, Noise noise) const override;
  void Kick(const ChainTile& tile, const MomentumKick& kick) const override;
  void Fly(const ChainTile& tile, const Flight& flight) const override;
  void AddKineticEnergy(const ChainTile& tile, const float* momentum,
                        double sign, double* log_density) const override;
  int LongestStep(const ChainTile& tile) const override;
  const DiscreteOps& discrete() const override { return ops_.discrete(); }

 private:
  // `tile` as moves and kicks see it; valid until the next call.
  ChainTile ForMoves(ChainTile tile) const;
  void MultiplyNoise(float factor) const;

  const Fault fault_;
  const TileOps& ops_;
  mutable std::vector<ChainCoefficients> coefficients_;
  mutable std::vector<uint64_t> chain_;
  mutable std::vector<float> scale_;
  mutable bool flew_ = false;  // since the last kick
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_STATISTICAL_FAULTY_OPS_H_
