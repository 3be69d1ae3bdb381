#ifndef BASIN_CLIENT_CLI_RESUME_FILE_H_
#define BASIN_CLIENT_CLI_RESUME_FILE_H_

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace basin::client {

// The file of --save_resume: a line "basin resume MODEL" and the server's
// token, so that --resume knows the shape of what comes.
struct ResumeFile {
  std::string model;  // NAME or a composition, as it was given
  std::string token;
};

// The file appears whole or not at all.
absl::Status WriteResumeFile(const std::string& path, const ResumeFile& file);

// InvalidArgument if it is none.
absl::StatusOr<ResumeFile> ReadResumeFile(const std::string& path);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_RESUME_FILE_H_
