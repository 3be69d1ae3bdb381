#include "client/png_grid.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

namespace basin::client {
namespace {

constexpr int64_t kFrame = 2;          // pixels between images
constexpr int64_t kMaxSide = 1 << 15;  // pixels of a PNG read or written
constexpr uint8_t kFrameGrey = 64;

struct GridLayout {
  int64_t count, channels, height, width;  // of the images
  int64_t columns, rows;                   // of the grid
  int64_t total_width() const { return columns * (width + kFrame) + kFrame; }
  int64_t total_height() const { return rows * (height + kFrame) + kFrame; }
};

absl::StatusOr<GridLayout> LayOut(const Array& images) {
  const std::vector<int64_t>& shape = images.shape;
  const bool grey = shape.size() == 3;
  const bool channels = shape.size() == 4 && (shape[1] == 1 || shape[1] == 3);
  if (!grey && !channels) {
    return absl::InvalidArgumentError(absl::StrCat(
        "states of shape ", ShapeToString(shape),
        " are no images ([n, H, W], [n, 1, H, W] or [n, 3, H, W]); write a "
        ".npy file instead"));
  }
  GridLayout layout{
      shape[0], grey ? 1 : shape[1], shape[shape.size() - 2], shape.back(), 0,
      0};
  layout.columns = std::max<int64_t>(
      static_cast<int64_t>(std::ceil(std::sqrt(layout.count))), 1);
  layout.rows = (layout.count + layout.columns - 1) / layout.columns;
  if (layout.total_width() > kMaxSide || layout.total_height() > kMaxSide) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a grid of ", layout.count, " images of ", layout.height, "x",
        layout.width, " is too large for a PNG; write a .npy file instead"));
  }
  return layout;
}

// Fills one RGB pixel from one image's element(s).
void SetPixel(const float* pixel, int64_t channels, int64_t channel_stride,
              float lower, float upper, uint8_t* rgb) {
  for (int64_t c = 0; c < 3; ++c) {
    const float value = pixel[channels == 3 ? c * channel_stride : 0];
    if (std::isnan(value)) {
      rgb[c] = c == 0 ? 255 : 0;
      continue;
    }
    const float scaled = (value - lower) / (upper - lower) * 255.0F;
    rgb[c] = static_cast<uint8_t>(std::clamp(scaled, 0.0F, 255.0F) + 0.5F);
  }
}

std::vector<uint8_t> Render(const GridLayout& layout, const Array& images,
                            float lower, float upper) {
  std::vector<uint8_t> rgb(3 * layout.total_width() * layout.total_height(),
                           kFrameGrey);
  const int64_t plane = layout.height * layout.width;
  for (int64_t n = 0; n < layout.count; ++n) {
    const int64_t left = kFrame + n % layout.columns * (layout.width + kFrame);
    const int64_t top = kFrame + n / layout.columns * (layout.height + kFrame);
    const float* image = images.values.data() + n * layout.channels * plane;
    for (int64_t y = 0; y < layout.height; ++y) {
      for (int64_t x = 0; x < layout.width; ++x) {
        SetPixel(image + y * layout.width + x, layout.channels, plane, lower,
                 upper,
                 &rgb[3 * ((top + y) * layout.total_width() + left + x)]);
      }
    }
  }
  return rgb;
}

}  // namespace

absl::Status WritePngGrid(const std::string& path, const Array& images,
                          float lower, float upper) {
  const absl::StatusOr<GridLayout> layout = LayOut(images);
  if (!layout.ok()) return layout.status();
  const std::vector<uint8_t> rgb = Render(*layout, images, lower, upper);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(layout->total_width());
  image.height = static_cast<png_uint_32>(layout->total_height());
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0,
                              nullptr) == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", path, ": ", image.message));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Tensor> ReadPng(const std::string& path, int channels) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", path, " as a PNG: ", image.message));
  }
  if (image.width > kMaxSide || image.height > kMaxSide) {
    png_image_free(&image);
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", image.width, "x", image.height,
        " pixels are more than the limit of ", kMaxSide, " a side"));
  }
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", path, " as a PNG: ", image.message));
  }
  const int64_t plane = int64_t{image.width} * image.height;
  v1::Tensor tensor;
  tensor.set_dtype(v1::UINT8);
  for (const int64_t dim : {int64_t{1}, int64_t{channels},
                            int64_t{image.height}, int64_t{image.width}}) {
    tensor.add_shape(dim);
  }
  std::string data(pixels.size(), '\0');
  for (int64_t i = 0; i < plane; ++i) {
    for (int c = 0; c < channels; ++c) {
      data[c * plane + i] = static_cast<char>(pixels[i * channels + c]);
    }
  }
  tensor.set_data(std::move(data));
  return tensor;
}

}  // namespace basin::client
