// function_advertise and function_discover.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "control/code_store/cid.hpp"
#include "control/log/log.hpp"
#include "control/promise/service.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint32_t kSpecFields = 0x1fe;  // bits 1 to 8: label and limits

std::vector<std::uint8_t> cid_bytes(const std::string& text) {
  std::vector<std::uint8_t> bytes{0x01, 0x55, 0x12, 0x20};
  const Digest digest = is_cid_text(text) ? digest_of(text) : Digest{};
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  return bytes;
}

/// What was found out about the code, in a few words (control/code/verdict.hpp); empty: nothing was.
std::string short_verdict(const ProcessRecord& process) {
  const auto verdict = nlohmann::json::parse(process.verdict, nullptr, /*allow_exceptions=*/false);
  const auto found = verdict.is_object() ? verdict.find("short") : verdict.end();
  return found != verdict.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool has_all(const AdvertRecord& advert, const PromiseRequest& request) {
  for (std::size_t i = 0; i < request.nb_tags; ++i)
    if (std::find(advert.tags.begin(), advert.tags.end(), request.tags[i]) == advert.tags.end()) return false;
  return true;
}

}  // namespace

void PromiseService::advertise(const Asker& asker, const PromiseRequest& request) {
  if (request.text.empty()) {
    if (request.keys != 1u << static_cast<unsigned>(Field::text))
      return refuse(asker, abi::Reason::declined,
                    "an empty text takes the advertisement back, and stands alone");
    const AdvertRecord* old = store_.state().advert(asker.who.process);
    if (old == nullptr) return answer(asker, done_body());
    const std::optional<abi::RightRef> open = old->open;
    store_.commit(DropAdvert{asker.who.process}, [this, asker, open](const Result<void>& committed) {
      if (!committed) return refuse(asker, committed.error());
      if (open) take_back({&*open, 1});
      answer(asker, done_body());
    });
    return;
  }
  if (!request.open && (request.keys & kSpecFields) != 0)
    return refuse(asker, abi::Reason::declined, "label and limits are for what is open");
  AdvertRecord advert;
  advert.who = asker.who;
  advert.text = request.text;
  for (std::size_t i = 0; i < request.nb_tags; ++i) advert.tags.emplace_back(request.tags[i]);
  if (!request.open) return put_advert(asker, std::move(advert));
  if (!may_have_more(asker)) return;
  // Others have theirs derived from this one, whatever it allows them; so it may be derived from.
  RightSpec spec = spec_of(request);
  if (spec.permissions && (*spec.permissions & abi::kMayDerive) == 0) {
    advert.can = *spec.permissions;
    spec.permissions = *spec.permissions | abi::kMayDerive;
  }
  RightOwner owner;
  owner.maker = asker.who;
  rights_.create(spec, *process_of(asker.who), std::move(owner),
                 [this, asker, advert = std::move(advert)](const Result<RightRecord>& right) mutable {
                   if (!right) return refuse(asker, right.error());
                   advert.open = abi::RightRef{right->slot, right->generation};
                   put_advert(asker, std::move(advert));
                 });
}

void PromiseService::put_advert(const Asker& asker, AdvertRecord advert) {
  const AdvertRecord* old = store_.state().advert(asker.who.process);
  const std::optional<abi::RightRef> replaced = old == nullptr ? std::nullopt : old->open;
  const std::optional<abi::RightRef> open = advert.open;
  store_.commit(std::move(advert), [this, asker, replaced, open](const Result<void>& committed) {
    if (!committed) {
      if (open) take_back({&*open, 1});
      return refuse(asker, committed.error());
    }
    if (replaced) take_back({&*replaced, 1});
    answer(asker, done_body(), open ? std::vector{*open} : std::vector<abi::RightRef>{});
  });
}

FunctionView PromiseService::view_of(const ProcessRecord& process, const AdvertRecord& advert) const {
  FunctionView view;
  view.name = process.name;
  view.text = advert.text;
  view.did = knowledge_.did_of ? knowledge_.did_of(process) : "";
  view.verdict = short_verdict(process);
  view.cid = cid_bytes(process.cid);
  view.open = advert.open && rights_.find(*advert.open) != nullptr;
  return view;
}

void PromiseService::discover(const Asker& asker, const PromiseRequest& request) {
  if (request.want) return want(asker, request);
  std::map<std::string, FunctionView> found;
  for (const auto& [index, advert] : store_.state().adverts()) {
    const ProcessRecord* process = process_of(advert.who);
    if (process == nullptr || !process->name.starts_with(request.name) || !has_all(advert, request)) continue;
    if (request.has(Field::after) && process->name <= request.after) continue;
    found.emplace(process->name, FunctionView{});
    // Only the first few fit an answer.
    constexpr std::size_t kFewEnough = 64;  // a function takes at least 50 bytes
    if (found.size() > kFewEnough) found.erase(std::prev(found.end()));
  }
  std::vector<FunctionView> views;
  for (auto& [name, view] : found) {
    const ProcessRecord* process = store_.state().process(std::string_view(name));
    views.push_back(view_of(*process, *store_.state().advert(process->index)));
  }
  answer(asker, discover_body(views, false, abi::kBodyMax));
}

void PromiseService::want(const Asker& asker, const PromiseRequest& request) {
  const ProcessRecord* process = store_.state().process(request.name);
  const AdvertRecord* advert = process == nullptr ? nullptr : store_.state().advert(process->index);
  if (advert == nullptr || advert->who.generation != process->generation || request.nb_tags != 0 ||
      request.has(Field::after))
    return refuse(asker, abi::Reason::declined, "nobody of that name advertises here");
  const RightRecord* base = advert->open ? rights_.find(*advert->open) : nullptr;
  if (base == nullptr) return refuse(asker, abi::Reason::not_permitted, "it is not open to everybody");
  if (!may_have_more(asker)) return;
  RightSpec spec;
  if (advert->can != 0) spec.permissions = static_cast<std::uint8_t>(advert->can & base->permissions);
  RightOwner owner;
  owner.maker = asker.who;
  rights_.derive(*advert->open, spec, std::move(owner),
                 [this, asker, view = view_of(*process, *advert)](const Result<RightRecord>& right) {
                   if (!right) return refuse(asker, right.error());
                   answer(asker, discover_body({&view, 1}, false, kBodyWithRightsMax),
                          {{right->slot, right->generation}});
                 });
}

}  // namespace pgrid::control
