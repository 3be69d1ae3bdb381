#ifndef BASIN_CORE_BACKEND_CHAIN_TILE_H_
#define BASIN_CORE_BACKEND_CHAIN_TILE_H_

#include <cstdint>

namespace basin {

// The chains that one worker moves together: a structure of arrays in device
// memory, B = rows, D = dimension. Does not own the arrays, which have room
// for the row count of the plan that evaluates them. Each array's row b
// belongs to chain b alone.
struct ChainTile {
  int rows = 0;           // B
  int64_t dimension = 0;  // D

  float* position = nullptr;     // [B, D]
  double* energy = nullptr;      // [B], E(position), where it is carried
  float* grad_energy = nullptr;  // [B, D], dE/dx at position, where carried

  // A transition's scratch.
  float* proposal = nullptr;              // [B, D]
  double* proposal_energy = nullptr;      // [B]
  float* proposal_grad_energy = nullptr;  // [B, D]
  double* log_ratio = nullptr;            // [B]

  // Who each chain is: the key and counter of its random numbers.
  uint64_t* seed = nullptr;   // [B]
  uint64_t* chain = nullptr;  // [B], the chain's index in its request
  uint64_t* step = nullptr;   // [B], transitions done before this one

  // Per-chain coefficients, from Transition::Configure().
  float* drift = nullptr;  // [B], factor of grad_energy in a move
  float* noise = nullptr;  // [B], standard deviation of the noise in a move
  float* clip = nullptr;   // [B], bound of |grad_energy_i|; +inf = none
  float* beta = nullptr;   // [B], inverse temperature
  float* lower = nullptr;  // [B], the box; -inf = none
  float* upper = nullptr;  // [B], the box; +inf = none

  uint8_t* accepted = nullptr;  // [B], 1 if the last proposal was accepted
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CHAIN_TILE_H_
