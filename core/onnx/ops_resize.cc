// Resize and Upsample: interpolation along one axis after the other, each a
// choice of elements or a product with a matrix of weights. The formulas are
// those of ONNX's reference implementation (onnx/reference/ops/op_resize.py).

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/base/status_macros.h"
#include "core/onnx/index_values.h"
#include "core/onnx/operators.h"
#include "core/onnx/tensor_reader.h"

namespace basin::internal {
namespace {

// Of an axis before and after.
constexpr int64_t kMaxSize = int64_t{1} << 24;

enum class Coordinates {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPyTorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfHalfPixel,
  kTfCropAndResize,
};
enum class Nearest { kRoundPreferFloor, kRoundPreferCeil, kFloor, kCeil };
enum class Mode { kNearest, kLinear, kCubic };

template <typename T>
struct Named {
  absl::string_view name;
  T value;
};

constexpr Named<Coordinates> kCoordinates[] = {
    {"half_pixel", Coordinates::kHalfPixel},
    {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
    {"pytorch_half_pixel", Coordinates::kPyTorchHalfPixel},
    {"align_corners", Coordinates::kAlignCorners},
    {"asymmetric", Coordinates::kAsymmetric},
    {"tf_half_pixel_for_nn", Coordinates::kTfHalfPixel},
    {"tf_crop_and_resize", Coordinates::kTfCropAndResize}};
constexpr Named<Nearest> kNearest[] = {
    {"round_prefer_floor", Nearest::kRoundPreferFloor},
    {"round_prefer_ceil", Nearest::kRoundPreferCeil},
    {"floor", Nearest::kFloor},
    {"ceil", Nearest::kCeil}};
constexpr Named<Mode> kModes[] = {{"nearest", Mode::kNearest},
                                  {"linear", Mode::kLinear},
                                  {"bilinear", Mode::kLinear},
                                  {"cubic", Mode::kCubic}};

struct Interpolation {
  Mode mode = Mode::kNearest;
  Coordinates coordinates = Coordinates::kAsymmetric;
  Nearest nearest = Nearest::kFloor;
  double cubic_a = -0.75;
  bool antialias = false;
  bool exclude_outside = false;
  float extrapolation = 0;
};

struct AxisPlan {
  int axis = 0;
  int64_t from = 0;  // elements
  int64_t to = 0;
  double scale = 1;
  double roi_start = 0;
  double roi_end = 1;
};

template <typename T, size_t size>
absl::StatusOr<T> ReadNamed(NodeContext& n, absl::string_view attribute,
                            absl::string_view default_name,
                            const Named<T> (&names)[size]) {
  const std::string given = n.String(attribute, std::string(default_name));
  std::string all;
  for (const Named<T>& named : names) {
    if (named.name == given) return named.value;
    absl::StrAppend(&all, all.empty() ? "" : ", ", named.name);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      attribute, " is ", Quoted(given), ", expected one of ", all));
}

absl::StatusOr<Interpolation> ReadInterpolation(NodeContext& n) {
  Interpolation result;
  BASIN_ASSIGN_OR_RETURN(result.mode, ReadNamed(n, "mode", "nearest", kModes));
  if (n.opset() < 11) return result;
  BASIN_ASSIGN_OR_RETURN(result.coordinates,
                         ReadNamed(n, "coordinate_transformation_mode",
                                   "half_pixel", kCoordinates));
  BASIN_ASSIGN_OR_RETURN(
      result.nearest,
      ReadNamed(n, "nearest_mode", "round_prefer_floor", kNearest));
  result.cubic_a = n.Float("cubic_coeff_a", -0.75f);
  result.exclude_outside = n.Int("exclude_outside", 0) != 0;
  result.extrapolation = n.Float("extrapolation_value", 0);
  if (n.opset() >= 18) result.antialias = n.Int("antialias", 0) != 0;
  return result;
}

// Where element `x` of the result lies in the input.
double SourceOf(int64_t x, const AxisPlan& plan, Coordinates coordinates) {
  const auto place = static_cast<double>(x);
  const auto from = static_cast<double>(plan.from);
  const double width = plan.scale * from;
  switch (coordinates) {
    case Coordinates::kAlignCorners:
      return width == 1 ? 0 : place * (from - 1) / (width - 1);
    case Coordinates::kAsymmetric:
      return place / plan.scale;
    case Coordinates::kTfHalfPixel:
      return (place + 0.5) / plan.scale;
    case Coordinates::kTfCropAndResize: {
      const double extent = (plan.roi_end - plan.roi_start) * (from - 1);
      const double start = plan.roi_start * (from - 1);
      if (width == 1) return start + extent / 2;
      return start + place * extent / (width - 1);
    }
    case Coordinates::kPyTorchHalfPixel:
      if (width == 1) return -0.5;
      break;
    case Coordinates::kHalfPixelSymmetric: {
      const double adjustment = static_cast<double>(plan.to) / width;
      return from / 2 * (1 - adjustment) + (place + 0.5) / plan.scale - 0.5;
    }
    case Coordinates::kHalfPixel:
      break;
  }
  return (place + 0.5) / plan.scale - 0.5;
}

struct Tap {
  int64_t index;
  double weight;
};

int64_t NearestTo(double x, Nearest nearest) {
  switch (nearest) {
    case Nearest::kFloor:
      return static_cast<int64_t>(std::floor(x));
    case Nearest::kCeil:
      return static_cast<int64_t>(std::ceil(x));
    case Nearest::kRoundPreferFloor:
      return static_cast<int64_t>(std::ceil(x - 0.5));
    case Nearest::kRoundPreferCeil:
      break;
  }
  return static_cast<int64_t>(std::floor(x + 0.5));
}

// The kernel's weight at distance t.
double KernelAt(double t, const Interpolation& how) {
  const double x = std::abs(t);
  if (how.mode == Mode::kLinear) return std::max(1 - x, 0.0);
  const double a = how.cubic_a;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// What the result at `x` of the input consists of.
std::vector<Tap> TapsAt(double x, const AxisPlan& plan,
                        const Interpolation& how) {
  if (how.mode == Mode::kNearest) return {{NearestTo(x, how.nearest), 1}};
  const double stretch = how.antialias ? std::min(plan.scale, 1.0) : 1.0;
  const double reach = how.mode == Mode::kLinear ? 1 : 2;
  const auto base = static_cast<int64_t>(std::ceil(x)) - 1;
  const auto first = static_cast<int64_t>(std::floor(-reach / stretch)) + 1;
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t i = base + first; i < base + 2 - first; ++i) {
    double weight = KernelAt((static_cast<double>(i) - x) * stretch, how);
    if (how.exclude_outside && (i < 0 || i >= plan.from)) weight = 0;
    taps.push_back({i, weight});
    sum += weight;
  }
  const bool normalise = how.antialias || how.exclude_outside;
  for (Tap& tap : taps) tap.weight /= normalise ? sum : 1;
  return taps;
}

// One element for each result.
bool PicksElements(const AxisPlan& plan, const Interpolation& how,
                   std::vector<int64_t>& indices) {
  for (int64_t o = 0; o < plan.to; ++o) {
    int64_t index = -1;
    for (const Tap& tap :
         TapsAt(SourceOf(o, plan, how.coordinates), plan, how)) {
      if (tap.weight == 0) continue;
      if (index != -1 || tap.weight != 1) return false;
      index = std::clamp<int64_t>(tap.index, 0, plan.from - 1);
    }
    if (index == -1) return false;
    indices.push_back(index);
  }
  return true;
}

// [from, to]
absl::StatusOr<Tensor> WeightsOf(NodeContext& n, const AxisPlan& plan,
                                 const Interpolation& how) {
  const Shape shape({plan.from, plan.to});
  BASIN_RETURN_IF_ERROR(n.CheckGenerated(shape.num_elements()));
  BASIN_RETURN_IF_ERROR(TakeFromBudget(DType::kFloat64, shape.num_elements(),
                                       n.constant_bytes_left()));
  Tensor weights(DType::kFloat64, shape);
  absl::Span<double> out = weights.mutable_data<double>();
  for (int64_t o = 0; o < plan.to; ++o) {
    for (const Tap& tap :
         TapsAt(SourceOf(o, plan, how.coordinates), plan, how)) {
      const int64_t i = std::clamp<int64_t>(tap.index, 0, plan.from - 1);
      out[i * plan.to + o] += tap.weight;
    }
  }
  return n.Settled(weights);
}

absl::StatusOr<Value> Interpolated(NodeContext& n, const Value& x,
                                   const AxisPlan& plan,
                                   const Interpolation& how) {
  std::vector<int64_t> indices;
  if (PicksElements(plan, how, indices)) return n.Pick(x, indices, plan.axis);
  if (x.is_integer()) {
    return absl::UnimplementedError(
        "interpolation of integers; floating-point is supported");
  }
  BASIN_ASSIGN_OR_RETURN(const Tensor weights, WeightsOf(n, plan, how));
  const Value moved = AxisToEnd(n, x, plan.axis);
  Shape::Dims dims = n.ShapeOf(moved).dims();
  const int64_t rows = n.ShapeOf(moved).num_elements() / plan.from;
  const Value product =
      n.builder().Matmul(n.InGraph(n.Reshape(moved, {rows, plan.from})),
                         n.InGraph(Value(weights)));
  dims.back() = plan.to;
  return EndToAxis(n, n.Reshape(product, dims), plan.axis);
}

// Where the result lies within the input, along one axis of x.
Value InsideOf(NodeContext& n, const AxisPlan& plan, int rank) {
  std::vector<int64_t> inside;
  for (int64_t o = 0; o < plan.to; ++o) {
    const double x = SourceOf(o, plan, Coordinates::kTfCropAndResize);
    inside.push_back(x >= 0 && x <= static_cast<double>(plan.from - 1) ? 1 : 0);
  }
  Shape::Dims dims(static_cast<size_t>(rank), 1);
  dims[plan.axis] = plan.to;
  return n.Reshape(Value(Tensor::Of<int64_t>(Shape({plan.to}), inside)), dims);
}

absl::StatusOr<Value> Resized(NodeContext& n, Value x,
                              const std::vector<AxisPlan>& plans,
                              const Interpolation& how) {
  const bool crops = how.coordinates == Coordinates::kTfCropAndResize;
  Value inside;
  for (const AxisPlan& plan : plans) {
    if (plan.from < 1 || plan.from > kMaxSize || plan.to < 1 ||
        plan.to > kMaxSize || !(plan.scale > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("axis ", plan.axis, " from ", plan.from, " to ", plan.to,
                       " elements, expected 1 to ", kMaxSize));
    }
    const bool moves = crops && (plan.roi_start != 0 || plan.roi_end != 1);
    if (plan.scale == 1 && !moves) continue;
    BASIN_ASSIGN_OR_RETURN(x, Interpolated(n, x, plan, how));
    if (!crops || !x.exists()) continue;
    const Value here = InsideOf(n, plan, n.ShapeOf(x).rank());
    inside = inside.exists() ? n.Binary(ScalarOp::kMin, inside, here) : here;
  }
  if (!inside.exists()) return x;
  return n.Select(inside, x, Number(how.extrapolation));
}

// A list of floats, which may be absent or empty.
absl::StatusOr<std::vector<float>> FloatsInput(NodeContext& n, int index) {
  if (!n.HasInput(index)) return std::vector<float>();
  BASIN_ASSIGN_OR_RETURN(const Tensor tensor, n.ConstantInput(index));
  if (!IsReal(tensor)) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", index, " is not a list of floats"));
  }
  const Tensor narrow = Narrowed(tensor);
  const auto data = narrow.data<float>();
  return std::vector<float>(data.begin(), data.end());
}

void SetScale(AxisPlan& plan, double scale) {
  const double size = std::floor(static_cast<double>(plan.from) * scale);
  const bool fits = size >= 0 && size <= static_cast<double>(kMaxSize);
  plan.scale = scale;
  plan.to = fits ? static_cast<int64_t>(size) : -1;
}

// REQUIRES: as many sizes as plans.
absl::Status SetSizes(NodeContext& n, const IntList& sizes,
                      std::vector<AxisPlan>& plans) {
  const std::string policy = n.String("keep_aspect_ratio_policy", "stretch");
  double least = HUGE_VAL;
  double most = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    plans[i].to = sizes[i];
    plans[i].scale = static_cast<double>(sizes[i]) /
                     static_cast<double>(std::max<int64_t>(plans[i].from, 1));
    least = std::min(least, plans[i].scale);
    most = std::max(most, plans[i].scale);
  }
  if (policy == "stretch") return absl::OkStatus();
  if (policy != "not_larger" && policy != "not_smaller") {
    return absl::InvalidArgumentError(
        absl::StrCat("keep_aspect_ratio_policy is ", Quoted(policy),
                     ", expected stretch, not_larger or not_smaller"));
  }
  const double scale = policy == "not_larger" ? least : most;
  for (AxisPlan& plan : plans) {
    SetScale(plan, scale);
    const double size =
        std::floor(static_cast<double>(plan.from) * scale + 0.5);
    if (plan.to >= 0) plan.to = static_cast<int64_t>(size);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AxisPlan>> ReadAxes(NodeContext& n,
                                               const Shape& shape) {
  IntList axes;
  for (int i = 0; i < shape.rank(); ++i) axes.push_back(i);
  if (n.opset() >= 18) axes = n.Ints("axes").value_or(axes);
  BASIN_RETURN_IF_ERROR(NormalizedAxes(axes, shape.rank()).status());
  std::vector<AxisPlan> plans;
  for (const int64_t given : axes) {
    AxisPlan plan;
    BASIN_ASSIGN_OR_RETURN(plan.axis, NormalizedAxis(given, shape.rank()));
    plan.from = shape.dim(plan.axis);
    plans.push_back(plan);
  }
  return plans;
}

absl::Status SetScales(absl::Span<const float> scales,
                       std::vector<AxisPlan>& plans) {
  if (scales.size() != plans.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(scales.size(), " scales for ", plans.size(), " axes"));
  }
  for (size_t i = 0; i < plans.size(); ++i) SetScale(plans[i], scales[i]);
  return absl::OkStatus();
}

// Inputs x, roi, scales, sizes.
absl::StatusOr<Value> LowerResize(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 4));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(const Interpolation how, ReadInterpolation(n));
  BASIN_ASSIGN_OR_RETURN(auto plans, ReadAxes(n, n.ShapeOf(x)));
  BASIN_ASSIGN_OR_RETURN(const auto scales, FloatsInput(n, 2));
  if (!scales.empty()) {
    BASIN_RETURN_IF_ERROR(SetScales(scales, plans));
    n.Ignore("keep_aspect_ratio_policy");  // of sizes only
  } else {
    BASIN_ASSIGN_OR_RETURN(const IntList sizes, n.IntsInput(3));
    if (sizes.size() != plans.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(sizes.size(), " sizes for ", plans.size(), " axes"));
    }
    BASIN_RETURN_IF_ERROR(SetSizes(n, sizes, plans));
  }
  if (how.coordinates == Coordinates::kTfCropAndResize) {
    BASIN_ASSIGN_OR_RETURN(const auto roi, FloatsInput(n, 1));
    if (roi.size() != 2 * plans.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "roi has ", roi.size(), " elements for ", plans.size(), " axes"));
    }
    for (size_t i = 0; i < plans.size(); ++i) {
      plans[i].roi_start = roi[i];
      plans[i].roi_end = roi[i + plans.size()];
      if (std::abs(roi[i]) <= 1e6 && std::abs(plans[i].roi_end) <= 1e6) {
        continue;
      }
      return absl::InvalidArgumentError("roi beyond 1e6");
    }
  }
  return Resized(n, x, plans, how);
}

// Resize of opset 10 and Upsample: inputs x and scales.
absl::StatusOr<Value> LowerUpsample(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(2, 2));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(auto plans, ReadAxes(n, n.ShapeOf(x)));
  BASIN_ASSIGN_OR_RETURN(const auto scales, FloatsInput(n, 1));
  BASIN_RETURN_IF_ERROR(SetScales(scales, plans));
  BASIN_ASSIGN_OR_RETURN(const Interpolation how, ReadInterpolation(n));
  return Resized(n, x, plans, how);
}

// Before opset 9 scales are an attribute.
absl::StatusOr<Value> LowerUpsampleByAttribute(NodeContext& n) {
  BASIN_RETURN_IF_ERROR(n.CheckInputs(1, 1));
  BASIN_ASSIGN_OR_RETURN(const Value x, n.Input(0));
  BASIN_ASSIGN_OR_RETURN(auto plans, ReadAxes(n, n.ShapeOf(x)));
  BASIN_RETURN_IF_ERROR(SetScales(n.Floats("scales"), plans));
  BASIN_ASSIGN_OR_RETURN(const Interpolation how, ReadInterpolation(n));
  return Resized(n, x, plans, how);
}

constexpr Operator kOperators[] = {
    {"Resize", 10, LowerUpsample},
    {"Resize", 11, LowerResize},
    {"Upsample", 7, LowerUpsampleByAttribute},
    {"Upsample", 9, LowerUpsample},
};

}  // namespace

absl::Span<const Operator> ResizeOperators() { return kOperators; }

}  // namespace basin::internal
