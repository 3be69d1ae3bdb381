#include "client/cli/resume_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

namespace basin::client {
namespace {

constexpr const char kMagic[] = "basin resume ";

}  // namespace

absl::Status WriteResumeFile(const std::string& path, const ResumeFile& file) {
  const std::string temporary = path + ".part";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << kMagic << file.model << '\n' << file.token;
    out.flush();
    if (out && std::rename(temporary.c_str(), path.c_str()) == 0) {
      return absl::OkStatus();
    }
  }
  const std::string reason = std::strerror(errno);
  std::remove(temporary.c_str());
  return absl::UnavailableError(
      absl::StrCat("cannot write ", path, ": ", reason));
}

absl::StatusOr<ResumeFile> ReadResumeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(
        absl::StrCat("cannot read ", path, ": ", std::strerror(errno)));
  }
  ResumeFile file;
  std::getline(in, file.model);
  file.token.assign(std::istreambuf_iterator<char>(in),
                    std::istreambuf_iterator<char>());
  if (!absl::StartsWith(file.model, kMagic) || file.token.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expected a file of --save_resume"));
  }
  file.model.erase(0, sizeof(kMagic) - 1);
  return file;
}

}  // namespace basin::client
