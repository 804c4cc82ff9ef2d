// pgrid stat: counters by reason, rates, latency.
#include <chrono>
#include <thread>

#include "abi/shared/counters.hpp"
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

class Stat : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("stat", "Show what the node received, answered, refused and dropped, by reason.");
    own.add_flag("--watch", watch_, "again every second, with rates, until Ctrl-C");
    own.add_flag("--all", all_, "counters that are zero, too");
    own.footer("\nExample:\n  pgrid stat --watch");
    return own;
  }

  ExitCode run(Context& context) override {
    nlohmann::json before;
    for (;;) {
      const auto stat = context.api.call({.path = "/v1/stat"});
      if (!stat) return context.report(stat.error());
      if (context.printer.json())
        context.printer.print(*stat);
      else
        print(context, *stat, before);
      if (!watch_) return ExitCode::ok;
      before = *stat;
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

 private:
  void print(const Context& context, const nlohmann::json& stat, const nlohmann::json& before) const {
    if (watch_) context.printer.out() << "\x1b[H\x1b[J";  // top left, clear to the end
    const auto part = [&stat](const char* key) { return stat.value(key, nlohmann::json::object()); };
    const auto totals = part("totals");
    const auto old = before.is_object() ? before.value("totals", nlohmann::json::object()) : nlohmann::json::object();
    const auto gauges = part("gauges");
    const auto books = part("books");
    const bool balanced = books.value("balanced", false);
    context.printer.say(
        grouped(number_of(books, "received")) + " received, " + grouped(number_of(totals, "answered")) + " answered, " +
        grouped(number_of(stat, "in_flight")) + " in flight; the books " + (balanced ? "balance" : "do not balance now") +
        "\n" + grouped(number_of(gauges, "mbufs_in_use")) + " of " + grouped(number_of(gauges, "mbufs_total")) +
        " packet buffers in use, " + (is_set(gauges, "huge_pages") ? "huge pages" : "no huge pages") +
        (is_set(gauges, "plaintext") ? ", plaintext: rights cross the network in clear" : "") +
        (is_set(gauges, "stopping") ? ", stopping" : "") + "\n");
    print_counters(context, totals, old, before.is_object());
    print_cores(context, stat);
    print_workers(context, stat);
    print_memory(context, stat.value("memory", nlohmann::json::object()));
  }

  void print_counters(const Context& context, const nlohmann::json& totals, const nlohmann::json& old, bool rates) const {
    Table table(rates ? std::vector<std::string>{"COUNTER", ">TOTAL", ">PER SECOND", "CLASS", "WHAT IT MEANS"}
                      : std::vector<std::string>{"COUNTER", ">TOTAL", "CLASS", "WHAT IT MEANS"});
    for (const abi::CounterInfo& info : abi::kCounterInfo) {
      const std::string name(info.name);
      const std::uint64_t value = number_of(totals, name.c_str());
      if (value == 0 && !all_) continue;
      std::vector<std::string> cells{name, grouped(value)};
      if (rates) {
        const std::uint64_t previous = number_of(old, name.c_str());
        cells.push_back(grouped(value >= previous ? value - previous : 0));
      }
      cells.emplace_back(abi::name_of(info.class_));
      cells.emplace_back(info.help);
      table.add(std::move(cells));
    }
    if (!table.empty()) context.printer.print(table);
    context.printer.say("");
  }

  static void print_cores(const Context& context, const nlohmann::json& stat) {
    Table table({"POLL CORE", ">IN FLIGHT", ">TURNS", ">IDLE", ">P50", ">P90", ">P99", ">P99.9", ">MAX"});
    for (const auto& core : stat.value("poll_cores", nlohmann::json::array())) {
      const auto latency = core.value("latency_ns", nlohmann::json::object());
      const auto time = [&latency](const char* key) {
        return number_of(latency, "count") == 0 ? std::string("-") : nanoseconds(number_of(latency, key));
      };
      table.add({text_of(core, "poll_core"), grouped(number_of(core, "in_flight")), grouped(number_of(core, "turns")),
                 grouped(number_of(core, "idle_turns")), time("p50"), time("p90"), time("p99"), time("p999"), time("max")});
    }
    if (!table.empty()) context.printer.print(table);
    context.printer.say("");
  }

  static void print_workers(const Context& context, const nlohmann::json& stat) {
    Table table({"WORKER", "STATE", ">PID", ">DEATHS", ">PROCESSES", ">INSTANCES", ">HANDLED", ">RESTARTS", ">RESIDENT"});
    for (const auto& worker : stat.value("workers", nlohmann::json::array()))
      table.add({text_of(worker, "worker"), text_of(worker, "state"), text_of(worker, "pid"),
                 grouped(number_of(worker, "deaths")), grouped(number_of(worker, "processes")),
                 grouped(number_of(worker, "instances")), grouped(number_of(worker, "handled")),
                 grouped(number_of(worker, "rebuilds")), mebibytes(number_of(worker, "resident_bytes"))});
    if (!table.empty()) context.printer.print(table);
    context.printer.say("");
  }

  /// What a right, a process and an instance cost, and what the node's programs occupy.
  static void print_memory(const Context& context, const nlohmann::json& memory) {
    if (memory.empty()) return;
    const auto number = [&memory](const char* key) { return grouped(number_of(memory, key)); };
    const std::uint64_t instances = number_of(memory, "instances");
    context.printer.say(
        "a right takes " + number("right_bytes") + " bytes of tables (" + number("rights") + " of " +
        number("rights_max") + " installed), a process " + number("process_bytes") + " bytes (" + number("processes") +
        " deployed), " +
        (instances == 0 ? "and there is no instance"
                        : "an instance at most " + mebibytes(number_of(memory, "instance_bytes")) +
                              " (workers' memory, programs included, over " + grouped(instances) + ")") +
        "\nresident: data plane " + mebibytes(number_of(memory, "dataplane_resident_bytes")) + ", workers " +
        mebibytes(number_of(memory, "workers_resident_bytes")) + ", control " +
        mebibytes(number_of(memory, "control_resident_bytes")));
  }

  /// As the kernel counts: in pages, and 0 when it does not tell.
  static std::string mebibytes(std::uint64_t bytes) {
    if (bytes == 0) return "-";
    const std::uint64_t tenths = (bytes * 10 + (1u << 19)) >> 20;
    return grouped(tenths / 10) + '.' + std::to_string(tenths % 10) + " MiB";
  }

  static bool is_set(const nlohmann::json& gauges, const char* key) {
    if (!gauges.contains(key)) return false;
    return gauges[key].is_boolean() ? gauges[key].get<bool>() : number_of(gauges, key) != 0;
  }

  bool watch_ = false;
  bool all_ = false;
};

}  // namespace

std::unique_ptr<Command> make_stat() { return std::make_unique<Stat>(); }

}  // namespace pgrid::tools
