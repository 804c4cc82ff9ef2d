// A control node in a directory of its own, with a fake data plane and a fake compiler; requests go straight
// to the API.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "control/api/api.hpp"
#include "control/log/log.hpp"
#include "control/node.hpp"
#include "tests/control/fake/fake_dataplane.hpp"

namespace pgrid::control::fake {

using namespace std::chrono_literals;
using ParsedJson = nlohmann::json;

/// A directory that is removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "pgrid-test-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// "image of " and the module; a module that begins with "bad" is refused.
class FakeCompiler : public Compiler {
 public:
  explicit FakeCompiler(EventLoop& loop) : loop_(loop) {}
  void compile(CompileJob job, OnCompiled done) override {
    compiled += !job.only_verify;
    loop_.post([job = std::move(job), done = std::move(done)] {
      const std::string text(job.module->begin(), job.module->end());
      if (text.starts_with("bad"))
        return done(
            fail(Errc::invalid_argument, "", "it imports \"env.abort\", which the node does not offer"));
      const std::string image = "image of " + text;
      done(CompileResult{kVerdict, job.only_verify ? Bytes() : Bytes(image.begin(), image.end())});
    });
  }
  static constexpr const char* kVerdict = R"({"format":1,"short":"terminates within 7 steps per message"})";
  int compiled = 0;

 private:
  EventLoop& loop_;
};

struct Reply {
  int status = 0;
  ParsedJson body;
};

class NodeFixture : public ::testing::Test {
 protected:
  NodeFixture() {
    log_quietly();
    config_.name = "test";
    config_.run_dir = directory_.path();
    config_.state_dir = directory_.path() / "state";
    config_.worker_cores = {0, 1};
    config_.poll_cores = {0, 1};
    config_.limits.rights = 256;
    config::Port port;
    port.addresses.push_back(*config::parse_address("192.0.2.1/24"));
    port.plaintext = true;
    config_.ports.push_back(port);
  }

  void start_dataplane() {
    dataplane_ = std::make_unique<FakeDataplane>(directory_.path() / "dataplane.sock");
  }
  void start_control(const std::string& fingerprint = "engine 1") {
    auto node = Node::open(loop_, config_, compiler_, fingerprint);
    ASSERT_TRUE(node) << node.error().sentence();
    node_ = std::move(*node);
    api_ = std::make_unique<Api>(*node_);
    node_->start();
  }
  /// As a crash would: nothing is said to anybody.
  void stop_control() {
    api_.reset();
    node_.reset();
  }
  void start() {
    start_dataplane();
    start_control();
    ASSERT_TRUE(attached());
  }
  bool attached() {
    return loop_.run_until([&] { return node_->segments() != nullptr; }, 5s);
  }

  /// Begins a request; the reply is there when its status is not zero.
  std::shared_ptr<Reply> begin(const std::string& method, const std::string& target,
                               const std::string& body = "", const std::string& type = "application/json") {
    Request request{method, target, type, std::make_shared<const Bytes>(body.begin(), body.end())};
    auto reply = std::make_shared<Reply>();
    api_->handle(request, [reply](const Response& response) {
      EXPECT_EQ(reply->status, 0) << "answered twice";
      reply->body = ParsedJson::parse(response.body);
      reply->status = response.status;
    });
    return reply;
  }
  Reply call(const std::string& method, const std::string& target, const std::string& body = "",
             const std::string& type = "application/json") {
    const auto reply = begin(method, target, body, type);
    EXPECT_TRUE(loop_.run_until([&] { return reply->status != 0; }, 15s)) << method << ' ' << target;
    return *reply;
  }
  Reply deploy(const std::string& name, const std::string& module = "module", const std::string& more = "") {
    return call("POST", "/v1/processes?name=" + name + more, module, "application/wasm");
  }
  Reply invoke(const std::string& target) {
    return call("POST", "/v1/invoke", R"({"target": ")" + target + R"(", "body_base64": "aGVsbG8="})");
  }

  TemporaryDirectory directory_;
  EventLoop loop_;
  config::NodeConfig config_;
  FakeCompiler compiler_{loop_};
  std::unique_ptr<FakeDataplane> dataplane_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Api> api_;
};

}  // namespace pgrid::control::fake
