#ifndef BASIN_SERVER_DRAWS_ENCODER_H_
#define BASIN_SERVER_DRAWS_ENCODER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "core/scheduler/job.h"
#include "core/tensor/shape.h"

namespace basin {

namespace v1 {
class SampleEvent_Draws;
}  // namespace v1

// Cuts frames into Draws messages: several small frames into one, one large
// frame into several, each of a range of chains. Not thread-safe; owned by
// its stream.
class DrawsEncoder {
 public:
  struct Options {
    int64_t chains = 1;
    int64_t dimension = 1;  // D
    Shape state_shape;
    Precision precision = Precision::kFloat32;
    bool states = true;  // what the messages hold
    bool energies = true;
    bool gradients = false;
    int64_t target_bytes = int64_t{1} << 20;  // of one message, about
  };
  explicit DrawsEncoder(Options options);

  // Whether messages would hold anything.
  bool wanted() const {
    return options_.states || options_.energies || options_.gradients;
  }
  // Whether more frames fit into the next message.
  bool WantsFrame() const;
  // REQUIRES: WantsFrame(), and frames come in order of steps.
  void AddFrame(Frame frame);

  bool HasMessage() const { return !frames_.empty(); }
  // REQUIRES: HasMessage().
  void NextMessage(v1::SampleEvent_Draws& message);

 private:
  // Of one chain in one frame.
  int64_t RowBytes() const;

  const Options options_;
  // Those of the next message. Either several that are sent whole, or one of
  // which the chains before next_chain_ are sent.
  std::vector<Frame> frames_;
  int64_t next_chain_ = 0;
};

// The mean energy of each kept step over the chains that are finite there,
// thinned to at most `kMost` values evenly spaced. Not thread-safe.
class EnergyTrace {
 public:
  static constexpr size_t kMost = 1000;
  void AddFrame(const Frame& frame);
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
  int64_t frames_ = 0;
  int64_t stride_ = 1;
};

}  // namespace basin

#endif  // BASIN_SERVER_DRAWS_ENCODER_H_
