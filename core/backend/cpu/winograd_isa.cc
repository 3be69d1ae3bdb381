// The transforms of Winograd's convolution, compiled once per instruction set:
// see core/base/cpu_isa.h.

#include <cstdint>

#include "core/backend/cpu/winograd_loops.h"
#include "core/base/host_device.h"

namespace basin::BASIN_ISA {
namespace {

constexpr int kLanes = WinogradTiles::kMultiple;
constexpr int kSide = 4;  // of a transformed tile
using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));

BASIN_HOST_DEVICE Vector Load(const float* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(vector));
  return vector;
}

BASIN_HOST_DEVICE void Store(const Vector& vector, float* to) {
  __builtin_memcpy(to, &vector, sizeof(vector));
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
BASIN_HOST_DEVICE void TransformLine(Vector* d, int step) {
  const Vector d1 = d[step];
  const Vector d2 = d[2 * step];
  d[0] = d[0] - d2;
  d[step] = d1 + d2;
  d[2 * step] = d2 - d1;
  d[3 * step] = d1 - d[3 * step];
}

void Input(const WinogradTiles& tiles, const WinogradChunk& chunk,
           const float* x, float* points) {
  const int64_t channels = tiles.in_channels;
  for (int64_t t = 0; t < chunk.count; ++t) {
    const Place place = PlaceOf(tiles, chunk.first + t);
    const int64_t row = 2 * place.row - tiles.pad[0];
    const int64_t column = 2 * place.column - tiles.pad[1];
    const float* image =
        x + place.image * tiles.in_size[0] * tiles.in_size[1] * channels;
    for (int64_t c = 0; c < channels; c += kLanes) {
      Vector d[kSide * kSide] = {};
      for (int64_t i = 0; i < kSide; ++i) {
        if (row + i < 0 || row + i >= tiles.in_size[0]) continue;
        const float* line =
            image + ((row + i) * tiles.in_size[1] + column) * channels + c;
        for (int64_t j = 0; j < kSide; ++j) {
          if (column + j < 0 || column + j >= tiles.in_size[1]) continue;
          d[i * kSide + j] = Load(line + j * channels);
        }
      }
      for (int i = 0; i < kSide; ++i) TransformLine(d + i * kSide, 1);
      for (int j = 0; j < kSide; ++j) TransformLine(d + j, kSide);
      for (int k = 0; k < WinogradTiles::kPoints; ++k) {
        Store(d[k], points + (k * chunk.stride + t) * channels + c);
      }
    }
  }
}

// A^T m for A^T = [1 1 1 0; 0 1 -1 -1], in place into the first two.
BASIN_HOST_DEVICE void GatherLine(Vector* m, int step) {
  const Vector m1 = m[step];
  const Vector m2 = m[2 * step];
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
      Vector m[kSide * kSide];
      for (int k = 0; k < WinogradTiles::kPoints; ++k) {
        m[k] = Load(points + (k * chunk.stride + t) * channels + c);
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
