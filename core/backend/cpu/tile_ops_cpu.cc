#include "core/backend/cpu/tile_ops_cpu.h"

#include "core/backend/cpu/discrete_ops_cpu.h"
#include "core/backend/cpu/tile_table.h"
#include "core/base/check.h"

namespace basin {
namespace {

class CpuTileOps final : public TileOps {
 public:
  CpuTileOps(const TileTable& table, const MomentumTable& momentum, CpuIsa isa)
      : table_(table),
        momentum_(momentum),
        discrete_(CreateCpuDiscreteOps(isa)) {}

  void Displace(const ChainTile& tile,
                const Displacement& move) const override {
    table_.displace(tile, move);
  }
  void Confine(const ChainTile& tile, Confinement how,
               float* x) const override {
    table_.confine(tile, how, x);
  }
  void SetEnergyLogRatio(const ChainTile& tile) const override {
    table_.set_energy_log_ratio(tile);
  }
  void AddEnergyLogRatio(const ChainTile& tile, const double* from_energy,
                         const double* to_energy) const override {
    table_.add_energy_log_ratio(tile, from_energy, to_energy);
  }
  void AcceptOrReject(const ChainTile& tile,
                      const Decision& decision) const override {
    table_.accept_or_reject(tile, decision);
  }
  void SetLawEnergy(const ChainTile& tile, const SeparableLaw& law,
                    const float* x, double* energy,
                    float* grad_energy) const override {
    table_.set_law_energy(tile, law, x, energy, grad_energy);
  }
  void Blend(const ChainTile& tile, const Blending& blending) const override {
    table_.blend(tile, blending);
  }
  void FindFinite(const ChainTile& tile, const float* x, const double* energy,
                  uint8_t* finite) const override {
    table_.find_finite(tile, x, energy, finite);
  }

  void StartMomentum(const ChainTile& tile) const override {
    momentum_.start_momentum(tile);
  }
  void RefreshMomentum(const ChainTile& tile, Noise noise) const override {
    momentum_.refresh_momentum(tile, noise);
  }
  void Kick(const ChainTile& tile, const MomentumKick& kick) const override {
    momentum_.kick(tile, kick);
  }
  void Fly(const ChainTile& tile, const Flight& flight) const override {
    momentum_.fly(tile, flight);
  }
  void AddKineticEnergy(const ChainTile& tile, const float* momentum,
                        double sign, double* log_density) const override {
    momentum_.add_kinetic_energy(tile, momentum, sign, log_density);
  }
  int LongestStep(const ChainTile& tile) const override {
    return momentum_.longest_step(tile);
  }

  const DiscreteOps& discrete() const override { return *discrete_; }

 private:
  const TileTable& table_;
  const MomentumTable& momentum_;
  const std::unique_ptr<const DiscreteOps> discrete_;
};

}  // namespace

std::unique_ptr<const TileOps> CreateCpuTileOps(CpuIsa isa) {
  BASIN_CHECK(isa <= DetectedIsa());
  switch (isa) {
    case CpuIsa::kV4:
      return std::make_unique<CpuTileOps>(isa_v4::kTileTable,
                                          isa_v4::kMomentumTable, isa);
    case CpuIsa::kV3:
      return std::make_unique<CpuTileOps>(isa_v3::kTileTable,
                                          isa_v3::kMomentumTable, isa);
    case CpuIsa::kBaseline:
      break;
  }
  return std::make_unique<CpuTileOps>(isa_baseline::kTileTable,
                                      isa_baseline::kMomentumTable, isa);
}

}  // namespace basin
