#include "server/flags.h"

#include <arpa/inet.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "core/base/cpu_isa.h"
#include "core/base/status_macros.h"
#include "server/server_config.pb.h"

namespace basin {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 46;

// A flag of type absl::Duration, between `min` and a day.
void AddDuration(CLI::App& app, const std::string& name, absl::Duration& value,
                 absl::Duration min, const std::string& help) {
  const CLI::callback_t parse = [name, min,
                                 &value](const CLI::results_t& results) {
    absl::Duration parsed;
    if (!absl::ParseDuration(results.back(), &parsed) || parsed < min ||
        parsed > absl::Hours(24)) {
      throw CLI::ValidationError(
          name,
          absl::StrCat("expected a duration of ", absl::FormatDuration(min),
                       " to 24h such as 30s or 2ms, got ", results.back()));
    }
    value = parsed;
    return true;
  };
  app.add_option(name, parse, help)
      ->type_name("DURATION")
      ->default_str(absl::FormatDuration(value))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

// A flag of an integer in [min, max].
void AddInt(CLI::App& app, const std::string& name, int64_t& value, int64_t min,
            int64_t max, const std::string& help) {
  const CLI::callback_t parse = [name, min, max,
                                 &value](const CLI::results_t& results) {
    int64_t parsed = 0;
    if (!absl::SimpleAtoi(results.back(), &parsed) || parsed < min ||
        parsed > max) {
      throw CLI::ValidationError(
          name, absl::StrCat("expected a whole number of ", min, " to ", max,
                             ", got ", results.back()));
    }
    value = parsed;
    return true;
  };
  app.add_option(name, parse, help)
      ->type_name("N")
      ->default_str(absl::StrCat(value))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void AddText(CLI::App& app, const std::string& name, std::string& value,
             const std::string& type, const std::string& help) {
  app.add_option(name, value, help)
      ->type_name(type)
      ->default_str(value)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void AddPlaces(CLI::App& app, ServerOptions& options, std::string& config) {
  AddText(app, "--config", config, "FILE",
          "Text proto with any of these flags (server/server_config.proto); "
          "flags override it");
  AddText(app, "--models", options.models, "DIR", "Model repository to serve");
  AddText(app, "--state", options.state, "DIR",
          "Where replay buffers are kept; none: in memory only");
  AddText(app, "--listen", options.listen, "HOST:PORT",
          "gRPC address; port 0: any free port");
  AddText(
      app, "--metrics_listen", options.metrics_listen, "HOST:PORT",
      "Prometheus address (/metrics); port 0: any free port; none: not served");
  app.add_flag("--insecure_listen_anywhere", options.insecure_listen_anywhere,
               "Allow addresses other than loopback, though nothing is "
               "encrypted and nobody is authenticated [false]")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void AddEngine(CLI::App& app, ServerOptions& options) {
  AddInt(app, "--workers", options.workers, 0, 1024,
         "Threads that compute; 0: one per core");
  AddText(app, "--max_isa", options.max_isa, "ISA",
          "Best instruction set to use: x86-64, x86-64-v3 or x86-64-v4, so "
          "that a mixed fleet agrees on its bytes [the processor's]");
  AddText(app, "--resume_key_file", options.resume_key_file, "FILE",
          "Secret that authenticates resume tokens, at least 16 bytes; the "
          "same on all servers that take each other's [none: tokens detect "
          "damage, not forgery]");
  AddDuration(app, "--quantum", options.quantum, absl::Microseconds(100),
              "Time that a worker keeps a batch before it is formed anew");
  AddDuration(app, "--drain_timeout", options.drain_timeout,
              absl::ZeroDuration(),
              "Time that running requests get to finish after SIGTERM");
  AddDuration(app, "--replay_snapshot_interval",
              options.replay_snapshot_interval, absl::Milliseconds(1),
              "Time between snapshots of replay buffers that have changed");
}

void AddLimits(CLI::App& app, ServerOptions& options) {
  RequestLimits& limits = options.limits;
  AddInt(app, "--max_message_bytes", limits.max_message_bytes, 1 << 12,
         (int64_t{1} << 31) - 1, "Size of one gRPC message, bytes");
  AddInt(app, "--max_chains", limits.max_chains, 1, int64_t{1} << 31,
         "Chains of one request");
  AddInt(app, "--max_steps", limits.max_steps, 1, int64_t{1} << 53,
         "Steps of one chain, warm-up included");
  AddDuration(app, "--max_work", limits.max_work, absl::Seconds(1),
              "Estimated work of all requests, time of one worker; beyond it "
              "and the next two, requests are refused");
  AddInt(app, "--max_rows", limits.max_rows, 1, int64_t{1} << 31,
         "Chains and inputs of all requests");
  AddInt(app, "--max_bytes", limits.max_bytes, 1 << 20, kMaxBytes,
         "States and results of all requests, bytes");
  AddInt(app, "--max_calls", options.max_calls, 1, 1 << 20,
         "RPCs under way at once");
  AddInt(app, "--max_model_file_bytes", options.max_model_file_bytes, 1 << 10,
         kMaxBytes, "Size of one model file, bytes");
  AddInt(app, "--max_model_memory_bytes", options.max_model_memory_bytes,
         1 << 20, kMaxBytes, "Weights and plans of one model, bytes");
}

void DefineFlags(CLI::App& app, ServerOptions& options, std::string& config) {
  app.set_version_flag("--version", "basin_server " BASIN_VERSION);
  AddPlaces(app, options, config);
  AddEngine(app, options);
  AddLimits(app, options);
}

// Keeps the first error of the text parser.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) {
      text_ = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ",
                           message);
    }
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string FieldValue(const google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case google::protobuf::FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    default:
      return reflection.GetString(message, &field);
  }
}

// The file's fields as flags, so that both are checked in one place.
absl::StatusOr<std::vector<std::string>> ReadConfig(const std::string& path) {
  std::ifstream file(path);
  std::error_code error_code;
  // A folder opens, but reads as an empty file.
  if (!file || std::filesystem::is_directory(path, error_code)) {
    return absl::NotFoundError(
        absl::StrCat("--config: cannot read the file ", path));
  }
  std::stringstream text;
  text << file.rdbuf();
  server::ServerConfig config;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text.str(), &config)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config: ", path, ", ", error.text()));
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  config.GetReflection()->ListFields(config, &fields);
  std::vector<std::string> flags;
  flags.reserve(fields.size());
  for (const auto* field : fields) {
    flags.push_back(
        absl::StrCat("--", field->name(), "=", FieldValue(config, *field)));
  }
  return flags;
}

// Of "HOST:PORT". Names other than localhost could resolve to anything.
bool IsLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  in_addr parsed = {};
  if (inet_pton(AF_INET, host.c_str(), &parsed) == 1) {
    return (ntohl(parsed.s_addr) >> 24) == 127;
  }
  return host == "localhost" || host == "[::1]";
}

absl::Status CheckAddress(const std::string& flag, const std::string& address,
                          const ServerOptions& options) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": expected HOST:PORT such as 127.0.0.1:8001, got ", address));
  }
  if (!IsLoopback(address) && !options.insecure_listen_anywhere) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": ", address,
        " is not a loopback address; add --insecure_listen_anywhere if "
        "everybody who can reach it may use this server"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const ServerOptions& options) {
  BASIN_RETURN_IF_ERROR(CheckAddress("--listen", options.listen, options));
  if (!options.metrics_listen.empty()) {
    BASIN_RETURN_IF_ERROR(
        CheckAddress("--metrics_listen", options.metrics_listen, options));
  }
  if (!options.max_isa.empty() && options.max_isa != Name(CpuIsa::kBaseline) &&
      options.max_isa != Name(CpuIsa::kV3) &&
      options.max_isa != Name(CpuIsa::kV4)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max_isa: expected x86-64, x86-64-v3 or x86-64-v4, got ",
                     options.max_isa));
  }
  return absl::OkStatus();
}

absl::Status ReadResumeKey(ServerOptions& options) {
  if (options.resume_key_file.empty()) return absl::OkStatus();
  constexpr size_t kMinBytes = 16;
  std::ifstream file(options.resume_key_file, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  options.resume_key = text.str();
  if (options.resume_key.size() >= kMinBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--resume_key_file: expected a readable file of at least ",
                   kMinBytes, " bytes, got ", options.resume_key_file, " with ",
                   options.resume_key.size()));
}

ParsedFlags Fail(absl::string_view why) {
  ParsedFlags result;
  result.action = ParsedFlags::Action::kFail;
  result.text =
      absl::StrCat("basin_server: ", absl::StrReplaceAll(why, {{"\n", " "}}),
                   " (basin_server --help explains each flag)\n");
  return result;
}

// CLI11 takes its arguments last first.
void Parse(CLI::App& app, const std::vector<std::string>& arguments) {
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
}

}  // namespace

ParsedFlags ParseFlags(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  ParsedFlags result;
  // CLI11 reports by exception; none leaves this function.
  try {
    std::string config;
    ServerOptions unused;
    CLI::App first("Basin, a server for energy-based models", "basin_server");
    DefineFlags(first, unused, config);
    Parse(first, arguments);
    if (!config.empty()) {
      absl::StatusOr<std::vector<std::string>> from_file = ReadConfig(config);
      if (!from_file.ok()) return Fail(from_file.status().message());
      arguments.insert(arguments.begin(), from_file->begin(), from_file->end());
    }
    CLI::App second("", "basin_server");
    DefineFlags(second, result.options, config);
    Parse(second, arguments);
  } catch (const CLI::CallForVersion& version) {
    result.action = ParsedFlags::Action::kPrint;
    result.text = absl::StrCat(version.what(), "\n");
    return result;
  } catch (const CLI::CallForHelp&) {
    CLI::App app("Basin, a server for energy-based models", "basin_server");
    std::string config;
    DefineFlags(app, result.options, config);
    result.action = ParsedFlags::Action::kPrint;
    result.text = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    return Fail(error.what());
  }
  for (std::string* place :
       {&result.options.state, &result.options.metrics_listen}) {
    if (*place == "none") place->clear();
  }
  absl::Status status = CheckOptions(result.options);
  if (status.ok()) status = ReadResumeKey(result.options);
  return status.ok() ? result : Fail(status.message());
}

}  // namespace basin
