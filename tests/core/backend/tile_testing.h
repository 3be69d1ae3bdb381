#ifndef BASIN_TESTS_CORE_BACKEND_TILE_TESTING_H_
#define BASIN_TESTS_CORE_BACKEND_TILE_TESTING_H_

// What the tests of the tile operations share.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cpu/tile_ops_cpu.h"
#include "core/base/philox.h"
#include "tests/core/backend/host_tile.h"

namespace basin::testing {

// Those of this machine.
inline std::vector<CpuIsa> Isas() {
  std::vector<CpuIsa> isas;
  for (const CpuIsa isa : {CpuIsa::kBaseline, CpuIsa::kV3, CpuIsa::kV4}) {
    if (isa <= DetectedIsa()) isas.push_back(isa);
  }
  return isas;
}

inline std::string NameOfIsa(const ::testing::TestParamInfo<CpuIsa>& info) {
  return "Isa" + std::to_string(static_cast<int>(info.param));
}

class TileOpsTest : public ::testing::TestWithParam<CpuIsa> {
 protected:
  const std::unique_ptr<const TileOps> ops_ = CreateCpuTileOps(GetParam());
};

inline bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Fills a tile with all kinds of rows.
inline void Randomize(uint32_t seed, HostTile& host) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (auto* array :
       {&host.position, &host.grad_energy, &host.proposal,
        &host.proposal_grad_energy, &host.momentum, &host.proposal_momentum}) {
    for (float& x : *array) x = normal(generator);
  }
  for (auto* array : {&host.energy, &host.proposal_energy}) {
    for (double& x : *array) x = normal(generator);
  }
  for (size_t b = 0; b < host.seed.size(); ++b) {
    host.seed[b] = generator();
    host.chain[b] = generator() >> 40;
    host.step[b] = generator() >> 20;
    ChainCoefficients& of = host.coefficients[b];
    of.drift = std::abs(normal(generator));
    of.noise = 0.1F + std::abs(normal(generator));
    of.clip = b % 3 == 0 ? 0.5F : kInfinity;
    of.move = std::abs(normal(generator));
    of.persistence = b % 4 == 0 ? 0 : 0.75F;
    host.lower[b] = b % 2 == 0 ? -1.5F : -kInfinity;
    host.upper[b] = b % 5 == 0 ? kInfinity : 1.25F;
  }
}

// A scale [D] with zeros.
inline std::vector<float> MixedScale(int64_t dimension) {
  std::vector<float> scale(dimension);
  for (int64_t i = 0; i < dimension; ++i) {
    scale[i] = i % 3 == 1 ? 0 : 0.25F * static_cast<float>(1 + i % 7);
  }
  return scale;
}

// The normal of coordinate `i` in double precision, by the library's functions.
// `substep` counts moves within the step.
inline double ReferenceNormal(uint64_t seed, uint64_t chain, uint64_t step,
                              int i, uint8_t purpose = 0,
                              uint64_t substep = 0) {
  const PhiloxBlock block =
      Philox(seed, DrawCounter(i / 4, chain, step + (substep << 46), purpose));
  const int pair = i % 4 / 2;
  const double u = ((block.word[2 * pair] >> 9) + 0.5) * 0x1p-23;
  const double angle =
      2 * std::numbers::pi * (block.word[2 * pair + 1] >> 9) * 0x1p-23;
  const double radius = std::sqrt(-2 * std::log(u));
  return radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_BACKEND_TILE_TESTING_H_
