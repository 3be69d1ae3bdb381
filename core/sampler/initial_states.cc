#include "core/sampler/initial_states.h"

#include <algorithm>
#include <variant>

#include "core/backend/tile_ops.h"
#include "core/base/normal.h"
#include "core/base/philox.h"

namespace basin {
namespace {

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

}  // namespace

void DrawInitialState(const InitialLaw& law, uint64_t seed, uint64_t chain,
                      absl::Span<float> state) {
  std::visit(
      [&](const auto& kind) {
        for (size_t quad = 0; 4 * quad < state.size(); ++quad) {
          const PhiloxBlock block = Philox(
              seed,
              DrawCounter(static_cast<uint32_t>(quad), chain, 0,
                          static_cast<uint8_t>(DrawPurpose::kInitialState)));
          FillQuad(kind, block, state.subspan(4 * quad, 4));
        }
      },
      law);
}

}  // namespace basin
