#include "core/model/safetensors.h"

#include <cstring>
#include <sstream>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/model/family_fixture.h"
#include "tests/testing/model_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<SafetensorsFile> Read(const std::string& bytes,
                                     const SafetensorsLimits& limits = {}) {
  return SafetensorsFile::Read(std::make_unique<std::istringstream>(bytes),
                               "file", limits);
}

absl::Status HeaderError(const std::string& header, size_t data_bytes,
                         const SafetensorsLimits& limits = {}) {
  return Read(SafetensorsBytes(header, std::string(data_bytes, '\0')), limits)
      .status();
}

std::vector<float> Floats(const Tensor& tensor) {
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(SafetensorsTest, ReadsEveryType) {
  const std::string file =
      SafetensorsBuilder()
          .Raw("f32", "F32", {2}, BytesOf<float>({1.5F, -2}))
          .Raw("f64", "F64", {2}, BytesOf<double>({0.1, 1e300}))
          .Raw("f16", "F16", {3}, BytesOf<uint16_t>({0x3E00, 0xC000, 0x0001}))
          .Raw("bf16", "BF16", {2}, BytesOf<uint16_t>({0x3FC0, 0xC000}))
          .Raw("i64", "I64", {2}, BytesOf<int64_t>({-7, 1 << 20}))
          .Raw("i32", "I32", {1}, BytesOf<int32_t>({-8}))
          .Raw("u8", "U8", {1}, BytesOf<uint8_t>({255}))
          .Raw("bool", "BOOL", {2}, BytesOf<uint8_t>({1, 0}))
          .Raw("empty", "F32", {0, 3}, "")
          .Raw("scalar", "F32", {}, BytesOf<float>({9}))
          .Build();
  ASSERT_OK_AND_ASSIGN(auto read, Read(file));
  const auto load = [&](const std::string& name) {
    const auto tensor = read.Load(name);
    return tensor.ok() ? Floats(*tensor) : std::vector<float>{-1};
  };
  EXPECT_THAT(load("f32"), ElementsAre(1.5F, -2));
  EXPECT_THAT(load("f64"), ElementsAre(0.1F, INFINITY));
  EXPECT_THAT(load("f16"), ElementsAre(1.5F, -2, 0x1p-24F));
  EXPECT_THAT(load("bf16"), ElementsAre(1.5F, -2));
  EXPECT_THAT(load("i64"), ElementsAre(-7, 1 << 20));
  EXPECT_THAT(load("i32"), ElementsAre(-8));
  EXPECT_THAT(load("u8"), ElementsAre(255));
  EXPECT_THAT(load("bool"), ElementsAre(1, 0));
  EXPECT_THAT(load("empty"), ElementsAre());
  EXPECT_THAT(load("scalar"), ElementsAre(9));
  EXPECT_EQ(read.element_count(), 2 + 2 + 3 + 2 + 2 + 1 + 1 + 2 + 0 + 1);
}

TEST(SafetensorsTest, ReadsLargeTensorsPieceByPiece) {
  std::vector<double> values(200'001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const std::string file = SafetensorsBuilder()
                               .Raw("pad", "U8", {3}, "abc")
                               .Raw("x", "F64", {200'001}, BytesOf(values))
                               .Build();
  TempDir folder;
  WriteFile(folder.File("x.safetensors"), file);
  ASSERT_OK_AND_ASSIGN(auto read,
                       SafetensorsFile::Open(folder.File("x.safetensors")));
  ASSERT_OK_AND_ASSIGN(const Tensor tensor, read.Load("x", Shape({200'001})));
  EXPECT_EQ(tensor.data<float>()[200'000], 200'000);
  EXPECT_EQ(tensor.data<float>()[65'536], 65'536);
  EXPECT_THAT(read.Load("x", Shape({2})),
              StatusIs(kInvalid, HasSubstr("tensor 'x': expected [2], got "
                                           "[200001]")));
  EXPECT_THAT(
      read.Load("y"),
      StatusIs(absl::StatusCode::kNotFound,
               HasSubstr("expected a tensor 'y', there are 'pad', 'x'")));
}

TEST(SafetensorsTest, MetadataIsSkipped) {
  EXPECT_OK(HeaderError(R"({"__metadata__": {"format": "pt"}})", 0));
}

struct BadHeader {
  const char* name;
  std::string header;
  size_t data_bytes;
  const char* message;
};

std::string Entry(const std::string& shape, const std::string& offsets) {
  return absl::StrCat(R"({"a": {"dtype": "F32", "shape": )", shape,
                      R"(, "data_offsets": )", offsets, "}}");
}

std::string Two(const std::string& first, const std::string& second) {
  return absl::StrCat(
      R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": )", first,
      R"(}, "b": {"dtype": "F32", "shape": [1], )", R"("data_offsets": )",
      second, "}}");
}

class BadHeaderTest : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaderTest, IsRefusedWithTheReason) {
  EXPECT_THAT(HeaderError(GetParam().header, GetParam().data_bytes),
              StatusIs(kInvalid, HasSubstr(GetParam().message)));
}

std::vector<BadHeader> BadHeaders() {
  return {
      {"NoJson", "{", 0, "no JSON at byte"},
      {"Empty", "", 0, "no JSON"},
      {"TrailingText", "{} {}", 0, "no JSON"},
      {"NotAnObject", "[1]", 0, "unexpected"},
      {"Number", "7", 0, "unexpected 7"},
      {"EntryIsNoObject", R"({"a": 1})", 0, "unexpected 1"},
      {"MissingField", R"({"a": {"dtype": "F32", "shape": []}})", 0,
       "tensor 'a': expected dtype, shape and data_offsets"},
      {"UnknownField", R"({"a": {"dtpye": "F32"}})", 0, "got dtpye"},
      {"FieldTwice", R"({"a": {"dtype": "F32", "dtype": "F32"}})", 0,
       "dtype: comes twice"},
      {"UnknownType",
       R"({"a": {"dtype": "F8", "shape": [], "data_offsets": [0, 1]}})", 1,
       "dtype: unknown type F8"},
      {"NegativeDimension", Entry("[-1]", "[0, 4]"), 4, "unexpected -1"},
      {"FractionalDimension", Entry("[1.0]", "[0, 4]"), 4, "unexpected 1.0"},
      {"HugeDimension", Entry("[9223372036854775808]", "[0, 4]"), 4, "shape"},
      {"Overflow", Entry("[4294967296, 4294967296]", "[0, 0]"), 0, "shape"},
      {"TooManyDimensions", Entry("[1,1,1,1,1,1,1,1,1]", "[0, 4]"), 4,
       "at most 8 dimensions"},
      {"NestedShape", Entry("[[1]]", "[0, 4]"), 4, "unexpected a list"},
      {"OneOffset", Entry("[1]", "[0]"), 4, "data_offsets: expected two"},
      {"ThreeOffsets", Entry("[1]", "[0, 4, 8]"), 4, "expected two"},
      {"Backwards", Entry("[1]", "[4, 0]"), 4, "begin <= end"},
      {"BeyondTheFile", Entry("[2]", "[0, 8]"), 4, "<= 4, got 0, 8"},
      {"HugeOffsets",
       Entry("[1]", "[9223372036854775808, 9223372036854775812]"), 4,
       "got 9223372036854775808"},
      {"AboveUint64", Entry("[1]", "[0, 18446744073709551616]"), 4,
       "unexpected 18446744073709551616"},
      {"WrongByteCount", Entry("[3]", "[0, 8]"), 8,
       "expected 12 bytes for F32"},
      {"Overlap", Two("[0, 4]", "[0, 4]"), 4, "expected to begin at 4"},
      {"PartialOverlap", Two("[0, 4]", "[2, 6]"), 6, "expected to begin at 4"},
      {"Hole", Two("[0, 4]", "[8, 12]"), 12, "expected to begin at 4"},
      {"BytesLeftOver", Entry("[1]", "[0, 4]"), 8, "end at byte 4 of 8"},
      {"NameTwice",
       Two("[0, 4]", "[4, 8]")
           .replace(Two("[0, 4]", "[4, 8]").find("\"b\""), 3, "\"a\""),
       8, "a name comes twice: a"},
      {"DeepMetadata", R"({"__metadata__": {"a": {"b": "c"}}})", 0,
       "unexpected an object"},
      {"Bomb", std::string(100'000, '['), 0, "unexpected a list"},
      {"ObjectBomb",
       []() -> std::string {
         std::string text;
         for (int i = 0; i < 10'000; ++i) text += "{\"a\":";
         return text;
       }(),
       0, "expected dtype, shape and data_offsets, got a"}};
}
INSTANTIATE_TEST_SUITE_P(All, BadHeaderTest, ::testing::ValuesIn(BadHeaders()),
                         [](const auto& info) { return info.param.name; });

TEST(SafetensorsTest, BadLengthsAreRefused) {
  EXPECT_THAT(Read(""), StatusIs(kInvalid, HasSubstr("expected 8 to")));
  EXPECT_THAT(Read("1234567"), StatusIs(kInvalid, HasSubstr("got 7")));
  std::string file = SafetensorsBytes("{}", "");
  for (const uint64_t length :
       {uint64_t{3}, uint64_t{1} << 62, uint64_t{1} << 63, ~uint64_t{0}}) {
    std::memcpy(file.data(), &length, sizeof(length));
    EXPECT_THAT(Read(file), StatusIs(kInvalid, HasSubstr("header length")));
  }
}

TEST(SafetensorsTest, LimitsAreKept) {
  SafetensorsLimits limits;
  limits.max_header_bytes = 20;
  EXPECT_THAT(HeaderError(Entry("[1]", "[0, 4]"), 4, limits),
              StatusIs(kInvalid, HasSubstr("expected at most 20 bytes")));
  limits = {};
  limits.max_tensors = 1;
  EXPECT_THAT(HeaderError(Two("[0, 4]", "[4, 8]"), 8, limits),
              StatusIs(kInvalid, HasSubstr("the limit of 1")));
  limits = {};
  limits.max_tensor_bytes = 8;
  EXPECT_THAT(HeaderError(Entry("[3]", "[0, 12]"), 12, limits),
              StatusIs(kInvalid, HasSubstr("more than the limit of 8 bytes")));
  limits = {};
  limits.max_file_bytes = 10;
  EXPECT_THAT(HeaderError(Entry("[1]", "[0, 4]"), 4, limits),
              StatusIs(kInvalid, HasSubstr("expected 8 to 10 bytes")));
  limits = {};
  limits.max_name_bytes = 0;
  EXPECT_THAT(HeaderError(Entry("[1]", "[0, 4]"), 4, limits),
              StatusIs(kInvalid, HasSubstr("longer than the limit")));
}

TEST(SafetensorsTest, MissingFilesAreNamed) {
  EXPECT_THAT(SafetensorsFile::Open("/nowhere/model.safetensors"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
}

// No prefix of a file is taken for one.
TEST(SafetensorsTest, TruncatedFilesAreErrors) {
  const std::string file =
      SafetensorsBuilder().Floats("a", {2, 2}, {1, 2, 3, 4}).Build();
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(Read(file.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace basin::testing
