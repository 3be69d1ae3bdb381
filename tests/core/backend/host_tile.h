#ifndef BASIN_TESTS_CORE_BACKEND_HOST_TILE_H_
#define BASIN_TESTS_CORE_BACKEND_HOST_TILE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/backend/chain_tile.h"

namespace basin::testing {

// A ChainTile whose arrays are vectors. Rows are chains 0, 1, ... of seed 1 at
// step 0, at the origin, unbounded, with drift, noise, move and beta 1 and no
// clip, scale or factor.
class HostTile {
 public:
  // All arrays have room for `capacity` rows; 0 = as many as `rows`.
  HostTile(int rows, int64_t dimension, int capacity = 0)
      : n_(capacity == 0 ? rows : capacity), d_(dimension) {
    for (size_t b = 0; b < n_; ++b) chain[b] = b;
    tile_ = {.rows = rows,
             .dimension = dimension,
             .position = position.data(),
             .energy = energy.data(),
             .grad_energy = grad_energy.data(),
             .momentum = momentum.data(),
             .proposal = proposal.data(),
             .proposal_energy = proposal_energy.data(),
             .proposal_grad_energy = proposal_grad_energy.data(),
             .proposal_momentum = proposal_momentum.data(),
             .log_ratio = log_ratio.data(),
             .surrogate_energy = surrogate_energy.data(),
             .surrogate_proposal_energy = surrogate_proposal_energy.data(),
             .seed = seed.data(),
             .chain = chain.data(),
             .step = step.data(),
             .coefficients = coefficients.data(),
             .lower = lower.data(),
             .upper = upper.data(),
             .accepted = accepted.data()};
  }
  HostTile(const HostTile&) = delete;
  HostTile& operator=(const HostTile&) = delete;

  ChainTile& tile() { return tile_; }

  // Gives all rows the scale `row` [D].
  void SetScale(const std::vector<float>& row) {
    scale.clear();
    for (size_t b = 0; b < n_; ++b) {
      scale.insert(scale.end(), row.begin(), row.end());
    }
    tile_.scale = scale.data();
  }
  // Gives all rows a box with faces of their own in each coordinate, [D].
  void SetBox(const std::vector<float>& row_lower,
              const std::vector<float>& row_upper) {
    lower.clear();
    upper.clear();
    for (size_t b = 0; b < n_; ++b) {
      lower.insert(lower.end(), row_lower.begin(), row_lower.end());
      upper.insert(upper.end(), row_upper.begin(), row_upper.end());
    }
    tile_.lower = lower.data();
    tile_.upper = upper.data();
    tile_.box_columns = tile_.dimension;
  }
  // Gives all rows the factor `triangle` [D, D], which must live on.
  void SetFactor(const std::vector<float>& triangle) {
    factor.assign(n_, triangle.data());
    tile_.factor = factor.data();
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const size_t n_;
  const size_t d_;
  ChainTile tile_;

 public:
  std::vector<float> position = std::vector<float>(n_ * d_);
  std::vector<float> grad_energy = std::vector<float>(n_ * d_);
  std::vector<float> proposal = std::vector<float>(n_ * d_);
  std::vector<float> proposal_grad_energy = std::vector<float>(n_ * d_);
  std::vector<float> momentum = std::vector<float>(n_ * d_);
  std::vector<float> proposal_momentum = std::vector<float>(n_ * d_);
  std::vector<float> scale;
  std::vector<const float*> factor;
  std::vector<double> energy = std::vector<double>(n_);
  std::vector<double> proposal_energy = std::vector<double>(n_);
  std::vector<double> log_ratio = std::vector<double>(n_);
  std::vector<double> surrogate_energy = std::vector<double>(n_);
  std::vector<double> surrogate_proposal_energy = std::vector<double>(n_);
  std::vector<uint64_t> seed = std::vector<uint64_t>(n_, 1);
  std::vector<uint64_t> chain = std::vector<uint64_t>(n_);
  std::vector<uint64_t> step = std::vector<uint64_t>(n_);
  std::vector<ChainCoefficients> coefficients =
      std::vector<ChainCoefficients>(n_, {.drift = 1, .noise = 1, .move = 1});
  std::vector<float> lower = std::vector<float>(n_, -kInfinity);
  std::vector<float> upper = std::vector<float>(n_, kInfinity);
  std::vector<uint8_t> accepted = std::vector<uint8_t>(n_);
};

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_BACKEND_HOST_TILE_H_
