#include "core/model/initial_states.h"

#include <algorithm>
#include <variant>
#include <vector>

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

// Which component 64 bits of `block` pick.
const MixtureLaw::Component& PickComponent(const MixtureLaw& law,
                                           const PhiloxBlock& block) {
  const double u = (block.word[0] + block.word[1] * 0x1p-32) * 0x1p-32;
  double below = 0;
  for (const MixtureLaw::Component& component : *law.components) {
    below += component.weight;
    if (u < below) return component;
  }
  return law.components->back();  // rounding may leave a little
}

// mean + L z. The block after those of the coordinates picks the component.
void Fill(const MixtureLaw& law, uint64_t seed, uint64_t chain,
          absl::Span<float> state) {
  const size_t d = state.size();
  const size_t quads = (d + 3) / 4;
  const MixtureLaw::Component& component =
      PickComponent(law, BlockOf(quads, seed, chain));
  BASIN_CHECK(component.mean.size() == d);
  std::vector<double> z(4 * quads);
  for (size_t quad = 0; quad < quads; ++quad) {
    const NormalQuad normals = NormalsOf(BlockOf(quad, seed, chain));
    for (size_t i = 0; i < 4; ++i) z[4 * quad + i] = normals.value[i];
  }
  const std::vector<double>& factor = component.factor;
  for (size_t i = 0; i < d; ++i) {
    double x = component.mean[i];
    if (factor.size() == d) {
      x += factor[i] * z[i];
    } else {
      for (size_t j = 0; j <= i; ++j) x += factor[i * d + j] * z[j];
    }
    state[i] = static_cast<float>(x);
  }
}

}  // namespace

void DrawInitialState(const InitialLaw& law, uint64_t seed, uint64_t chain,
                      absl::Span<float> state) {
  std::visit([&](const auto& kind) { Fill(kind, seed, chain, state); }, law);
}

}  // namespace basin
