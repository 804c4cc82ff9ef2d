// Shows that code is found under its name only while it is what the name says, and that an image that this
// node did not make for this engine is never given out.
#include "control/code_store/code_store.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace pgrid::control {
namespace {

namespace fs = std::filesystem;

Bytes bytes(const std::string& text) { return {text.begin(), text.end()}; }

class CodeStoreTest : public ::testing::Test {
 protected:
  CodeStoreTest() {
    std::string name = fs::temp_directory_path() / "pgrid-code-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~CodeStoreTest() override {
    std::error_code error;
    fs::remove_all(directory_, error);
  }
  CodeStore open(const std::string& fingerprint = "engine 1") {
    auto store = CodeStore::open(directory_);
    EXPECT_TRUE(store) << store.error().sentence();
    store->set_fingerprint(fingerprint);
    return std::move(*store);
  }
  fs::path file(const std::string& cid, const char* suffix) const {
    return directory_ / "code" / (cid + suffix);
  }

  fs::path directory_;
};

TEST(Cid, known_value) {
  // base32 of 01 55 12 20 and the SHA-256 of "hello", as other implementations write it.
  EXPECT_EQ(cid_of(bytes("hello")).text(), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
}

TEST(Cid, text_is_checked) {
  const std::string text = cid_of(bytes("hello")).text();
  EXPECT_TRUE(is_cid_text(text));
  EXPECT_EQ(digest_of(text), cid_of(bytes("hello")).digest);
  EXPECT_FALSE(is_cid_text(text + "a"));
  EXPECT_FALSE(is_cid_text("../../" + text.substr(6)));
  std::string other = text;
  other[3] = 'b';  // not raw, sha2-256
  EXPECT_FALSE(is_cid_text(other));
}

TEST_F(CodeStoreTest, module_and_image_come_back_after_a_restart) {
  const std::string cid = cid_of(bytes("module")).text();
  {
    CodeStore store = open();
    ASSERT_TRUE(store.put_module(cid, bytes("module")));
    ASSERT_TRUE(store.put_image(cid, bytes("image")));
  }
  const CodeStore store = open();
  EXPECT_EQ(*store.module(cid), bytes("module"));
  EXPECT_EQ(*store.image(cid), bytes("image"));
  struct stat status{};
  for (const fs::path& path : {file(cid, ".wasm"), file(cid, ".image"), directory_ / "image.key"}) {
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << path;
  }
}

TEST_F(CodeStoreTest, every_changed_byte_of_an_image_is_noticed) {
  const std::string cid = cid_of(bytes("module")).text();
  CodeStore store = open();
  ASSERT_TRUE(store.put_image(cid, bytes("image")));
  const Bytes good = *read_file(file(cid, ".image"), 1000);
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 1;
    ASSERT_TRUE(replace_file(file(cid, ".image"), bad));
    EXPECT_EQ(store.image(cid).error().code, Errc::not_found) << at;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(replace_file(file(cid, ".image"), std::span(good).first(size)));
    EXPECT_EQ(store.image(cid).error().code, Errc::not_found) << size;
  }
  ASSERT_TRUE(replace_file(file(cid, ".image"), good));
  EXPECT_TRUE(store.image(cid));
}

TEST_F(CodeStoreTest, an_image_of_another_engine_name_or_node_is_not_used) {
  const std::string cid = cid_of(bytes("module")).text();
  const std::string other = cid_of(bytes("other")).text();
  {
    CodeStore store = open("engine 1");
    ASSERT_TRUE(store.put_image(cid, bytes("image")));
    fs::copy_file(file(cid, ".image"), file(other, ".image"));
    EXPECT_FALSE(store.image(other)) << "under another name";
  }
  EXPECT_FALSE(open("engine 2").image(cid));
  EXPECT_TRUE(open("engine 1").image(cid));
  fs::remove(directory_ / "image.key");
  EXPECT_FALSE(open("engine 1").image(cid)) << "another key: another node, or a copied directory";
}

TEST_F(CodeStoreTest, a_changed_module_is_corrupt) {
  const std::string cid = cid_of(bytes("module")).text();
  CodeStore store = open();
  ASSERT_TRUE(store.put_module(cid, bytes("module")));
  ASSERT_TRUE(replace_file(file(cid, ".wasm"), bytes("modulE")));
  EXPECT_EQ(store.module(cid).error().code, Errc::corrupt);
  ASSERT_TRUE(store.put_module(cid, bytes("module")));  // deploying it again mends it
  EXPECT_EQ(*store.module(cid), bytes("module"));
}

TEST_F(CodeStoreTest, unused_code_and_half_written_files_go) {
  const std::string used = cid_of(bytes("used")).text();
  const std::string unused = cid_of(bytes("unused")).text();
  {
    CodeStore store = open();
    ASSERT_TRUE(store.put_module(used, bytes("used")));
    ASSERT_TRUE(store.put_image(used, bytes("image")));
    ASSERT_TRUE(store.put_module(unused, bytes("unused")));
    ASSERT_TRUE(store.put_image(unused, bytes("image")));
    std::ofstream(file(used, ".image.new")) << "half";
  }
  const CodeStore store = open();
  EXPECT_FALSE(fs::exists(file(used, ".image.new")));
  store.remove_unused([&](const std::string& cid) { return cid == used; });
  EXPECT_TRUE(store.module(used));
  EXPECT_TRUE(store.image(used));
  EXPECT_EQ(store.module(unused).error().code, Errc::not_found);
  EXPECT_FALSE(fs::exists(file(unused, ".image")));
}

}  // namespace
}  // namespace pgrid::control
