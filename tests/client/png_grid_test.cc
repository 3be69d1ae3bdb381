#include "client/png_grid.h"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace basin::client {
namespace {

using ::basin::testing::StatusIs;
using ::basin::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

uint8_t Pixel(const v1::Tensor& png, int64_t channel, int64_t y, int64_t x) {
  const int64_t width = png.shape(3);
  return static_cast<uint8_t>(
      png.data()[(channel * png.shape(2) + y) * width + x]);
}

TEST(PngGridTest, ImagesStandRowByRowInAFrame) {
  const TempDir dir;
  const std::string path = dir.File("grid.png");
  // Three 1x2 images make a grid of two columns.
  const Array images{{3, 1, 1, 2}, {0, 1, 0.5, 2, -1, NAN}};
  ASSERT_OK(WritePngGrid(path, images, 0, 1));
  ASSERT_OK_AND_ASSIGN(const v1::Tensor png, ReadPng(path, 3));
  ASSERT_THAT(png.shape(), ElementsAre(1, 3, 8, 10));
  EXPECT_EQ(Pixel(png, 0, 2, 2), 0);
  EXPECT_EQ(Pixel(png, 0, 2, 3), 255);
  EXPECT_EQ(Pixel(png, 1, 2, 6), 128);
  EXPECT_EQ(Pixel(png, 2, 2, 7), 255) << "clipped from above";
  EXPECT_EQ(Pixel(png, 0, 5, 2), 0) << "clipped from below";
  EXPECT_EQ(Pixel(png, 0, 5, 3), 255) << "NaN is red";
  EXPECT_EQ(Pixel(png, 1, 5, 3), 0) << "NaN is red";
}

TEST(PngGridTest, ReadsGreyAsOneChannel) {
  const TempDir dir;
  const std::string path = dir.File("grey.png");
  ASSERT_OK(WritePngGrid(path, Array{{1, 2, 3}, {0, 1, 0, 1, 0, 1}}, 0, 1));
  ASSERT_OK_AND_ASSIGN(const v1::Tensor png, ReadPng(path, 1));
  EXPECT_THAT(png.shape(), ElementsAre(1, 1, 6, 7));
  EXPECT_EQ(png.data().size(), 42U);
}

TEST(PngGridTest, RefusesWhatIsNoImage) {
  EXPECT_THAT(WritePngGrid("x.png", Array{{2, 2}, {1, 2, 3, 4}}, 0, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[2, 2] are no images")));
  const TempDir dir;
  const std::string path = dir.File("not.png");
  std::ofstream(path) << "no picture";
  EXPECT_THAT(ReadPng(path, 1), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("as a PNG")));
}

}  // namespace
}  // namespace basin::client
