#include "tests/conformance/onnx_scope.h"

#include <algorithm>
#include <map>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

namespace basin::testing {
namespace {

struct Group {
  const char* reason;
  const char* names;  // separated by spaces
};

constexpr Group kOperators[] = {
    {"training",
     "Adagrad Adam Momentum Gradient NegativeLogLikelihoodLoss "
     "SoftmaxCrossEntropyLoss"},
    {"quantised arithmetic",
     "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger "
     "QLinearConv QLinearMatMul QuantizeLinear BitShift"},
    {"random numbers", "Bernoulli RandomUniformLike"},
    {"text", "StringNormalizer TfIdfVectorizer"},
    {"sequences and optionals",
     "ConcatFromSequence OptionalGetElement OptionalHasElement SequenceAt "
     "SequenceConstruct SequenceEmpty SequenceErase SequenceInsert "
     "SequenceLength SequenceMap SplitToSequence"},
    {"signal processing",
     "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT"},
    {"a shape that depends on values",
     "Compress NonMaxSuppression Unique MaxUnpool"},
    {"not in the list of operators", "Det GridSample RoiAlign ReverseSequence"},
};

constexpr Group kTests[] = {
    {"Scan before opset 9, which has a batch axis", "test_scan_sum"},
    {"empty tensors",
     "test_reshape_allowzero_reordered test_split_zero_size_splits"},
    {"a second output that no energy needs",
     "test_dropout_default_mask test_dropout_default_mask_ratio "
     "test_maxpool_with_argmax_2d_precomputed_pads "
     "test_maxpool_with_argmax_2d_precomputed_strides"},
    {"a shape that depends on values",
     "test_range_float_type_positive_delta "
     "test_range_float_type_positive_delta_expanded"},
};

using Reasons = std::map<std::string, std::string>;

template <size_t n>
Reasons ByName(const Group (&groups)[n]) {
  Reasons reasons;
  for (const Group& group : groups) {
    for (const auto name : absl::StrSplit(group.names, ' ')) {
      reasons.emplace(name, group.reason);
    }
  }
  return reasons;
}

bool IsFloat(int32_t type) {
  return type == onnx::TensorProto::FLOAT ||
         type == onnx::TensorProto::DOUBLE ||
         type == onnx::TensorProto::FLOAT16 ||
         type == onnx::TensorProto::BFLOAT16;
}

bool HasFloatInput(const onnx::GraphProto& graph) {
  for (const auto& input : graph.input()) {
    if (IsFloat(input.type().tensor_type().elem_type())) return true;
  }
  return false;
}

using Infos = google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>;

bool Has(const Infos& infos, int32_t type) {
  return std::any_of(infos.begin(), infos.end(), [type](const auto& info) {
    return info.type().tensor_type().elem_type() == type;
  });
}

}  // namespace

std::string WhyNotInScope(const std::string& test,
                          const onnx::ModelProto& model) {
  for (const auto& import : model.opset_import()) {
    if (!import.domain().empty() && import.domain() != "ai.onnx") {
      return absl::StrCat("domain ", import.domain());
    }
    if (import.version() < 7) return "opset below 7";
  }
  static const auto& tests = *new Reasons(ByName(kTests));
  const auto by_hand = tests.find(test);
  if (by_hand != tests.end()) return by_hand->second;
  static const auto& operators = *new Reasons(ByName(kOperators));
  for (const auto& node : model.graph().node()) {
    const auto reason = operators.find(node.op_type());
    if (reason != operators.end()) {
      return absl::StrCat(reason->second, ": ", node.op_type());
    }
  }
  const auto& graph = model.graph();
  if (Has(graph.input(), onnx::TensorProto::STRING) ||
      Has(graph.output(), onnx::TensorProto::STRING)) {
    return "text: strings";
  }
  if (Has(graph.output(), onnx::TensorProto::BFLOAT16)) {
    return "rounding to bfloat16: Basin keeps float32";
  }
  if (absl::StrContains(test, "train")) return "training: as an attribute";
  if (!HasFloatInput(model.graph())) return "no float input";
  return "";
}

}  // namespace basin::testing
