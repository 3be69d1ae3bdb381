#ifndef BASIN_CLIENT_CLI_COMMAND_H_
#define BASIN_CLIENT_CLI_COMMAND_H_

// What the subcommands of `basin` share. Each command adds itself to the
// parser and, when it was chosen, runs and returns a status; main() turns
// that into one line on stderr and an exit code.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "client/array.h"
#include "client/client.h"

namespace basin::client {

struct Session {
  std::string address = "127.0.0.1:8001";  // --server
  double timeout_seconds = 0;              // --timeout; 0 = none

  CallOptions call_options() const;
  std::unique_ptr<Client> Connect() const;
  // Cancelled by Ctrl-C.
  Cancellation cancellation;
};

// What main() runs after parsing; the chosen command sets it.
using Action = std::function<absl::Status()>;

void AddModelCommands(CLI::App& app, Session& session, Action& action);
void AddStatusCommand(CLI::App& app, Session& session, Action& action);
void AddSampleCommand(CLI::App& app, Session& session, Action& action);
void AddLogZCommand(CLI::App& app, Session& session, Action& action);
void AddScoreCommand(CLI::App& app, Session& session, Action& action);
void AddReplayCommand(CLI::App& app, Session& session, Action& action);
void AddBenchCommand(CLI::App& app, Session& session, Action& action);

// "NAME" or "NAME:VERSION".
absl::StatusOr<v1::ModelRef> ParseModel(const std::string& text);

// A check of an option: FILE<first> or FILE<second>, as in ".npy" and ".png".
std::function<std::string(const std::string&)> FileNameEndsWith(
    std::string first, std::string second);
// The same of one.
std::function<std::string(const std::string&)> FileNameEndsWith(
    std::string ending);

// A check of an option: a whole number from 1 on.
std::string CheckPositiveInteger(const std::string& text);

// What a server says of a field of the request, by the name of its option:
// "--beta: expected ..." for "inverse_temperature: expected ...".
std::string InOptions(const std::string& message);

// Reads inputs for a model: a .npy file, a .png file, or a folder of such
// files in the order of their names. A PNG or an array of one state's shape
// is one row; an array [k, chains, ...], as `sample` writes it, is k * chains.
// InvalidArgument says what is wrong with which file.
absl::StatusOr<v1::Tensor> ReadInputs(const std::string& path,
                                      const v1::Model& model);

// Writes states [n, ...] of a model as a grid of images, from the lower end of
// its box, black, to the upper one; 0 to 1 without a box.
absl::Status WriteStateGrid(const std::string& path, const Array& states,
                            const v1::Model& model);

// The channels of a model whose states are images, 1 or 3; InvalidArgument for
// other models.
absl::StatusOr<int> ImageChannels(const v1::Model& model);

// "12.3k", "4.56M".
std::string HumanNumber(double value);
// "1.2 KiB", "3.4 MiB".
std::string HumanBytes(double bytes);

}  // namespace basin::client

#endif  // BASIN_CLIENT_CLI_COMMAND_H_
