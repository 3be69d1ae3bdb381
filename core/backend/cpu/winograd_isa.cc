// The transforms of Winograd's convolution, compiled once per instruction set:
// see core/base/cpu_isa.h.

#include <cstdint>

#include "core/backend/cpu/register_lanes.h"
#include "core/backend/cpu/winograd_loops.h"
#include "core/base/host_device.h"

namespace basin::BASIN_ISA {
namespace {

static_assert(WinogradTiles::kMultiple % kLanes == 0);
constexpr int kSide = 4;  // of a transformed tile

BASIN_HOST_DEVICE Lanes Load(const float* from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

BASIN_HOST_DEVICE void Store(const Lanes& lanes, float* to) {
  __builtin_memcpy(to, &lanes, sizeof(lanes));
}

// Where a tile is.
struct Place {
  int64_t image;
  int64_t row;
  int64_t column;
};

BASIN_HOST_DEVICE Place PlaceOf(const WinogradTiles& tiles, int64_t tile) {
  const int64_t in_image = tiles.count[0] * tiles.count[1];
  return {tile / in_image, tile % in_image / tiles.count[1],
          tile % tiles.count[1]};
}

// B^T d for B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1], in place; `step`
// apart.
BASIN_HOST_DEVICE void TransformLine(Lanes* d, int step) {
  const Lanes d1 = d[step];
  const Lanes d2 = d[2 * step];
  d[0] = d[0] - d2;
  d[step] = d1 + d2;
  d[2 * step] = d2 - d1;
  d[3 * step] = d1 - d[3 * step];
}

// Where the elements of a tile are in one image, some of them outside.
struct Window {
  const float* first;  // of the tile, were it inside
  int64_t line;        // from row to row, floats
  int64_t channels;    // from column to column
  int64_t rows[2];     // those inside, 0 <= rows[0] <= rows[1] <= kSide
  int64_t columns[2];
};

BASIN_HOST_DEVICE int64_t Bounded(int64_t value) {
  return value < 0 ? 0 : value > kSide ? kSide : value;
}

BASIN_HOST_DEVICE Window WindowOf(const WinogradTiles& tiles,
                                  const Place& place, const float* x) {
  const int64_t channels = tiles.in_channels;
  const int64_t row = 2 * place.row - tiles.pad[0];
  const int64_t column = 2 * place.column - tiles.pad[1];
  return {
      x + ((place.image * tiles.in_size[0] + row) * tiles.in_size[1] + column) *
              channels,
      tiles.in_size[1] * channels,
      channels,
      {Bounded(-row), Bounded(tiles.in_size[0] - row)},
      {Bounded(-column), Bounded(tiles.in_size[1] - column)}};
}

// d [kSide, kSide] of the channels from c on, zeros outside.
BASIN_HOST_DEVICE void LoadWindow(const Window& from, int64_t c, Lanes* d) {
  for (int k = 0; k < kSide * kSide; ++k) d[k] = Lanes{};
  for (int64_t i = from.rows[0]; i < from.rows[1]; ++i) {
    for (int64_t j = from.columns[0]; j < from.columns[1]; ++j) {
      d[i * kSide + j] =
          Load(from.first + i * from.line + j * from.channels + c);
    }
  }
}

// The transform of the channels from c on. Most tiles are inside, and must not
// pay for those that are not.
template <bool kInside>
BASIN_HOST_DEVICE void TransformWindow(const Window& from, int64_t c,
                                       int64_t stride, float* points) {
  Lanes d[kSide * kSide];
  if constexpr (!kInside) LoadWindow(from, c, d);
#pragma GCC unroll 4
  for (int64_t i = 0; i < kSide; ++i) {
    if constexpr (kInside) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < kSide; ++j) {
        d[i * kSide + j] =
            Load(from.first + i * from.line + j * from.channels + c);
      }
    }
    TransformLine(d + i * kSide, 1);
  }
#pragma GCC unroll 4
  for (int j = 0; j < kSide; ++j) TransformLine(d + j, kSide);
#pragma GCC unroll 16
  for (int k = 0; k < WinogradTiles::kPoints; ++k) {
    Store(d[k], points + k * stride + c);
  }
}

void Input(const WinogradTiles& tiles, const WinogradChunk& chunk,
           const float* x, float* points) {
  const int64_t channels = tiles.in_channels;
  for (int64_t t = 0; t < chunk.count; ++t) {
    const Window from = WindowOf(tiles, PlaceOf(tiles, chunk.first + t), x);
    const bool inside = from.rows[0] == 0 && from.rows[1] == kSide &&
                        from.columns[0] == 0 && from.columns[1] == kSide;
    float* to = points + t * channels;
    for (int64_t c = 0; c < channels; c += kLanes) {
      if (inside) {
        TransformWindow<true>(from, c, chunk.stride, to);
      } else {
        TransformWindow<false>(from, c, chunk.stride, to);
      }
    }
  }
}

// A^T m for A^T = [1 1 1 0; 0 1 -1 -1], in place into the first two.
BASIN_HOST_DEVICE void GatherLine(Lanes* m, int step) {
  const Lanes m1 = m[step];
  const Lanes m2 = m[2 * step];
  m[0] = m[0] + m1 + m2;
  m[step] = m1 - m2 - m[3 * step];
}

void Output(const WinogradTiles& tiles, const WinogradChunk& chunk,
            const float* points, float* y) {
  const int64_t channels = tiles.out_channels;
  for (int64_t t = 0; t < chunk.count; ++t) {
    const Place place = PlaceOf(tiles, chunk.first + t);
    float* image =
        y + place.image * tiles.out_size[0] * tiles.out_size[1] * channels;
    for (int64_t c = 0; c < channels; c += kLanes) {
      Lanes m[kSide * kSide];
      for (int k = 0; k < WinogradTiles::kPoints; ++k) {
        m[k] = Load(points + k * chunk.stride + t * channels + c);
      }
      for (int i = 0; i < kSide; ++i) GatherLine(m + i * kSide, 1);
      for (int j = 0; j < 2; ++j) GatherLine(m + j, kSide);
      for (int64_t i = 0; i < 2; ++i) {
        const int64_t row = 2 * place.row + i;
        if (row >= tiles.out_size[0]) continue;
        for (int64_t j = 0; j < 2; ++j) {
          const int64_t column = 2 * place.column + j;
          if (column >= tiles.out_size[1]) continue;
          Store(m[i * kSide + j],
                image + (row * tiles.out_size[1] + column) * channels + c);
        }
      }
    }
  }
}

}  // namespace

extern const WinogradFunction kWinogradInput = Input;
extern const WinogradFunction kWinogradOutput = Output;

}  // namespace basin::BASIN_ISA
