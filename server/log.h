#ifndef BASIN_SERVER_LOG_H_
#define BASIN_SERVER_LOG_H_

// Structured events on stderr, one line each:
//
//   2026-11-22T12:47:03.123Z INFO model ready model=mnist_ebm version=1

#include <initializer_list>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

namespace basin {

enum class LogLevel { kInfo, kWarning, kError };

// One key=value of an event; quoted and escaped where it needs to be.
struct LogField {
  LogField(absl::string_view name, const absl::AlphaNum& text)
      : key(name), value(text.Piece()) {}
  std::string key;
  std::string value;
};

// Writes one event in one piece. Thread-safe.
void Log(LogLevel level, absl::string_view message,
         std::initializer_list<LogField> fields = {});

// The line without time, as Log() writes it, for tests.
std::string FormatLogLine(LogLevel level, absl::string_view message,
                          std::initializer_list<LogField> fields);

}  // namespace basin

#endif  // BASIN_SERVER_LOG_H_
