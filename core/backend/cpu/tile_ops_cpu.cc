#include "core/backend/cpu/tile_ops_cpu.h"

#include "core/backend/cpu/tile_table.h"
#include "core/base/check.h"

namespace basin {
namespace {

const TileTable& TableOf(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kV4:
      return isa_v4::kTileTable;
    case CpuIsa::kV3:
      return isa_v3::kTileTable;
    case CpuIsa::kBaseline:
      break;
  }
  return isa_baseline::kTileTable;
}

class CpuTileOps final : public TileOps {
 public:
  explicit CpuTileOps(const TileTable& table) : table_(table) {}

  void Displace(const ChainTile& tile,
                const Displacement& move) const override {
    table_.displace(tile, move);
  }
  void Confine(const ChainTile& tile, Confinement how,
               float* x) const override {
    table_.confine(tile, how, x);
  }
  void AddMoveLogDensity(const ChainTile& tile,
                         const MoveDensity& move) const override {
    table_.add_move_log_density(tile, move);
  }
  void SetEnergyLogRatio(const ChainTile& tile) const override {
    table_.set_energy_log_ratio(tile);
  }
  void AcceptOrReject(const ChainTile& tile) const override {
    table_.accept_or_reject(tile);
  }
  void FindFinite(const ChainTile& tile, const float* x, const double* energy,
                  uint8_t* finite) const override {
    table_.find_finite(tile, x, energy, finite);
  }

 private:
  const TileTable& table_;
};

}  // namespace

std::unique_ptr<const TileOps> CreateCpuTileOps(CpuIsa isa) {
  BASIN_CHECK(isa <= DetectedIsa());
  return std::make_unique<CpuTileOps>(TableOf(isa));
}

}  // namespace basin
