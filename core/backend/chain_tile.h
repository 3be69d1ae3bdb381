#ifndef BASIN_CORE_BACKEND_CHAIN_TILE_H_
#define BASIN_CORE_BACKEND_CHAIN_TILE_H_

#include <cstdint>
#include <limits>

namespace basin {

// What a transition makes of a request's parameters, for one chain. A
// transition reads those that its definition has.
struct ChainCoefficients {
  float drift = 0;  // factor of grad_energy in a move or a kick
  float noise = 0;  // standard deviation of the noise in a move or a refresh
  float clip = std::numeric_limits<float>::infinity();  // of |grad_energy_i|
  float beta = 1;                                       // inverse temperature
  float move = 0;         // factor of the momentum in a move
  float persistence = 0;  // share of the momentum that a refresh keeps
  float jitter = 0;       // share of `leaps` that is drawn at random, [0, 1]
  double path = 1;        // share of the energy; the rest is that of a base
  int32_t leaps = 1;      // evaluations, or moves of single sites, per step
};

// The chains that one worker moves together: a structure of arrays in device
// memory, B = rows, D = dimension. Does not own the arrays, which have room
// for the row count of the plan that evaluates them. Each array's row b
// belongs to chain b alone.
struct ChainTile {
  int rows = 0;           // B
  int64_t dimension = 0;  // D
  // q: coordinates form sites of q, of which one is 1; 0 = each is a site.
  int64_t classes = 0;

  float* position = nullptr;     // [B, D]
  double* energy = nullptr;      // [B], E(position), where it is carried
  float* grad_energy = nullptr;  // [B, D], dE/dx at position, where carried
  // [B, D], of mass 1 in lengths of `scale`; null unless the transition uses
  // it.
  float* momentum = nullptr;

  // A transition's scratch.
  float* proposal = nullptr;              // [B, D]
  double* proposal_energy = nullptr;      // [B]
  float* proposal_grad_energy = nullptr;  // [B, D]
  float* proposal_momentum = nullptr;     // [B, D]; null as momentum
  double* log_ratio = nullptr;            // [B]
  // Of a cheaper energy in front of the exact one.
  double* surrogate_energy = nullptr;           // [B]
  double* surrogate_proposal_energy = nullptr;  // [B]

  // Who each chain is: the key and counter of its random numbers.
  uint64_t* seed = nullptr;   // [B]
  uint64_t* chain = nullptr;  // [B], the chain's index in its request
  uint64_t* step = nullptr;   // [B], transitions done before this one

  // From Transition::Configure().
  ChainCoefficients* coefficients = nullptr;  // [B]

  // [B, D]: the length that coordinate i is measured in, the square root of a
  // diagonal preconditioner; 0 = the coordinate is clamped: nothing moves it,
  // and it is no part of any density. Null = 1 everywhere.
  float* scale = nullptr;
  // [B] lower triangles L [D, D], row-major, on the device: noise gets the
  // covariance noise^2 L L^T in the place of scale's. Null, the array or an
  // entry = none.
  const float* const* factor = nullptr;

  // The box; infinite = none. [B, box_columns]
  float* lower = nullptr;
  float* upper = nullptr;
  int64_t box_columns = 1;  // 1 for all coordinates of a row, or D

  uint8_t* accepted = nullptr;  // [B], 1 if the last proposal was accepted
};

}  // namespace basin

#endif  // BASIN_CORE_BACKEND_CHAIN_TILE_H_
