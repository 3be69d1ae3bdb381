#include "server/flags.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::HasSubstr;

using Action = ParsedFlags::Action;

ParsedFlags Parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "basin_server");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments)
    argv.push_back(argument.c_str());
  return ParseFlags(static_cast<int>(argv.size()), argv.data());
}

TEST(Flags, DefaultsOfRecord) {
  const ParsedFlags flags = Parse({});
  ASSERT_EQ(flags.action, Action::kServe) << flags.text;
  EXPECT_EQ(flags.options.listen, "127.0.0.1:8001");
  EXPECT_EQ(flags.options.metrics_listen, "127.0.0.1:8002");
  EXPECT_EQ(flags.options.workers, 0);
  EXPECT_EQ(flags.options.quantum, absl::Milliseconds(2));
  EXPECT_EQ(flags.options.drain_timeout, absl::Seconds(30));
  EXPECT_EQ(flags.options.limits.max_message_bytes, 64 << 20);
}

TEST(Flags, AreTaken) {
  const ParsedFlags flags =
      Parse({"--models=/m", "--state=none", "--listen=[::1]:0", "--workers=3",
             "--quantum=500us", "--max_chains=12", "--max_work=2m",
             "--max_isa=x86-64-v3", "--metrics_listen=none"});
  ASSERT_EQ(flags.action, Action::kServe) << flags.text;
  EXPECT_EQ(flags.options.models, "/m");
  EXPECT_EQ(flags.options.state, "");
  EXPECT_EQ(flags.options.listen, "[::1]:0");
  EXPECT_EQ(flags.options.metrics_listen, "");
  EXPECT_EQ(flags.options.workers, 3);
  EXPECT_EQ(flags.options.quantum, absl::Microseconds(500));
  EXPECT_EQ(flags.options.limits.max_chains, 12);
  EXPECT_EQ(flags.options.limits.max_work, absl::Minutes(2));
  EXPECT_EQ(flags.options.max_isa, "x86-64-v3");
}

TEST(Flags, OtherAddressesNeedConsent) {
  const ParsedFlags refused = Parse({"--listen=0.0.0.0:8001"});
  EXPECT_EQ(refused.action, Action::kFail);
  EXPECT_THAT(refused.text, HasSubstr("--insecure_listen_anywhere"));
  const ParsedFlags metrics = Parse({"--metrics_listen=10.0.0.1:1"});
  EXPECT_EQ(metrics.action, Action::kFail);
  // A name that only begins like a loopback address.
  EXPECT_EQ(Parse({"--listen=127.evil.example:80"}).action, Action::kFail);
  EXPECT_EQ(
      Parse({"--listen=0.0.0.0:8001", "--insecure_listen_anywhere"}).action,
      Action::kServe);
}

TEST(Flags, WrongOnesAreOneLineThatNamesThem) {
  for (const std::string flag :
       {"--workers=two", "--workers=99999999999999999999", "--quantum=2",
        "--quantum=0s", "--drain_timeout=inf", "--listen=8001",
        "--listen=127.0.0.1:70000", "--max_isa=avx", "--max_chains=0",
        "--no_such_flag=1"}) {
    const ParsedFlags flags = Parse({flag});
    EXPECT_EQ(flags.action, Action::kFail) << flag;
    EXPECT_THAT(flags.text, HasSubstr(flag.substr(2, flag.find('=') - 2)));
    EXPECT_EQ(std::count(flags.text.begin(), flags.text.end(), '\n'), 1);
  }
}

TEST(Flags, HelpHasUnitsAndDefaults) {
  const ParsedFlags flags = Parse({"--help"});
  EXPECT_EQ(flags.action, Action::kPrint);
  EXPECT_THAT(flags.text, HasSubstr("--drain_timeout DURATION=30s"));
  EXPECT_THAT(flags.text, HasSubstr("--max_message_bytes N=67108864"));
}

class ConfigFile : public ::testing::Test {
 protected:
  ParsedFlags ParseFile(const std::string& text,
                        std::vector<std::string> more = {}) {
    const std::string path = folder_.File("config");
    std::ofstream(path) << text;
    more.push_back("--config=" + path);
    return Parse(more);
  }
  TempDir folder_;
};

TEST_F(ConfigFile, GivesValuesThatFlagsOverride) {
  const ParsedFlags flags = ParseFile(
      "models: \"/a\" workers: 2 quantum: \"1ms\" max_steps: 5 "
      "insecure_listen_anywhere: true listen: \"0.0.0.0:1\"",
      {"--workers=4"});
  ASSERT_EQ(flags.action, Action::kServe) << flags.text;
  EXPECT_EQ(flags.options.models, "/a");
  EXPECT_EQ(flags.options.workers, 4);
  EXPECT_EQ(flags.options.quantum, absl::Milliseconds(1));
  EXPECT_EQ(flags.options.limits.max_steps, 5);
  EXPECT_EQ(flags.options.listen, "0.0.0.0:1");
}

TEST_F(ConfigFile, ErrorsNameTheLineOrTheField) {
  const ParsedFlags syntax = ParseFile("workers: 1\nmodels = 7");
  EXPECT_EQ(syntax.action, Action::kFail);
  EXPECT_THAT(syntax.text, HasSubstr("line 2"));
  EXPECT_THAT(ParseFile("frobnicate: 1").text, HasSubstr("frobnicate"));
  EXPECT_THAT(ParseFile("workers: -1").text, HasSubstr("--workers"));
  EXPECT_THAT(Parse({"--config=/nonexistent/file"}).text,
              HasSubstr("/nonexistent/file"));
  EXPECT_THAT(Parse({"--config=" + folder_.path()}).text,
              HasSubstr("cannot read the file"));
}

}  // namespace
}  // namespace basin::testing
