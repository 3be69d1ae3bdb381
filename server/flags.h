#ifndef BASIN_SERVER_FLAGS_H_
#define BASIN_SERVER_FLAGS_H_

#include <string>

#include "server/server_options.h"

namespace basin {

// What the command line asks for.
struct ParsedFlags {
  enum class Action {
    kServe,  // with `options`
    kPrint,  // `text` to stdout, exit 0
    kFail,   // `text`, one line, to stderr, exit 2
  };
  Action action = Action::kServe;
  ServerOptions options;
  std::string text;
};

// Reads the flags, and before them the file of --config.
ParsedFlags ParseFlags(int argc, const char* const* argv);

}  // namespace basin

#endif  // BASIN_SERVER_FLAGS_H_
