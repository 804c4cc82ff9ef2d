#include "control/history/clerk.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "control/history/views.hpp"
#include "control/ledger/cursor.hpp"
#include "control/store/fold.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kRecordsAtOnce = 4096;  // in one transaction: about 30 ms
constexpr std::uint64_t kBehindMax = 100'000;   // records; further behind nobody is kept waiting: a second
constexpr std::chrono::seconds kTryAgainAfter{10};  // when the views cannot be written
constexpr int kNice = 10;                           // poll cores and control's loop go first
constexpr std::size_t kQuestionsMax = 1024;         // waiting

}  // namespace

struct Clerk::Shared {
  struct Question {
    EventQuery query;
    OnEvents done;
    std::uint64_t durable = 0;  // when it was asked
    Result<std::vector<Event>> answer;
  };

  std::filesystem::path directory;
  UniqueFd event;
  std::function<void(const std::string&)> say;

  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::uint64_t durable = 0;
  std::deque<Question> questions;
  std::deque<Question> answers;
  std::vector<std::string> sentences;
  std::thread thread;

  // The thread's own.
  std::unique_ptr<Views> views;
  std::optional<LogCursor> cursor;
  std::optional<Error> trouble;
  std::chrono::steady_clock::time_point try_again;
  std::uint64_t since_snapshot = 0;

  void run();
  void tell(const std::string& sentence);
  void answer(std::deque<Question> asked, std::uint64_t to);
  [[nodiscard]] std::uint64_t point() const { return views ? views->point().sequence : 0; }
  [[nodiscard]] Result<void> open_views();
  [[nodiscard]] Result<void> read_on(std::uint64_t to);
  void suffer(const Error& error);
  void snapshot();
};

void Clerk::Shared::tell(const std::string& sentence) {
  {
    const std::lock_guard lock(mutex);
    sentences.push_back(sentence);
  }
  const std::uint64_t one = 1;
  (void)!::write(event.get(), &one, sizeof one);
}

Result<void> Clerk::Shared::open_views() {
  const std::filesystem::path path = views_path(directory);
  const bool were_there = std::filesystem::exists(path);
  Result<std::unique_ptr<Views>> opened = Views::open(path);
  Result<LogCursor> at = !opened ? Result<LogCursor>(std::unexpected(opened.error()))
                                 : LogCursor::open(log_directory(directory), (*opened)->point());
  if (!at && at.error().code == Errc::corrupt) {
    // Theirs is the damage, not the log's: that was read when control started.
    opened = std::unexpected(at.error());
    if (were_there) tell("the views of the log are made again: " + at.error().cause);
    remove_views(path);
    opened = Views::open(path);
    if (!opened) return std::unexpected(opened.error());
    at = LogCursor::open(log_directory(directory), (*opened)->point());
  }
  if (!at) return std::unexpected(at.error());
  views = std::move(*opened);
  cursor = std::move(*at);
  return {};
}

Result<void> Clerk::Shared::read_on(std::uint64_t to) {
  if (!views)
    if (Result<void> opened = open_views(); !opened) return opened;
  if (Result<void> refreshed = cursor->refresh(); !refreshed) return refreshed;
  for (std::uint64_t n = 0; n < kRecordsAtOnce && cursor->point().sequence < to; ++n) {
    const Result<std::optional<LogRecord>> record = cursor->next();
    if (!record) return std::unexpected(record.error());
    if (!*record)
      return fail(Errc::corrupt, "read the log again", "it ends before record " + std::to_string(to));
    if (Result<void> added = views->add(**record, cursor->point().hash); !added) return added;
    ++since_snapshot;
  }
  return views->flush();
}

void Clerk::Shared::suffer(const Error& error) {
  if (!trouble) tell("the views of the log stay behind: " + error.sentence());
  trouble = error;
  try_again = std::chrono::steady_clock::now() + kTryAgainAfter;
  cursor.reset();
  views.reset();
  if (error.code == Errc::corrupt || error.code == Errc::internal) remove_views(views_path(directory));
}

void Clerk::Shared::snapshot() {
  since_snapshot = 0;
  if (Result<void> made = make_snapshot(log_directory(directory), point()); !made)
    tell("no snapshot of the log: " + made.error().sentence());
}

void Clerk::Shared::answer(std::deque<Question> asked, std::uint64_t to) {
  for (Question& question : asked) {
    if (views && point() >= question.durable)
      question.answer = views->events(question.query);
    else if (trouble)
      question.answer = std::unexpected(*trouble);
    else
      question.answer = fail(Errc::busy, "read the history of the node",
                             "it is being read from the log again, and is at record " +
                                 std::to_string(point()) + " of " + std::to_string(to),
                             "try again in a while");
  }
  {
    const std::lock_guard lock(mutex);
    for (Question& question : asked) answers.push_back(std::move(question));
  }
  const std::uint64_t one = 1;
  (void)!::write(event.get(), &one, sizeof one);
}

void Clerk::Shared::run() {
  (void)::pthread_setname_np(::pthread_self(), "pgrid-clerk");
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
  for (;;) {
    if (!views && !trouble)
      if (Result<void> opened = open_views(); !opened) suffer(opened.error());
    if (since_snapshot >= kSnapshotEvery && views) snapshot();
    std::uint64_t to = 0;
    std::deque<Question> asked;
    {
      std::unique_lock lock(mutex);
      const auto has_work = [&] { return stop || !questions.empty() || (!trouble && durable > point()); };
      if (trouble)
        wake.wait_until(lock, try_again, has_work);
      else
        wake.wait(lock, has_work);
      if (stop) return;
      to = durable;
      // Those that can be answered soon wait for it.
      while (!questions.empty() && (trouble || questions.front().durable <= point() ||
                                    questions.front().durable > point() + kBehindMax)) {
        asked.push_back(std::move(questions.front()));
        questions.pop_front();
      }
    }
    if (!asked.empty()) answer(std::move(asked), to);
    if (trouble && std::chrono::steady_clock::now() < try_again) continue;
    if (views && point() >= to) continue;
    if (Result<void> read = read_on(to); !read)
      suffer(read.error());
    else
      trouble.reset();
  }
}

Clerk::Clerk(EventLoop& loop, std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
  readable_ = loop.when_readable(shared_->event.get(), [this] { take_answers(); });
}

Result<std::unique_ptr<Clerk>> Clerk::start(EventLoop& loop, std::filesystem::path state_directory,
                                            std::uint64_t durable, std::uint64_t replayed,
                                            std::function<void(const std::string&)> say) {
  auto shared = std::make_shared<Shared>();
  shared->directory = std::move(state_directory);
  shared->say = std::move(say);
  shared->durable = durable;
  shared->since_snapshot = replayed;
  shared->event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared->event) return fail_errno("eventfd", errno);
  shared->thread = std::thread([raw = shared.get()] { raw->run(); });
  return std::unique_ptr<Clerk>(new Clerk(loop, std::move(shared)));
}

Clerk::~Clerk() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->wake.notify_all();
  shared_->thread.join();
}

void Clerk::on_progress(const LogPoint& durable) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->durable = durable.sequence;
  }
  shared_->wake.notify_all();
}

void Clerk::events(EventQuery query, OnEvents done) {
  {
    const std::lock_guard lock(shared_->mutex);
    Shared::Question question{std::move(query), std::move(done), shared_->durable, {}};
    if (shared_->questions.size() < kQuestionsMax) {
      shared_->questions.push_back(std::move(question));
    } else {
      question.answer =
          fail(Errc::busy, "read the history of the node", "too many ask at once", "try again in a while");
      shared_->answers.push_back(std::move(question));
      const std::uint64_t one = 1;
      (void)!::write(shared_->event.get(), &one, sizeof one);
    }
  }
  shared_->wake.notify_all();
}

void Clerk::take_answers() {
  std::uint64_t count = 0;
  (void)!::read(shared_->event.get(), &count, sizeof count);
  std::deque<Shared::Question> answers;
  std::vector<std::string> sentences;
  {
    const std::lock_guard lock(shared_->mutex);
    answers.swap(shared_->answers);
    sentences.swap(shared_->sentences);
  }
  for (const std::string& sentence : sentences) shared_->say(sentence);
  for (Shared::Question& answer : answers) answer.done(std::move(answer.answer));
}

}  // namespace pgrid::control
