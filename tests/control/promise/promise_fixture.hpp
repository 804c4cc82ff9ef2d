// A node with a fake data plane, and functions that are nothing but the ring records that they would cause.
#pragma once

#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "control/cbor/cbor.hpp"
#include "control/promise/protocol.hpp"
#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {

/// A map of numbers, in the order given.
inline std::string map_of(std::initializer_list<std::pair<Field, std::uint64_t>> fields) {
  CborWriter out;
  out.map(fields.size());
  for (const auto& [field, value] : fields) out.number(static_cast<std::uint64_t>(field)).number(value);
  const auto bytes = out.take();
  return {bytes.begin(), bytes.end()};
}
inline std::uint64_t op(Op one) { return static_cast<std::uint64_t>(one); }
inline const std::string kMint = map_of({{Field::op, op(Op::mint)}});
inline const std::string kRevoke = map_of({{Field::op, op(Op::revoke)}});
inline const std::string kDerive = map_of({{Field::op, op(Op::derive)}});
inline std::string notify_of(std::uint64_t number) {
  return map_of({{Field::op, op(Op::notify)}, {Field::number, number}});
}
inline const std::string kDone = "\xa0";

class PromiseFixture : public NodeFixture {
 protected:
  /// What an instance hears.
  struct Heard {
    abi::Kind kind{};
    abi::Reason reason{};
    std::vector<abi::RightRef> rights;
    std::string body;
  };

  abi::ControlEvent header_of(const std::string& name, std::uint32_t instance) {
    const ProcessRecord* process = node_->state().process(name);
    abi::ControlEvent event{};
    event.type = static_cast<std::uint8_t>(abi::ControlEventType::guest_request);
    event.process = process->index;
    event.process_generation = process->generation;
    event.worker = process->worker;
    event.instance = instance;
    event.reply_slot = abi::send_once_slot(0, ++asked_);
    event.reply_generation = asked_;
    std::memcpy(event.id, &asked_, sizeof asked_);
    return event;
  }
  void post(const abi::ControlEvent& header, const std::string& body,
            const std::vector<abi::RightRef>& rights) {
    abi::ControlEvent event = header;
    event.nb_rights = static_cast<std::uint8_t>(rights.size());
    dataplane_->post(event, body, rights);
  }
  /// Sends without waiting; gives the number of the reply.
  std::uint32_t send(const std::string& name, const std::string& body,
                     const std::vector<abi::RightRef>& rights = {}, std::uint32_t instance = 1) {
    post(header_of(name, instance), body, rights);
    return asked_;
  }
  Heard ask(const std::string& name, const std::string& body, const std::vector<abi::RightRef>& rights = {},
            std::uint32_t instance = 1) {
    return answer_to(send(name, body, rights, instance));
  }
  Heard answer_to(std::uint32_t number) {
    const Said* found = nullptr;
    EXPECT_TRUE(loop_.run_until([&] { return (found = find_answer(number)) != nullptr; }, 5s)) << number;
    if (found == nullptr) return {};
    Heard heard{static_cast<abi::Kind>(found->header.kind), static_cast<abi::Reason>(found->header.reason),
                found->rights, found->body};
    std::uint32_t id = 0;
    std::memcpy(&id, found->header.id, sizeof id);
    EXPECT_EQ(id, number) << "the id is the request's";
    EXPECT_EQ(found->header.slot, abi::send_once_slot(0, number));
    return heard;
  }
  bool is_answered(std::uint32_t number) { return find_answer(number) != nullptr; }
  /// Makes a right through `mint`.
  abi::RightRef mint(const std::string& name, const std::string& body = kMint, std::uint32_t instance = 1) {
    const Heard heard = ask(name, body, {}, instance);
    EXPECT_EQ(heard.kind, abi::Kind::answer) << heard.body;
    EXPECT_EQ(heard.rights.size(), 1u);
    return heard.rights.empty() ? abi::RightRef{} : heard.rights[0];
  }
  abi::RightRef derive(const std::string& name, abi::RightRef from, const std::string& body = kDerive) {
    const Heard heard = ask(name, body, {from});
    EXPECT_EQ(heard.kind, abi::Kind::answer) << heard.body;
    return heard.rights.empty() ? abi::RightRef{} : heard.rights[0];
  }
  /// Notices for a process so far.
  std::vector<Said> notices(const std::string& name) {
    gather();
    const std::uint32_t index = node_->state().process(name)->index;
    std::vector<Said> found;
    for (const Said& said : said_)
      if (said.header.type == static_cast<std::uint8_t>(abi::ControlRequestType::notice) &&
          said.header.slot == index)
        found.push_back(said);
    return found;
  }
  bool hears(const std::string& name, std::size_t count) {
    return loop_.run_until([&] { return notices(name).size() >= count; }, 5s);
  }
  void expect_refused(const Heard& heard, abi::Reason reason) {
    EXPECT_EQ(heard.kind, abi::Kind::non_commitment) << heard.body;
    EXPECT_EQ(heard.reason, reason) << abi::name_of(heard.reason) << ' ' << heard.body;
    EXPECT_TRUE(heard.rights.empty());
  }
  abi::Target target_of(abi::RightRef right) {
    const abi::RightFields fields = dataplane_->right(right.slot);
    return fields.generation == right.generation ? fields.target_kind : abi::Target::free;
  }

 private:
  void gather() {
    for (Said& said : dataplane_->take_said()) said_.push_back(std::move(said));
  }
  const Said* find_answer(std::uint32_t number) {
    gather();
    for (const Said& said : said_)
      if (said.header.type == static_cast<std::uint8_t>(abi::ControlRequestType::answer) &&
          said.header.generation == number)
        return &said;
    return nullptr;
  }
  std::uint32_t asked_ = 0;
  std::vector<Said> said_;
};

}  // namespace pgrid::control::fake
