#include "drivers/sandbox/system_call_filter.hpp"

#include <seccomp.h>

#include "drivers/base/unique_handle.hpp"

namespace pgrid::sandbox {
namespace {

using Filter = UniqueHandle<void, &seccomp_release>;

/// libseccomp returns a negative errno.
std::unexpected<Error> failed(int returned) {
  return fail_errno("limit this process to its system calls (seccomp)", -returned,
                    "the kernel must be Linux 4.14 or newer, with CONFIG_SECCOMP_FILTER");
}

int add(const Filter& filter, const SystemCall& call) {
  scmp_arg_cmp conditions[2];
  unsigned nb_conditions = 0;
  for (const Condition& condition : call.conditions)
    if (condition.mask != 0)
      conditions[nb_conditions++] = {condition.argument, SCMP_CMP_MASKED_EQ, condition.mask, condition.value};
  return seccomp_rule_add_exact_array(filter.get(), SCMP_ACT_ALLOW, call.number, nb_conditions, conditions);
}

}  // namespace

Result<void> enter_filter(std::span<const SystemCall> allowed) {
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!filter) return failed(-ENOMEM);
  constexpr struct {
    scmp_filter_attr attribute;
    std::uint32_t value;
  } kAttributes[] = {
      {SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
      {SCMP_FLTATR_CTL_NNP, 0},      // the caller has set it, before there were threads
      {SCMP_FLTATR_CTL_TSYNC, 1},    // all threads, or none and an error
      {SCMP_FLTATR_API_SYSRAWRC, 1}  // errors as the kernel gives them
  };
  for (const auto& [attribute, value] : kAttributes)
    if (const int returned = seccomp_attr_set(filter.get(), attribute, value); returned != 0) return failed(returned);
  for (const SystemCall& call : allowed)
    if (const int returned = add(filter, call); returned != 0) return failed(returned);
  if (const int returned = seccomp_load(filter.get()); returned != 0) return failed(returned);
  return {};
}

}  // namespace pgrid::sandbox
