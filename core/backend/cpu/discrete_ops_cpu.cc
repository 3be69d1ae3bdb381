#include "core/backend/cpu/discrete_ops_cpu.h"

#include "core/backend/cpu/discrete_table.h"
#include "core/base/check.h"

namespace basin {
namespace {

struct Tables {
  const BlockTable& block;
  const SiteTable& site;
  const GradientTable& gradient;
};

Tables TablesOf(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kV4:
      return {isa_v4::kBlockTable, isa_v4::kSiteTable, isa_v4::kGradientTable};
    case CpuIsa::kV3:
      return {isa_v3::kBlockTable, isa_v3::kSiteTable, isa_v3::kGradientTable};
    case CpuIsa::kBaseline:
      break;
  }
  return {isa_baseline::kBlockTable, isa_baseline::kSiteTable,
          isa_baseline::kGradientTable};
}

class CpuDiscreteOps final : public DiscreteOps {
 public:
  explicit CpuDiscreteOps(const Tables& tables) : tables_(tables) {}

  void EvaluateField(const BlockLaw& law, int rows, int64_t dimension,
                     float* parameter) const override {
    tables_.block.evaluate_field(law, rows, dimension, parameter);
  }
  void DrawBlock(const ChainTile& tile, const BlockLaw& law,
                 uint32_t first_quad) const override {
    tables_.block.draw_block(tile, law, first_quad);
  }
  void ProposeSite(const ChainTile& tile, int move,
                   SiteClass how) const override {
    tables_.site.propose_site(tile, move, how);
  }
  void AdvanceSite(const ChainTile& tile, int move) const override {
    tables_.site.advance_site(tile, move);
  }
  void DrawCandidate(const ChainTile& tile, int move,
                     int candidate) const override {
    tables_.site.draw_candidate(tile, move, candidate);
  }
  void ProposeByGradient(const ChainTile& tile) const override {
    tables_.gradient.propose_by_gradient(tile);
  }
  void AddSiteLogProbability(
      const ChainTile& tile,
      const DiscreteOps::MoveDensity& move) const override {
    tables_.gradient.add_site_log_probability(tile, move);
  }
  void ProposeAllSites(const ChainTile& tile) const override {
    tables_.gradient.propose_all_sites(tile);
  }
  void AddAllSitesLogProbability(
      const ChainTile& tile,
      const DiscreteOps::MoveDensity& move) const override {
    tables_.gradient.add_all_sites_log_probability(tile, move);
  }

 private:
  const Tables tables_;
};

}  // namespace

std::unique_ptr<const DiscreteOps> CreateCpuDiscreteOps(CpuIsa isa) {
  BASIN_CHECK(isa <= DetectedIsa());
  return std::make_unique<CpuDiscreteOps>(TablesOf(isa));
}

}  // namespace basin
