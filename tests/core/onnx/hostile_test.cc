// Files that are wrong, or mean harm: each is refused with a message that says
// why, and none may crash.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>

#include "core/onnx/proto_scan.h"
#include "tests/core/onnx/onnx_test_model.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

// y = relu(x w), a [N, 2] x [2, 3] product.
TestModel SmallModel(int64_t opset = 17) {
  TestModel model(opset);
  model.Input("x", {-1, 2}).Weight("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.Node("MatMul", {"x", "w"}, {"h"});
  model.Node("Relu", {"h"}, {"y"});
  model.Output("y");
  return model;
}

// Parses and imports for two rows: the first error.
absl::Status ParseAndImport(const std::string& bytes,
                            const OnnxLimits& limits = {}) {
  BASIN_ASSIGN_OR_RETURN(const auto model, OnnxModel::Parse(bytes, "", limits));
  return model->Import(2).status();
}

TEST(OnnxHostileTest, SmallModelIsFine) {
  EXPECT_OK(ParseAndImport(SmallModel().Serialize()));
}

struct Damage {
  const char* name;
  std::function<void(TestModel&)> apply;
  absl::StatusCode code;
  const char* message;
};

onnx::NodeProto& Node(TestModel& m, int i) {
  return *m.graph().mutable_node(i);
}
onnx::TensorProto& W(TestModel& m) { return *m.graph().mutable_initializer(0); }
onnx::TensorShapeProto& XShape(TestModel& m) {
  return *m.graph()
              .mutable_input(0)
              ->mutable_type()
              ->mutable_tensor_type()
              ->mutable_shape();
}

class OnnxDamageTest : public ::testing::TestWithParam<Damage> {};

TEST_P(OnnxDamageTest, IsRefused) {
  TestModel model = SmallModel();
  GetParam().apply(model);
  EXPECT_THAT(ParseAndImport(model.Serialize()),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
}

const Damage kGraphDamages[] = {
    {"NoGraph", [](TestModel& m) { m.proto().clear_graph(); }, kInvalid,
     "holds no graph"},
    {"NoOpset", [](TestModel& m) { m.proto().clear_opset_import(); }, kInvalid,
     "no opset"},
    {"OldOpset",
     [](TestModel& m) { m.proto().mutable_opset_import(0)->set_version(6); },
     kUnimplemented, "opset 6 is not supported; opsets 7 to 23"},
    {"NewOpset",
     [](TestModel& m) { m.proto().mutable_opset_import(0)->set_version(24); },
     kUnimplemented, "opset 24"},
    {"TwoOpsets",
     [](TestModel& m) { m.proto().add_opset_import()->set_version(17); },
     kInvalid, "stated twice"},
    {"FunctionWithoutName", [](TestModel& m) { m.proto().add_functions(); },
     kInvalid, "function '': its name is empty or not unique"},
    {"SparseInitializer",
     [](TestModel& m) { m.graph().add_sparse_initializer(); }, kUnimplemented,
     "sparse"},
    {"UnknownOperator", [](TestModel& m) { Node(m, 1).set_op_type("Foo"); },
     kUnimplemented,
     "node 'my_Relu' (Foo, opset 17): operator not supported; supported: Abs, "
     "Acos,"},
    {"UnprintableOperator",
     [](TestModel& m) { Node(m, 1).set_op_type("\n\x01"); }, kUnimplemented,
     "(\\n\\x01, opset 17)"},
    {"UnknownDomain", [](TestModel& m) { Node(m, 1).set_domain("com.acme"); },
     kUnimplemented, "operator domain 'com.acme'"},
    {"Subgraph", [](TestModel& m) { Node(m, 1).add_attribute()->mutable_g(); },
     kUnimplemented, "subgraphs"},
    {"UnknownAttribute",
     [](TestModel& m) { Attributes(Node(m, 1)).Int("foo", 1); }, kUnimplemented,
     "attribute 'foo' is not supported here; none is"},
    {"UnknownAttributeBesideOthers",
     [](TestModel& m) {
       onnx::NodeProto& node = Node(m, 1);
       node.set_op_type("LeakyRelu");
       Attributes(node).Float("alpha", 0.5F).Int("foo", 1);
     },
     kUnimplemented,
     "attribute 'foo' is not supported here; those that are: alpha"},
    {"AttributeTwice",
     [](TestModel& m) { Attributes(Node(m, 1)).Int("foo", 1).Int("foo", 2); },
     kInvalid, "attribute 'foo' occurs twice"},
    {"Cycle", [](TestModel& m) { Node(m, 0).set_input(0, "y"); }, kInvalid,
     "node 'my_MatMul' (MatMul, opset 17): input 'y' is made by this node or a "
     "later one: a cycle"},
    {"SelfCycle", [](TestModel& m) { Node(m, 1).set_input(0, "y"); }, kInvalid,
     "a cycle"},
    {"MissingInput", [](TestModel& m) { Node(m, 0).set_input(1, "v"); },
     kInvalid, "input 'v' is made by no node, input or initialiser"},
    {"EmptyInput", [](TestModel& m) { Node(m, 0).set_input(1, ""); }, kInvalid,
     "input 1 is missing"},
    {"TooManyInputs", [](TestModel& m) { Node(m, 0).add_input("x"); }, kInvalid,
     "has 3 inputs, expected 2"},
    {"NoInputs", [](TestModel& m) { Node(m, 0).clear_input(); }, kInvalid,
     "has 0 inputs, expected 2"},
    {"NoOutputs", [](TestModel& m) { Node(m, 0).clear_output(); }, kInvalid,
     "it has no output"},
    {"DuplicateOutput", [](TestModel& m) { Node(m, 1).set_output(0, "h"); },
     kInvalid, "output 'h' is not a unique name"},
    {"OutputShadowsWeight", [](TestModel& m) { Node(m, 0).set_output(0, "w"); },
     kInvalid, "output 'w' is not a unique name"},
    {"DuplicateInitializer", [](TestModel& m) { m.Weight("w", {1}, {1}); },
     kInvalid, "initialiser 'w': its name is empty or not unique"},
    {"DuplicateGraphInput",
     [](TestModel& m) {
       m.Input("x", {-1, 2});
     },
     kInvalid, "input 'x': its name is not unique"},
    {"UnknownGraphOutput", [](TestModel& m) { m.Output("z"); }, kInvalid,
     "output 'z': no node makes it"},
    {"NoGraphOutput", [](TestModel& m) { m.graph().clear_output(); }, kInvalid,
     "no outputs"},
    {"NoGraphInput",
     [](TestModel& m) {
       m.graph().clear_input();
       m.Weight("x", {1, 2}, {1, 2});
     },
     kInvalid, "no inputs"},
};

const Damage kTensorDamages[] = {
    {"TooFewWeights",
     [](TestModel& m) { W(m).mutable_float_data()->RemoveLast(); }, kInvalid,
     "initialiser 'w': holds 5 elements, its shape needs 6"},
    {"RawOfWrongSize", [](TestModel& m) { W(m).set_raw_data("12345"); },
     kInvalid, "holds 5 bytes, its shape [2, 3] needs 24"},
    {"NegativeDimension", [](TestModel& m) { W(m).set_dims(0, -2); }, kInvalid,
     "initialiser 'w': impossible shape [-2, 3]"},
    {"HugeDimension", [](TestModel& m) { W(m).set_dims(0, int64_t{1} << 62); },
     kInvalid, "impossible shape [4611686018427387904, 3]"},
    {"HugeProduct",
     [](TestModel& m) {
       W(m).set_dims(0, int64_t{1} << 31);
       W(m).set_dims(1, int64_t{1} << 33);
     },
     kInvalid, "impossible shape"},
    {"RankNine",
     [](TestModel& m) {
       for (int i = 0; i < 7; ++i) W(m).add_dims(1);
     },
     kInvalid, "rank 9"},
    {"ComplexWeights",
     [](TestModel& m) { W(m).set_data_type(onnx::TensorProto::COMPLEX64); },
     kUnimplemented, "element type COMPLEX64 is not supported"},
    {"UnknownWeights", [](TestModel& m) { W(m).set_data_type(999); },
     kUnimplemented, "element type type 999"},
    {"SegmentedWeights", [](TestModel& m) { W(m).mutable_segment(); },
     kUnimplemented, "segmented"},
    {"IntegerWeights",
     [](TestModel& m) {
       m.graph().clear_initializer();
       m.Integers("w", {2, 3}, {1, 2, 3, 4, 5, 6});
     },
     kInvalid,
     "node 'my_MatMul' (MatMul, opset 17): operands are of an integer"},
    {"ExternalWithoutFolder",
     [](TestModel& m) { W(m).set_data_location(onnx::TensorProto::EXTERNAL); },
     kInvalid, "external data is not accepted"},
    {"MismatchedShapes",
     [](TestModel& m) {
       W(m).set_dims(0, 3);
       W(m).set_dims(1, 2);
     },
     kInvalid, "node 'my_MatMul' (MatMul, opset 17): shapes [2, 2] and [3, 2]"},
    {"IntegerInput",
     [](TestModel& m) {
       m.graph()
           .mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->set_elem_type(onnx::TensorProto::INT64);
     },
     kInvalid,
     "node 'my_MatMul' (MatMul, opset 17): operands are of an integer"},
    {"InputWithoutShape",
     [](TestModel& m) {
       m.graph()
           .mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->clear_shape();
     },
     kInvalid, "input 'x': its shape is not stated"},
    {"InputNotATensor",
     [](TestModel& m) {
       m.graph().mutable_input(0)->mutable_type()->mutable_sequence_type();
     },
     kUnimplemented, "input 'x': it is not a tensor"},
    {"OpenDimension",
     [](TestModel& m) { XShape(m).mutable_dim(1)->set_dim_param("W"); },
     kUnimplemented, "input 'x': dimension 1 is open"},
    {"NegativeInputDimension",
     [](TestModel& m) { XShape(m).mutable_dim(1)->set_dim_value(-2); },
     kInvalid, "input 'x': dimension 1 is -2"},
    {"HugeInput",
     [](TestModel& m) {
       XShape(m).mutable_dim(1)->set_dim_value(int64_t{1} << 62);
     },
     kInvalid, "input 'x': impossible shape"},
    {"LargeInput",
     [](TestModel& m) {
       XShape(m).mutable_dim(1)->set_dim_value(int64_t{1} << 40);
     },
     kInvalid, "is above the limit of 1073741824 elements"},
    {"FixedRows",
     [](TestModel& m) { XShape(m).mutable_dim(0)->set_dim_value(5); }, kInvalid,
     "input 'x' is fixed to 5 rows, expected 2"},
};

std::string DamageName(const ::testing::TestParamInfo<Damage>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Graph, OnnxDamageTest,
                         ::testing::ValuesIn(kGraphDamages), DamageName);
INSTANTIATE_TEST_SUITE_P(Tensor, OnnxDamageTest,
                         ::testing::ValuesIn(kTensorDamages), DamageName);

TEST(OnnxHostileTest, EveryTruncationIsRefusedOrSound) {
  const std::string bytes = SmallModel().Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = ParseAndImport(bytes.substr(0, size));
    EXPECT_FALSE(status.ok()) << size;
    EXPECT_THAT(status.message(), ::testing::Not(::testing::IsEmpty()));
  }
}

TEST(OnnxHostileTest, ChangedBytesNeverCrash) {
  const std::string bytes = SmallModel().Serialize();
  std::mt19937 random(7);
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int trial = 0; trial < 16; ++trial) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(random());
      ParseAndImport(changed).IgnoreError();
    }
  }
}

TEST(OnnxHostileTest, RandomBytesAreRefused) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes(random() % 200, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    EXPECT_FALSE(ParseAndImport(bytes).ok());
  }
}

TEST(OnnxHostileTest, LimitsAreKept) {
  const std::string bytes = SmallModel().Serialize();
  OnnxLimits limits;
  limits.max_file_bytes = 10;
  EXPECT_THAT(ParseAndImport(bytes, limits),
              StatusIs(kInvalid, HasSubstr("the limit is 10")));
  limits = {};
  limits.max_nodes = 1;
  EXPECT_THAT(ParseAndImport(bytes, limits),
              StatusIs(kInvalid, HasSubstr("more than 1 nodes, the limit")));
  limits = {};
  limits.max_elements = 5;
  EXPECT_THAT(ParseAndImport(bytes, limits),
              StatusIs(kInvalid, HasSubstr("above the limit of 5 elements")));
  limits = {};
  limits.max_constant_bytes = 23;
  EXPECT_THAT(ParseAndImport(bytes, limits),
              StatusIs(kInvalid, HasSubstr("a constant of 24 bytes")));
  limits = {};
  limits.max_parsed_bytes = 1000;
  EXPECT_THAT(ParseAndImport(bytes, limits),
              StatusIs(kInvalid, HasSubstr("the limit is 1000")));
}

// Ten thousand empty nodes in two bytes each, and packed integers in one.
TEST(OnnxHostileTest, MemoryOfParsingIsEstimated) {
  TestModel model;
  for (int i = 0; i < 10'000; ++i) model.graph().add_node();
  auto estimate = internal::EstimateParsedBytes(model.Serialize());
  ASSERT_OK(estimate);
  EXPECT_GE(*estimate, 384 * 10'000);
  TestModel packed;
  packed.Integers("w", {10'000}, std::vector<int64_t>(10'000, 0));
  EXPECT_GE(*internal::EstimateParsedBytes(packed.Serialize()), 80'000);
}

// A few bytes that ask for terabytes.
TEST(OnnxHostileTest, ConstantsAreLimitedBeforeTheyAreMade) {
  TestModel model = SmallModel();
  model.Integers("big", {2}, {int64_t{1} << 20, int64_t{1} << 20});
  model.Node("ConstantOfShape", {"big"}, {"zeros"});
  EXPECT_THAT(ParseAndImport(model.Serialize()),
              StatusIs(kInvalid, AllOf(HasSubstr("my_ConstantOfShape"),
                                       HasSubstr("a constant of"))));
}

TEST(OnnxHostileTest, ConstantsAreLimitedInAll) {
  TestModel model = SmallModel();
  model.Integers("big", {1}, {int64_t{1} << 20});
  for (int i = 0; i < 5; ++i) {
    model.Node("ConstantOfShape", {"big"}, {"zeros" + std::to_string(i)});
  }
  OnnxLimits limits;
  limits.max_constant_bytes = int64_t{1} << 24;
  EXPECT_THAT(ParseAndImport(model.Serialize(), limits),
              StatusIs(kInvalid, HasSubstr("bytes are left for constants")));
}

TEST(OnnxHostileTest, RowsMustBePositive) {
  ASSERT_OK_AND_ASSIGN(const auto model, SmallModel().Parse());
  EXPECT_THAT(model->Import(0), StatusIs(kInvalid, HasSubstr("rows is 0")));
  EXPECT_THAT(model->Import(int64_t{1} << 62),
              StatusIs(kInvalid, HasSubstr("impossible shape")));
}

// --- External data ---

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// SmallModel with its weights in `location`.
std::string ExternalModel(const std::string& location,
                          const std::string& offset = "",
                          const std::string& length = "") {
  TestModel model = SmallModel();
  W(model).clear_float_data();
  W(model).set_data_location(onnx::TensorProto::EXTERNAL);
  const auto add = [&](const char* key, const std::string& value) {
    if (value.empty() && key != std::string("location")) return;
    auto& entry = *W(model).add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("location", location);
  add("offset", offset);
  add("length", length);
  return model.Serialize();
}

class OnnxExternalDataTest : public ::testing::Test {
 protected:
  OnnxExternalDataTest() {
    std::filesystem::create_directories(dir_.File("model/sub"));
    const float w[] = {1, 2, 3, 4, 5, 6};
    const std::string bytes(reinterpret_cast<const char*>(w), sizeof(w));
    WriteFile(dir_.File("secret.bin"), bytes);
    WriteFile(dir_.File("model/w.bin"), bytes);
    WriteFile(dir_.File("model/sub/w.bin"), "1234" + bytes);
    std::filesystem::create_symlink(dir_.File("secret.bin"),
                                    dir_.File("model/link.bin"));
    std::filesystem::create_directory_symlink(dir_.path(),
                                              dir_.File("model/up"));
    std::filesystem::create_symlink("w.bin", dir_.File("model/inside.bin"));
  }

  absl::Status Load(const std::string& bytes) {
    WriteFile(dir_.File("model/model.onnx"), bytes);
    return OnnxModel::Load(dir_.File("model/model.onnx")).status();
  }

  TempDir dir_;
};

TEST_F(OnnxExternalDataTest, InsideTheFolderIsRead) {
  EXPECT_OK(Load(ExternalModel("w.bin")));
  EXPECT_OK(Load(ExternalModel("./w.bin", "0", "24")));
  EXPECT_OK(Load(ExternalModel("sub/w.bin", "4", "24")));
  EXPECT_OK(Load(ExternalModel("inside.bin")));
  ASSERT_OK_AND_ASSIGN(
      const auto model,
      OnnxModel::Parse(ExternalModel("sub/w.bin", "4"), dir_.File("model")));
  ASSERT_OK_AND_ASSIGN(const auto imported, model->Import(1));
  EXPECT_THAT(imported.graph.attributes<ConstantAttrs>(1).value.data<float>(),
              ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(OnnxExternalDataTest, OutsideTheFolderIsRefused) {
  for (const std::string& location :
       {std::string("../secret.bin"), dir_.File("secret.bin"),
        std::string("link.bin"), std::string("up/secret.bin"),
        std::string("sub/../../secret.bin"), std::string("sub/../w.bin"),
        std::string(""), std::string("sub"), std::string("."),
        std::string("w.bin\0.txt", 10), std::string("/dev/zero")}) {
    EXPECT_THAT(
        Load(ExternalModel(location)),
        StatusIs(kInvalid, AllOf(HasSubstr("initialiser 'w'"),
                                 HasSubstr("inside the model's folder"))))
        << location;
  }
}

TEST_F(OnnxExternalDataTest, WrongSizesAreRefused) {
  EXPECT_THAT(Load(ExternalModel("none.bin")),
              StatusIs(kInvalid, HasSubstr("cannot be opened")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "4")),
              StatusIs(kInvalid, HasSubstr("the tensor needs 24")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "8", "24")),
              StatusIs(kInvalid, HasSubstr("the tensor needs 24")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "0", "20")),
              StatusIs(kInvalid, HasSubstr("the tensor needs 24")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "9223372036854775807", "24")),
              StatusIs(kInvalid, HasSubstr("the tensor needs 24")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "-1")),
              StatusIs(kInvalid, HasSubstr("offset '-1' is not a number")));
  EXPECT_THAT(Load(ExternalModel("w.bin", "0", "1e9")),
              StatusIs(kInvalid, HasSubstr("length '1e9' is not a number")));
}

TEST_F(OnnxExternalDataTest, FilesThatAreNotThere) {
  EXPECT_THAT(OnnxModel::Load(dir_.File("none.onnx")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.onnx")));
  EXPECT_THAT(OnnxModel::Load(dir_.path()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no file")));
}

}  // namespace
}  // namespace basin::testing
