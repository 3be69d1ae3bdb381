// What node_cases_nn.pb leaves out of recurrent layers: clipping, lengths, and
// what is refused.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

// An RNN of one value: h' = activation(x + h / 2), over x [steps, N, 1].
TestModel SmallRnn(int64_t steps) {
  TestModel model;
  model.Input("x", {-1, steps, 1}).Output("y");
  model.Weight("w", {1, 1, 1}, {1}).Weight("r", {1, 1, 1}, {0.5});
  model.Node("RNN", {"x", "w", "r"}, {"y"}).Int("layout", 1);
  return model;
}

Attributes NodeOf(TestModel& model) {
  return Attributes(*model.graph().mutable_node(0));
}

absl::Status Refusal(const TestModel& model) {
  const auto parsed = model.Parse();
  return parsed.ok() ? (*parsed)->Import(1).status() : parsed.status();
}

void ExpectSteps(const TestModel& model, std::vector<double> expected) {
  ASSERT_OK_AND_ASSIGN(const Tensor y,
                       RunModel(model, {Floats({1, 2, 1}, {3, -1})}));
  EXPECT_EQ(y.shape(), Shape({1, 2, 1, 1}));
  ASSERT_EQ(Elements(y).size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(Elements(y)[i], expected[i], 1e-12);
  }
}

TEST(OnnxRecurrentTest, ActivationsByName) {
  ExpectSteps(SmallRnn(2), {std::tanh(3), std::tanh(-1 + std::tanh(3) / 2)});
  TestModel relu = SmallRnn(2);
  auto& names = *relu.graph().mutable_node(0)->add_attribute();
  names.set_name("activations");
  names.set_type(onnx::AttributeProto::STRINGS);
  names.add_strings("relu");
  ExpectSteps(relu, {3, 0.5});
  names.set_strings(0, "Softsign2");
  EXPECT_THAT(Refusal(relu),
              StatusIs(kUnimplemented,
                       HasSubstr("activation 'Softsign2' is not supported")));
  names.add_strings("relu");
  EXPECT_THAT(Refusal(relu),
              StatusIs(kInvalid, HasSubstr("2 activations, expected 1")));
}

TEST(OnnxRecurrentTest, ReverseRunsFromTheEnd) {
  TestModel model = SmallRnn(2);
  NodeOf(model).String("direction", "reverse");
  ExpectSteps(model, {std::tanh(3 + std::tanh(-1) / 2), std::tanh(-1)});
}

TEST(OnnxRecurrentTest, ClipsWhatActivationsRead) {
  TestModel model = SmallRnn(2);
  NodeOf(model).Float("clip", 0.25);
  ExpectSteps(model, {std::tanh(0.25), std::tanh(-0.25)});
}

TEST(OnnxRecurrentTest, LengthsMustBeThatOfTheInput) {
  TestModel model = SmallRnn(2);
  model.Integers("lengths", {1}, {2});
  model.graph().mutable_node(0)->add_input("");
  model.graph().mutable_node(0)->add_input("lengths");
  ExpectSteps(model, {std::tanh(3), std::tanh(-1 + std::tanh(3) / 2)});
  model.graph().mutable_initializer(2)->set_int64_data(0, 1);
  EXPECT_THAT(Refusal(model),
              StatusIs(kUnimplemented, HasSubstr("sequence_lens holds 1")));
}

TEST(OnnxRecurrentTest, ShapesAreChecked) {
  TestModel model = SmallRnn(2);
  NodeOf(model).Int("hidden_size", 2);
  EXPECT_THAT(Refusal(model), StatusIs(kInvalid, HasSubstr("hidden_size 2")));
  TestModel weights = SmallRnn(2);
  weights.graph().mutable_initializer(0)->set_dims(1, 2);
  weights.graph().mutable_initializer(0)->add_float_data(1);
  EXPECT_THAT(Refusal(weights),
              StatusIs(kInvalid, HasSubstr("input 1 is float32[1, 2, 1], "
                                           "expected float32[1, 1, 1]")));
  // Dimensions of weights without elements can be anything.
  TestModel empty = SmallRnn(2);
  empty.graph().mutable_initializer(1)->set_dims(1, 0);
  empty.graph().mutable_initializer(1)->set_dims(2, int64_t{1} << 47);
  empty.graph().mutable_initializer(1)->clear_float_data();
  EXPECT_THAT(Refusal(empty), StatusIs(kInvalid, HasSubstr("expected")));
}

TEST(OnnxRecurrentTest, HugeLengthsAreRefusedAtOnce) {
  EXPECT_OK(Refusal(SmallRnn(1000)));
  EXPECT_THAT(Refusal(SmallRnn(1'000'000'000)),
              StatusIs(kInvalid, HasSubstr("more than 100000 nodes")));
}

}  // namespace
}  // namespace basin::testing
