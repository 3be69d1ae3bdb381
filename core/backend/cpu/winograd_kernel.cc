// Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin and Gray 2016): 16
// products for four results instead of 36. Tiles of the image and the weights
// are transformed, multiplied point by point (a product of matrices over the
// channels for each of the 16 points), and the results transformed back. These
// transforms only add, subtract and halve, so that the error is about that of
// the direct sum; the larger F(4 x 4, 3 x 3) loses digits, and is not used.
//
// The gradient of such a convolution is one again: with the weights turned
// around, and its channels exchanged.

#include "core/backend/cpu/winograd_kernel.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "core/backend/cpu/dnnl_kernel.h"
#include "core/backend/cpu/winograd_loops.h"
#include "core/base/cpu_isa.h"

namespace basin {
namespace {

constexpr int64_t kPoints = WinogradTiles::kPoints;
constexpr int64_t kKernel = 3;
// Tiles that are transformed together: their points stay in the cache.
constexpr int64_t kMaxChunk = 128;
// Above, the transformed weights do not.
constexpr int64_t kMaxWeights = 128 * 128;  // in channels times out channels
constexpr int64_t kMinSize = 4;             // of images

bool IsForward(const KernelInput& input) {
  return input.node().op == Op::kConv;
}

WinogradTiles TilesOf(const KernelInput& input) {
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Shape& from = input.input_shape(0);
  const Shape& to = input.node().shape;
  WinogradTiles tiles;
  tiles.in_channels = from.dim(-1);
  tiles.out_channels = to.dim(-1);
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t pad = attrs.pads_before[static_cast<size_t>(axis)];
    tiles.in_size[axis] = from.dim(1 + axis);
    tiles.out_size[axis] = to.dim(1 + axis);
    tiles.pad[axis] = IsForward(input) ? pad : kKernel - 1 - pad;
    tiles.count[axis] = (tiles.out_size[axis] + 1) / 2;
  }
  return tiles;
}

// G g for G = [1 0 0; .5 .5 .5; .5 -.5 .5; 0 0 1]: `from` three numbers
// `step` apart, `to` four.
void TransformLine(const double* from, int from_step, double* to, int to_step) {
  const double a = from[0];
  const double b = from[from_step];
  const double c = from[2 * from_step];
  to[0] = a;
  to[to_step] = (a + b + c) / 2;
  to[2 * to_step] = (a - b + c) / 2;
  to[3 * to_step] = c;
}

// G g G^T.
void TransformTaps(const double* taps, double* points) {
  double lines[4 * kKernel];
  for (int j = 0; j < kKernel; ++j) {
    TransformLine(taps + j, kKernel, lines + j, kKernel);
  }
  for (int i = 0; i < 4; ++i) {
    TransformLine(lines + i * kKernel, 1, points + 4 * i, 1);
  }
}

// The weights [O, C, 3, 3] of the forward operation as [16, in, out].
std::vector<float> TransformedWeights(const KernelInput& input) {
  const float* weights = input.constant(1)->data<float>().data();
  const bool forward = IsForward(input);
  const int64_t outputs = input.input_shape(1).dim(0);
  const int64_t channels = input.input_shape(1).dim(1);
  const int64_t out = forward ? outputs : channels;
  constexpr int kTaps = kKernel * kKernel;
  std::vector<float> result(static_cast<size_t>(kPoints * outputs * channels));
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      const float* from = weights + (o * channels + c) * kTaps;
      double taps[kTaps];
      double points[kPoints];
      for (int t = 0; t < kTaps; ++t) {
        taps[t] = from[forward ? t : kTaps - 1 - t];
      }
      TransformTaps(taps, points);
      const int64_t place = forward ? c * out + o : o * out + c;
      for (int64_t k = 0; k < kPoints; ++k) {
        result[static_cast<size_t>(k * outputs * channels + place)] =
            static_cast<float>(points[k]);
      }
    }
  }
  return result;
}

class WinogradKernel : public Kernel {
 public:
  explicit WinogradKernel(const KernelInput& input)
      : tiles_(TilesOf(input)),
        num_tiles_(input.node().shape.dim(0) * tiles_.count[0] *
                   tiles_.count[1]),
        chunk_(std::min({num_tiles_, kMaxChunk, MaxSteadyRows()})),
        chunk_rows_(SteadyRows(chunk_)),
        x_(input.input(0)),
        out_(input.id),
        product_(Name(input.node().op), input.engine) {}

  // Throws dnnl::error.
  void Build(const KernelInput& input) {
    using dnnl::memory;
    constexpr auto kF32 = memory::data_type::f32;
    constexpr auto kDense = memory::format_tag::abc;
    const int64_t in = tiles_.in_channels;
    const int64_t out = tiles_.out_channels;
    const memory::desc from({kPoints, chunk_rows_, in}, kF32,
                            {StrideOf(in), in, 1});
    const memory::desc plain({kPoints, in, out}, kF32, kDense);
    const memory::desc any({kPoints, in, out}, kF32, memory::format_tag::any);
    const memory::desc to({kPoints, chunk_rows_, out}, kF32,
                          {StrideOf(out), out, 1});
    const dnnl::matmul::primitive_desc product(
        dnnl::matmul::desc(from, any, to), DnnlAttributes(), input.engine);
    const DnnlMemory weights = DnnlKernel::Fixed(input.weights.PackedFrom(
        *input.constant(1), IsForward(input) ? "winograd" : "turned winograd",
        plain, product.weights_desc(),
        [&input] { return TransformedWeights(input); }));
    const DnnlMemory source = product_.Scratch(from);
    const DnnlMemory result = product_.Scratch(to);
    source_offset_ = source.offset;
    result_offset_ = result.offset;
    product_.AddCall(dnnl::matmul(product), {{DNNL_ARG_SRC, source},
                                             {DNNL_ARG_WEIGHTS, weights},
                                             {DNNL_ARG_DST, result}});
  }

  size_t scratch_bytes() const override { return product_.scratch_bytes(); }
  std::unique_ptr<KernelState> CreateState() const override {
    return product_.CreateState();
  }

  absl::Status Run(const KernelContext& context) const override {
    auto* source = reinterpret_cast<float*>(context.scratch + source_offset_);
    auto* result = reinterpret_cast<float*>(context.scratch + result_offset_);
    // The last chunk reaches back over tiles that are done already.
    for (int64_t done = 0; done < num_tiles_; done += chunk_) {
      WinogradChunk chunk = {std::min(done, num_tiles_ - chunk_), chunk_,
                             StrideOf(tiles_.in_channels)};
      input_(tiles_, chunk, context.values[x_], source);
      absl::Status status = product_.Run(context);
      if (!status.ok()) return status;
      chunk.stride = StrideOf(tiles_.out_channels);
      output_(tiles_, chunk, result, context.values[out_]);
    }
    return absl::OkStatus();
  }

 private:
  // Between points: not a power of two, or all of a tile would share few
  // places of the first-level cache.
  int64_t StrideOf(int64_t channels) const {
    constexpr int64_t kLine = 16;  // floats
    return chunk_rows_ * channels + kLine;
  }

  const WinogradTiles tiles_;
  const int64_t num_tiles_;
  const int64_t chunk_;
  const int64_t chunk_rows_;  // of the matrices, with unused ones
  const ValueId x_;
  const ValueId out_;
  DnnlKernel product_;
  size_t source_offset_ = 0;  // in the scratch memory, bytes
  size_t result_offset_ = 0;
  const WinogradFunction input_ =
      SelectByIsa(isa_baseline::kWinogradInput, isa_v3::kWinogradInput,
                  isa_v4::kWinogradInput);
  const WinogradFunction output_ =
      SelectByIsa(isa_baseline::kWinogradOutput, isa_v3::kWinogradOutput,
                  isa_v4::kWinogradOutput);
};

bool IsThreeByThree(const ConvAttrs& attrs, const Shape& weights) {
  if (weights.rank() != 4 || attrs.groups != 1) return false;
  for (int axis = 0; axis < 2; ++axis) {
    const auto a = static_cast<size_t>(axis);
    if (weights.dim(2 + axis) != kKernel || attrs.strides[a] != 1 ||
        attrs.dilations[a] != 1 || attrs.pads_before[a] >= kKernel) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool SuitsWinograd(const KernelInput& input) {
  const auto& attrs = std::get<ConvAttrs>(input.node().attributes);
  const Op op = input.node().op;
  if (input.precision != Precision::kFloat32 ||
      attrs.layout != ImageLayout::kChannelsLast ||
      (op != Op::kConv && op != Op::kConvBackwardData) ||
      input.constant(1) == nullptr ||
      !IsThreeByThree(attrs, input.input_shape(1))) {
    return false;
  }
  const WinogradTiles tiles = TilesOf(input);
  return tiles.in_channels % WinogradTiles::kMultiple == 0 &&
         tiles.out_channels % WinogradTiles::kMultiple == 0 &&
         tiles.in_channels * tiles.out_channels <= kMaxWeights &&
         std::min(tiles.out_size[0], tiles.out_size[1]) >= kMinSize;
}

KernelOr CreateWinogradKernel(const KernelInput& input) {
  return CatchDnnl(input, [&]() -> KernelOr {
    auto kernel = std::make_unique<WinogradKernel>(input);
    kernel->Build(input);
    return kernel;
  });
}

}  // namespace basin
