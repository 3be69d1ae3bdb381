#include "server/draws_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/check.h"
#include "server/tensor_convert.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// Rows [first, first + count) of each frame's `values`, [chains, width], one
// frame after the other.
template <typename T>
std::vector<T> Gather(const std::vector<Frame>& frames,
                      const std::vector<T> Frame::*values, size_t first,
                      size_t count, size_t width) {
  std::vector<T> all;
  all.reserve(frames.size() * count * width);
  for (const Frame& frame : frames) {
    const auto begin =
        (frame.*values).begin() + static_cast<std::ptrdiff_t>(first * width);
    all.insert(all.end(), begin,
               begin + static_cast<std::ptrdiff_t>(count * width));
  }
  return all;
}

}  // namespace

DrawsEncoder::DrawsEncoder(Options options) : options_(std::move(options)) {}

int64_t DrawsEncoder::RowBytes() const {
  const int64_t floats = (options_.states ? options_.dimension : 0) +
                         (options_.gradients ? options_.dimension : 0);
  const size_t energy = options_.precision == Precision::kFloat64
                            ? sizeof(double)
                            : sizeof(float);
  return floats * static_cast<int64_t>(sizeof(float)) +
         (options_.energies ? static_cast<int64_t>(energy) : 0);
}

bool DrawsEncoder::WantsFrame() const {
  if (frames_.empty()) return true;
  const auto frames = static_cast<int64_t>(frames_.size()) + 1;
  // A frame also costs its step number.
  const int64_t frame_bytes = options_.chains * RowBytes() + 8;
  return next_chain_ == 0 && frames * frame_bytes <= options_.target_bytes;
}

void DrawsEncoder::AddFrame(Frame frame) {
  BASIN_CHECK(WantsFrame());
  frames_.push_back(std::move(frame));
}

void DrawsEncoder::NextMessage(v1::SampleEvent_Draws& message) {
  BASIN_CHECK(HasMessage());
  const int64_t fit = std::max<int64_t>(options_.target_bytes / RowBytes(), 1);
  const int64_t left = options_.chains - next_chain_;
  const int64_t count = frames_.size() > 1 ? left : std::min(left, fit);
  const auto first = static_cast<size_t>(next_chain_);
  const auto rows = static_cast<size_t>(count);
  const auto width = static_cast<size_t>(options_.dimension);
  const int64_t leading[] = {static_cast<int64_t>(frames_.size()), count};
  const Shape::Dims& state = options_.state_shape.dims();

  message.set_first_chain(next_chain_);
  for (const Frame& frame : frames_) message.add_steps(frame.step);
  if (options_.states) {
    FloatsToProto(leading, state,
                  Gather(frames_, &Frame::states, first, rows, width),
                  *message.mutable_states());
  }
  if (options_.energies) {
    EnergiesToProto(leading, options_.precision,
                    Gather(frames_, &Frame::energies, first, rows, 1),
                    *message.mutable_energies());
  }
  if (options_.gradients) {
    FloatsToProto(leading, state,
                  Gather(frames_, &Frame::grad_energies, first, rows, width),
                  *message.mutable_gradients());
  }
  next_chain_ += count;
  if (next_chain_ == options_.chains) {
    frames_.clear();
    next_chain_ = 0;
  }
}

void EnergyTrace::AddFrame(const Frame& frame) {
  if (frames_++ % stride_ != 0) return;
  if (values_.size() == kMost) {
    for (size_t i = 0; 2 * i < kMost; ++i) values_[i] = values_[2 * i];
    values_.resize(kMost / 2);
    stride_ *= 2;
  }
  double sum = 0;
  int64_t finite = 0;
  for (const double energy : frame.energies) {
    if (!std::isfinite(energy)) continue;
    sum += energy;
    ++finite;
  }
  values_.push_back(finite > 0 ? sum / static_cast<double>(finite)
                               : std::numeric_limits<double>::quiet_NaN());
}

}  // namespace basin
