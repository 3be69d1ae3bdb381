// `basin`, as people run it: against a real server, by exit codes, what it
// prints, and the files that it writes.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/npy.h"
#include "tests/integration/feature_models.h"
#include "tests/integration/requests.h"
#include "tests/integration/server_process.h"
#include "tests/testing/temp_dir.h"

namespace basin::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

const std::string& ModelFolder() {
  static const TempDir folder;
  static const std::string path = folder.File("models");
  return path;
}

// The feature models; chains of "tagged" and "spins" have replay buffers.
const ServerProcess& Server() {
  static const ServerProcess server([] {
    WriteFeatureModels(ModelFolder());
    ServerProcess::Options options;
    options.models = ModelFolder();
    return options;
  }());
  return server;
}

// Runs `basin WORDS...` on that server.
ProcessEnd Basin(Words words) {
  words.insert(words.begin(), {"--server", Server().address()});
  return RunToEnd(BASIN_CLI_PATH, words);
}

// What it printed; it must have ended well and without a warning.
std::string Said(const Words& words) {
  const ProcessEnd end = Basin(words);
  EXPECT_EQ(end.code, 0) << absl::StrJoin(words, " ") << "\n" << end.err;
  EXPECT_THAT(end.err, ::testing::Not(HasSubstr("warning")));
  return end.out;
}

v1::Tensor Read(const std::string& path) {
  const auto tensor = client::ReadNpy(path);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.value_or(v1::Tensor());
}

void Write(const std::string& path, const std::vector<int64_t>& shape,
           const std::vector<float>& values) {
  const absl::Status written =
      client::WriteNpy(path, client::Array{shape, values});
  ASSERT_TRUE(written.ok()) << written;
}

std::string Text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The words of the line that begins with `name`.
Words Line(const std::string& text, const std::string& name) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, name)) {
      return absl::StrSplit(line, absl::ByAnyChar(" ,[]"), absl::SkipEmpty());
    }
  }
  ADD_FAILURE() << "no line " << name << " in:\n" << text;
  return {};
}

double Number(const std::string& word) {
  double value = std::nan("");
  EXPECT_TRUE(absl::SimpleAtod(word, &value)) << word;
  return value;
}

TEST(CliTest, StatusAndModels) {
  EXPECT_THAT(Said({"status", "--wait", "60"}),
              AllOf(StartsWith("server               basin "),
                    HasSubstr("\nrequests             0\n")));
  const std::string models = Said({"models"});
  const Words lines = absl::StrSplit(models, '\n', absl::SkipEmpty());
  const auto served =
      std::distance(std::filesystem::directory_iterator(ModelFolder()), {});
  EXPECT_THAT(lines, SizeIs(1 + served)) << models;
  for (size_t i = 1; i < lines.size(); ++i) {
    EXPECT_THAT(lines[i], HasSubstr(" READY ")) << models;
  }
  EXPECT_THAT(Line(models, "spins"),
              ElementsAre("spins", "1", "READY", "3", "3", "binary",
                          ::testing::_, ::testing::_));
  EXPECT_THAT(Said({"model", "tagged"}),
              AllOf(HasSubstr("version              1 READY (serving)\n"),
                    HasSubstr("domain               unbounded\n"),
                    HasSubstr("ln Z                 0, standard error 0\n"),
                    HasSubstr("replay buffer        8 states")));
}

TEST(CliTest, TransitionsNeedNoServer) {
  const ProcessEnd table = RunToEnd(BASIN_CLI_PATH, {"transitions"});
  EXPECT_EQ(table.code, 0) << table.err;
  const std::string known = Said({"model", "spins"});
  for (const std::string& name : Line(known, "transitions")) {
    if (name == "transitions") continue;
    EXPECT_THAT(table.out, HasSubstr(absl::StrCat("\n", name, " ")));
    const ProcessEnd one = RunToEnd(BASIN_CLI_PATH, {"transitions", name});
    EXPECT_EQ(one.code, 0) << one.err;
    EXPECT_THAT(one.out, StartsWith(absl::StrCat(name, ": ")));
  }
}

TEST(CliTest, SampleWritesTheLawOfTheModel) {
  const TempDir folder;
  const std::string out = folder.File("wide.npy");
  const std::string said =
      Said({"sample", "wide", "--transition", "mala", "--step_size", "1",
            "--chains", "500", "--steps", "400", "--keep_every", "20", "--seed",
            "1", "--out", out});
  EXPECT_THAT(said, AllOf(StartsWith("transition   mala step_size=1 (exact)\n"),
                          HasSubstr("\nseed         1\n"),
                          HasSubstr(absl::StrCat("wrote        ", out, "\n"))));
  EXPECT_LT(Number(Line(said, "R-hat").at(1)), 1.01);
  const v1::Tensor states = Read(out);
  EXPECT_EQ(states.dtype(), v1::FLOAT32);
  ASSERT_THAT(ShapeOf(states), ElementsAre(20, 500, 1));
  // Chains are independent of each other: of each its last state.
  std::vector<float> last = FloatsOf(states);
  last.erase(last.begin(), last.end() - 500);
  ExpectMean(last, 0.3, std::sqrt(1.5));
  ExpectVariance(last, 0.3, 1.5);
}

TEST(CliTest, SampleWritesLastStatesAndPictures) {
  const TempDir folder;
  const std::string out = folder.File("spins.npy");
  Said({"sample", "spins", "--init", "noise", "--transition", "gibbs",
        "--chains", "5", "--steps", "20", "--out", out});
  const v1::Tensor states = Read(out);
  ASSERT_THAT(ShapeOf(states), ElementsAre(5, 3, 3));
  EXPECT_THAT(FloatsOf(states), Each(::testing::AnyOf(0, 1)));
  const std::string picture = folder.File("spins.png");
  Said({"sample", "spins", "--init", "noise", "--transition", "gibbs",
        "--steps", "1", "--out", picture});
  EXPECT_THAT(Text(picture), StartsWith("\x89PNG\r\n"));
}

TEST(CliTest, ResumedRunsGiveTheBytesOfOne) {
  const TempDir folder;
  const auto run = [&](const Words& how, const char* name) {
    const std::string out = folder.File(name);
    Words words = {"sample", "--keep_every", "10", "--out", out};
    words.insert(words.end(), how.begin(), how.end());
    Basin(words);  // short runs may warn of R-hat
    return Read(out);
  };
  const Words begin = {"joint", "--transition", "mala", "--step_size",
                       "0.3",   "--chains",     "4",    "--seed",
                       "3",     "--steps"};
  const auto with = [&](Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::string token = folder.File("run.resume");
  const v1::Tensor whole = run(with(begin, {"60"}), "whole.npy");
  const v1::Tensor first =
      run(with(begin, {"40", "--save_resume", token}), "first.npy");
  const v1::Tensor rest = run({"--resume", token, "--steps", "20"}, "rest.npy");
  EXPECT_THAT(ShapeOf(whole), ElementsAre(6, 4, 2));
  EXPECT_THAT(ShapeOf(first), ElementsAre(4, 4, 2));
  EXPECT_EQ(first.data() + rest.data(), whole.data());
}

// gauss_a is N(0, 1).
TEST(CliTest, ScoreWritesEnergiesGradientsAndLikelihoods) {
  const TempDir folder;
  const std::string in = folder.File("x.npy");
  Write(in, {3, 1}, {0, -1, 2});
  const double constant = 0.5 * std::log(2 * M_PI);
  const std::vector<double> want = {constant, constant + 0.5, constant + 2};
  const std::string csv = folder.File("e.csv");
  Said({"score", "gauss_a", "--input", in, "--log_likelihood", "--out", csv});
  const Words rows = absl::StrSplit(Text(csv), '\n', absl::SkipEmpty());
  ASSERT_THAT(rows, SizeIs(4));
  EXPECT_EQ(rows[0], "row,energy,log_likelihood");
  for (size_t i = 0; i < want.size(); ++i) {
    const Words cells = absl::StrSplit(rows[i + 1], ',');
    ASSERT_THAT(cells, SizeIs(3));
    EXPECT_EQ(cells[0], absl::StrCat(i));
    EXPECT_NEAR(Number(cells[1]), want[i], 1e-5);
    EXPECT_NEAR(Number(cells[2]), -want[i], 1e-5);
  }
  // Onto the screen, what it says beside goes to stderr.
  EXPECT_THAT(Said({"score", "gauss_a", "--input", in}),
              MatchesRegex("row,energy\n0,0\\.91[0-9]+\n1,1\\.41[0-9]+\n"
                           "2,2\\.91[0-9]+\n"));
  const std::string npy = folder.File("e.npy");
  Said({"score", "gauss_a", "--input", in, "--gradient", "--out", npy});
  EXPECT_THAT(ShapeOf(Read(npy)), ElementsAre(3));
  const v1::Tensor gradient = Read(folder.File("e.gradient.npy"));
  EXPECT_THAT(ShapeOf(gradient), ElementsAre(3, 1));
  EXPECT_THAT(FloatsOf(gradient), ElementsAre(0, ::testing::FloatNear(-1, 1e-5),
                                              ::testing::FloatNear(2, 1e-5)));
}

TEST(CliTest, ScoreWarnsOutsideOfTheDomain) {
  const TempDir folder;
  const std::string in = folder.File("x.npy");
  const auto warning = [&](const char* model, const std::vector<int64_t>& shape,
                           const std::vector<float>& values) {
    Write(in, shape, values);
    const ProcessEnd end = Basin({"score", model, "--input", in});
    EXPECT_EQ(end.code, 0) << end.err;
    return end.err;
  };
  EXPECT_THAT(warning("blobs", {2, 2}, {0, 255, -4, 4}),
              HasSubstr("warning: 1 of 4 input values are outside of the "
                        "model's domain, [-4, 4]"));
  EXPECT_THAT(warning("spins", {1, 3, 3}, {0, 1, 2, 0.5F, 1, 1, 1, 1, 1}),
              HasSubstr("warning: 2 of 9 input values are outside of the "
                        "model's domain, 0 and 1"));
  EXPECT_THAT(warning("blobs", {1, 2}, {4, -4}),
              ::testing::Not(HasSubstr("warning")));
  EXPECT_THAT(warning("gauss_a", {2, 1}, {1e6F, -1e6F}),
              ::testing::Not(HasSubstr("warning")));
}

TEST(CliTest, LogZCoversTheExactValue) {
  const double exact = 17.1053671187;  // 4 x 4 Ising spins, K = .5
  const TempDir folder;
  const std::string weights = folder.File("weights.npy");
  const std::string said =
      Said({"log_z", "ising", "--transition", "gibbs", "--levels", "200",
            "--chains", "100", "--seed", "1", "--log_weights_out", weights});
  const Words line = Line(said, "ln Z");  // ln Z VALUE in LOWER UPPER ...
  ASSERT_THAT(line, SizeIs(Ge(6U)));
  const double lower = Number(line[4]);
  const double upper = Number(line[5]);
  EXPECT_LT(lower, exact);
  EXPECT_GT(upper, exact);
  EXPECT_LT(upper - lower, 0.2);
  EXPECT_THAT(said, HasSubstr("\nreliable     yes"));
  EXPECT_THAT(said, HasSubstr("\nconfig.pbtxt log_z { value: "));
  const v1::Tensor sent = Read(weights);
  EXPECT_EQ(sent.dtype(), v1::FLOAT64);
  EXPECT_THAT(ShapeOf(sent), ElementsAre(100));
}

TEST(CliTest, ReplayFillsDrawsInsertsAndClears) {
  const TempDir folder;
  const ProcessEnd first =
      Basin({"sample", "spins", "--init", "replay", "--chains", "8", "--steps",
             "5", "--out", folder.File("out.npy")});
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("8 of 8 chains started from the initial"));
  EXPECT_THAT(Said({"replay", "stats", "spins"}),
              AllOf(HasSubstr("\nstates       8 of 8, "),
                    HasSubstr("\nwritten back 8\n")));
  const std::string drawn = folder.File("drawn.npy");
  Said({"replay", "draw", "spins", "--count", "6", "--out", drawn});
  const v1::Tensor states = Read(drawn);
  EXPECT_THAT(ShapeOf(states), ElementsAre(6, 3, 3));
  EXPECT_THAT(FloatsOf(states), Each(::testing::AnyOf(0, 1)));
  EXPECT_EQ(Said({"replay", "clear", "spins"}), "removed 8 states\n");
  Write(folder.File("in.npy"), {2, 3, 3}, std::vector<float>(18, 1));
  EXPECT_EQ(
      Said({"replay", "insert", "spins", "--input", folder.File("in.npy")}),
      "inserted 2 states\n");
  Said({"replay", "draw", "spins", "--count", "2", "--out", drawn});
  EXPECT_THAT(FloatsOf(Read(drawn)), Each(1));
  EXPECT_EQ(Said({"replay", "snapshot", "spins"}), "2 states are durable\n");
}

// It says in one line of stderr, and in no other way, what is wrong.
void ExpectOneLine(const Words& words, const ProcessEnd& end, int code) {
  const std::string command = absl::StrJoin(words, " ");
  EXPECT_EQ(end.code, code) << command << "\n" << end.out << end.err;
  EXPECT_THAT(end.out, IsEmpty()) << command;
  EXPECT_THAT(end.err, MatchesRegex("basin: [^\n]+\n")) << command;
}

TEST(CliTest, WrongUsageIsOneLineAndExitCode2) {
  const std::string out = "/nonexistent/x.npy";
  const std::vector<Words> wrong = {
      {},
      {"nonsense"},
      {"models", "more"},
      {"model"},
      {"sample", "--out", out},
      {"sample", "wide"},
      {"sample", "wide", "--out", "x.txt"},
      {"sample", "wide", "--out", out, "--nonsense", "1"},
      {"sample", "wide", "--out", out, "--transition", "nonsense"},
      {"sample", "wide", "--out", out, "--chains", "0"},
      {"sample", "wide", "--out", out, "--chains", "many"},
      {"sample", "wide", "--out", out, "--clamp_values", "x.npy"},
      {"sample", "wide", "--out", out, "--tempering", "3,0.1", "--ladder",
       "1,0.5"},
      {"sample", "wide", "--out", out, "--weights", "nonsense"},
      {"sample", "--out", out, "--resume", "run", "--chains", "3"},
      {"score", "wide"},
      {"log_z", "wide", "--base", "gauss_a"},
      {"log_z", "wide", "--levels", "0"},
      {"replay", "nonsense", "spins"},
      {"replay", "draw", "spins"},
      {"transitions", "nonsense"},
      {"status", "--wait", "long"},
  };
  for (const Words& words : wrong) ExpectOneLine(words, Basin(words), 2);
  EXPECT_THAT(Basin({"smaple", "wide"}).err,
              HasSubstr("no command 'smaple'; expected models, model, "));
  EXPECT_THAT(Basin({"replay", "drw", "spins"}).err,
              HasSubstr("no command 'drw'; expected stats, draw, "));
}

TEST(CliTest, WhatIsRefusedIsOneLineAndExitCode1) {
  const TempDir folder;
  const std::string out = folder.File("x.npy");
  const std::vector<Words> refused = {
      {"model", "nonsense"},
      {"model", "gauss_a:x"},
      {"sample", "nonsense", "--out", out},
      {"sample", "wide", "--out", "/nonexistent/x.npy"},
      {"sample", "wide", "--out", folder.File("x.png")},
      {"sample", "wide", "--out", out, "--transition", "gibbs"},
      {"sample", "wide", "--out", out, "--transition", "mala", "--step_size",
       "-1"},
      {"sample", "wide", "--out", out, "--transition", "mala", "--sites", "3"},
      {"sample", "wide", "--out", out, "--tempering", "3"},
      {"sample", "wide", "--out", out, "--init", folder.File("none.npy")},
      {"sample", "--out", out, "--resume", folder.File("none")},
      {"score", "wide", "--input", folder.File("none.npy")},
      {"replay", "stats", "wide"},
  };
  for (const Words& words : refused) ExpectOneLine(words, Basin(words), 1);
  const Words nobody = {"models", "--server", "127.0.0.1:1"};
  const ProcessEnd end = RunToEnd(BASIN_CLI_PATH, nobody);
  ExpectOneLine(nobody, end, 1);
  EXPECT_THAT(end.err, HasSubstr("no server at 127.0.0.1:1"));
}

TEST(CliTest, HelpIsNoError) {
  for (const Words& words :
       {Words{"--help"}, Words{"sample", "--help"}, Words{"log_z", "--help"},
        Words{"replay", "--help"}, Words{"score", "-h"}}) {
    const ProcessEnd end = Basin(words);
    EXPECT_EQ(end.code, 0);
    EXPECT_THAT(end.out, HasSubstr("Usage: "));
    EXPECT_THAT(end.err, IsEmpty());
  }
}

}  // namespace
}  // namespace basin::testing
