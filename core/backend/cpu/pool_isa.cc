// Pooling, compiled once per instruction set: see core/base/cpu_isa.h. Loops
// are vectorised over the channels; each channel adds up in row-major order.

#include <cstdint>

#include "core/backend/cpu/pool_loops.h"
#include "core/base/host_device.h"

namespace basin::BASIN_ISA {
namespace {

constexpr int kAxes = PoolLoops::kAxes;
// Channels that kMaxGrad looks at together.
constexpr int64_t kGroup = 64;

BASIN_HOST_DEVICE int64_t Product(const int64_t* sizes) {
  return sizes[0] * sizes[1] * sizes[2];
}

// The part of a window that lies in the image; `padded_cells` also counts
// padding.
struct Box {
  int64_t begin[kAxes];
  int64_t end[kAxes];
  int64_t cells;
  int64_t padded_cells;
};

BASIN_HOST_DEVICE Box BoxAt(const PoolLoops& w, const int64_t* window) {
  Box box = {{}, {}, 1, 1};
  for (int a = 0; a < kAxes; ++a) {
    const int64_t start = window[a] * w.stride[a] - w.before[a];
    const int64_t end = start + w.kernel[a];
    const int64_t padded_end = w.size[a] + w.after[a];
    box.begin[a] = start > 0 ? start : 0;
    box.end[a] = end < w.size[a] ? end : w.size[a];
    box.cells *= box.end[a] - box.begin[a];
    box.padded_cells *= (end < padded_end ? end : padded_end) - start;
  }
  return box;
}

// Calls visit(place of the window in y, its box) for each window.
template <typename Visit>
BASIN_HOST_DEVICE void ForEachWindow(const PoolLoops& w, const Visit& visit) {
  int64_t place = 0;
  int64_t window[kAxes];
  for (window[0] = 0; window[0] < w.count[0]; ++window[0]) {
    for (window[1] = 0; window[1] < w.count[1]; ++window[1]) {
      for (window[2] = 0; window[2] < w.count[2]; ++window[2]) {
        visit(place, BoxAt(w, window));
        place += w.channels;
      }
    }
  }
}

// Calls visit(place in x) for each cell, in row-major order.
template <typename Visit>
BASIN_HOST_DEVICE void ForEachCell(const PoolLoops& w, const Box& box,
                                   const Visit& visit) {
  for (int64_t i = box.begin[0]; i < box.end[0]; ++i) {
    for (int64_t j = box.begin[1]; j < box.end[1]; ++j) {
      const int64_t row = (i * w.size[1] + j) * w.size[2];
      for (int64_t k = box.begin[2]; k < box.end[2]; ++k) {
        visit((row + k) * w.channels);
      }
    }
  }
}

template <typename T>
BASIN_HOST_DEVICE void Fill(T* x, int64_t n, T value) {
  for (int64_t i = 0; i < n; ++i) x[i] = value;
}

// NaN if one of them is.
template <typename T>
BASIN_HOST_DEVICE T Larger(T a, T b) {
  const T larger = a > b ? a : b;
  return a != a ? a : larger;
}

template <typename T>
void Max(const PoolLoops& w, const T* x, T* __restrict y) {
  ForEachWindow(w, [&](int64_t place, const Box& box) {
    T* __restrict to = y + place;
    Fill(to, w.channels, -static_cast<T>(__builtin_inf()));
    ForEachCell(w, box, [&](int64_t cell) {
      const T* from = x + cell;
      for (int64_t c = 0; c < w.channels; ++c) to[c] = Larger(to[c], from[c]);
    });
  });
}

// To the first maximum of `n` channels of a window; a NaN counts as one.
template <typename T>
BASIN_HOST_DEVICE void MaxGradOfGroup(const PoolLoops& w, const Box& box,
                                      int64_t n, const T* x, const T* dy,
                                      T* dx) {
  T best[kGroup];
  int32_t cells[kGroup];
  int32_t number = 0;
  ForEachCell(w, box, [&](int64_t cell) {
    const T* from = x + cell;
    for (int64_t c = 0; c < n; ++c) {
      const bool wins = number == 0 || from[c] > best[c] || from[c] != from[c];
      best[c] = wins ? from[c] : best[c];
      cells[c] = wins ? number : cells[c];
    }
    ++number;
  });
  number = 0;
  ForEachCell(w, box, [&](int64_t cell) {
    T* to = dx + cell;
    for (int64_t c = 0; c < n; ++c) {
      to[c] = cells[c] == number ? to[c] + dy[c] : to[c];
    }
    ++number;
  });
}

template <typename T>
void MaxGrad(const PoolLoops& w, const T* x, const T* dy, T* dx) {
  Fill(dx, Product(w.size) * w.channels, T{0});
  ForEachWindow(w, [&](int64_t place, const Box& box) {
    for (int64_t c = 0; c < w.channels; c += kGroup) {
      const int64_t left = w.channels - c;
      MaxGradOfGroup(w, box, left < kGroup ? left : kGroup, x + c,
                     dy + place + c, dx + c);
    }
  });
}

template <typename T>
BASIN_HOST_DEVICE T CountOf(const PoolLoops& w, const Box& box) {
  return static_cast<T>(w.divides_by_padded_cells ? box.padded_cells
                                                  : box.cells);
}

template <typename T>
void Avg(const PoolLoops& w, const T* x, T* __restrict y) {
  ForEachWindow(w, [&](int64_t place, const Box& box) {
    T* __restrict to = y + place;
    Fill(to, w.channels, T{0});
    ForEachCell(w, box, [&](int64_t cell) {
      const T* from = x + cell;
      for (int64_t c = 0; c < w.channels; ++c) to[c] += from[c];
    });
    const T count = CountOf<T>(w, box);
    for (int64_t c = 0; c < w.channels; ++c) to[c] /= count;
  });
}

template <typename T>
void AvgGrad(const PoolLoops& w, const T* dy, T* __restrict dx) {
  Fill(dx, Product(w.size) * w.channels, T{0});
  ForEachWindow(w, [&](int64_t place, const Box& box) {
    const T* from = dy + place;
    const T count = CountOf<T>(w, box);
    ForEachCell(w, box, [&](int64_t cell) {
      T* __restrict to = dx + cell;
      for (int64_t c = 0; c < w.channels; ++c) to[c] += from[c] / count;
    });
  });
}

template <typename T>
void Run(const PoolLoops& w, const T* first, const T* second, T* out) {
  const int64_t x = Product(w.size) * w.channels;
  const int64_t y = Product(w.count) * w.channels;
  for (int64_t image = 0; image < w.images; ++image) {
    switch (w.kind) {
      case PoolLoops::Kind::kMax:
        Max(w, first + image * x, out + image * y);
        break;
      case PoolLoops::Kind::kMaxGrad:
        MaxGrad(w, first + image * x, second + image * y, out + image * x);
        break;
      case PoolLoops::Kind::kAvg:
        Avg(w, first + image * x, out + image * y);
        break;
      case PoolLoops::Kind::kAvgGrad:
        AvgGrad(w, first + image * y, out + image * x);
        break;
    }
  }
}

}  // namespace

extern const RunPoolFunction<float> kRunPool = Run<float>;
extern const RunPoolFunction<double> kRunDoublePool = Run<double>;

}  // namespace basin::BASIN_ISA
