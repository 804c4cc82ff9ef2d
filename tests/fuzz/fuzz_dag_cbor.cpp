// DAG-CBOR: ours and the model's reader find the same first fault, or none; what was found good encodes to
// itself; and a cursor over bytes that nobody checked ends with them.
#include "control/token/dag_cbor.hpp"
#include "control/token/multibase.hpp"
#include "tests/control/token/model.hpp"
#include "tests/fuzz/fuzz_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrid;
  const test::Input input(data, size);
  const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(input.bytes().data()), size);
  const std::string copy(bytes.begin(), bytes.end());
  for (const bool floats : {false, true}) {
    const std::string ours(token::name_of(token::check(bytes, floats).reason));
    std::string theirs = "valid";
    try {
      const model::Value value = model::decode(copy, floats);
      test::require(model::encode(value) == copy, "two encodings of one value");
    } catch (const model::Refused& refused) {
      theirs = refused.what();
    }
    // That a nesting lies in a policy is the envelope's to say.
    if (theirs == "policy_too_deep") theirs = "malformed";
    test::require(ours == theirs, "another word than the model's");
  }
  std::size_t taken = 0;
  for (token::Cursor in(bytes); !in.at_end();) taken += in.take().size();
  test::require(taken == size, "take() lost bytes");
  for (token::Cursor in(bytes); !in.at_end();) {
    const token::Item item = in.next();
    test::require(test::lies_within(std::as_bytes(item.content), input.bytes()), "content outside the input");
  }
  (void)token::from_multibase(copy);
  return 0;
}
