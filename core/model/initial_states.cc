#include "core/model/initial_states.h"

#include <algorithm>
#include <variant>

#include "core/backend/tile_ops.h"
#include "core/base/check.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin {
namespace {

PhiloxBlock BlockOf(size_t quad, uint64_t seed, uint64_t chain) {
  return Philox(seed,
                DrawCounter(static_cast<uint32_t>(quad), chain, 0,
                            static_cast<uint8_t>(DrawPurpose::kInitialState)));
}

// Four coordinates from one Philox block.
void FillQuad(const UniformLaw& law, const PhiloxBlock& block,
              absl::Span<float> quad) {
  for (size_t i = 0; i < quad.size(); ++i) {
    const float x =
        law.lower + (law.upper - law.lower) * UnitFloat(block.word[i]);
    quad[i] = std::min(x, law.upper);  // rounding may pass it
  }
}

void FillQuad(const NormalLaw& law, const PhiloxBlock& block,
              absl::Span<float> quad) {
  const NormalQuad normals = NormalsOf(block);
  for (size_t i = 0; i < quad.size(); ++i) {
    quad[i] = law.mean + law.stddev * normals.value[i];
  }
}

void FillQuad(const BernoulliLaw& law, const PhiloxBlock& block,
              absl::Span<float> quad) {
  for (size_t i = 0; i < quad.size(); ++i) {
    quad[i] = UnitFloat(block.word[i]) < law.p ? 1.0F : 0.0F;
  }
}

template <typename Law>
void Fill(const Law& law, uint64_t seed, uint64_t chain,
          absl::Span<float> state) {
  for (size_t quad = 0; 4 * quad < state.size(); ++quad) {
    FillQuad(law, BlockOf(quad, seed, chain), state.subspan(4 * quad, 4));
  }
}

// One word for each site.
void Fill(const UniformCategoryLaw& law, uint64_t seed, uint64_t chain,
          absl::Span<float> state) {
  BASIN_CHECK(law.classes >= 1);
  const auto classes = static_cast<uint64_t>(law.classes);
  std::fill(state.begin(), state.end(), 0.0F);
  PhiloxBlock block = {};
  for (size_t site = 0; (site + 1) * classes <= state.size(); ++site) {
    if (site % 4 == 0) block = BlockOf(site / 4, seed, chain);
    state[site * classes + (block.word[site % 4] * classes >> 32)] = 1;
  }
}

}  // namespace

void DrawInitialState(const InitialLaw& law, uint64_t seed, uint64_t chain,
                      absl::Span<float> state) {
  std::visit([&](const auto& kind) { Fill(kind, seed, chain, state); }, law);
}

}  // namespace basin
