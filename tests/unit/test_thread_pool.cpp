#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/cpu_quota.hpp"
#include "mixtral/core/error.hpp"
#include "mixtral/core/thread_pool.hpp"
#include "support/catch.hpp"

using namespace mixtral;

namespace {

std::atomic<std::size_t> n_allocations{0};

}  // namespace

void* operator new(std::size_t size) {
  n_allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("every task runs exactly once, whatever the sizes") {
  for (const std::size_t n_threads : {1, 2, 3, 4, 7, 16}) {
    ThreadPool pool(n_threads);
    REQUIRE(pool.n_threads() == n_threads);
    for (const std::size_t n_tasks : {0, 1, 2, 3, 5, 16, 17, 100, 1000}) {
      std::vector<std::atomic<int>> runs(n_tasks);
      std::vector<std::atomic<int>> inside(n_threads);
      std::atomic<bool> worker_shared{false}, worker_out_of_range{false};
      pool.run(n_tasks, [&](std::size_t t, std::size_t worker) {
        if (worker >= n_threads) {
          worker_out_of_range = true;
          return;
        }
        if (inside[worker].fetch_add(1) != 0) worker_shared = true;
        runs[t].fetch_add(1);
        inside[worker].fetch_sub(1);
      });
      for (const auto& count : runs) REQUIRE(count == 1);
      REQUIRE_FALSE(worker_shared);
      REQUIRE_FALSE(worker_out_of_range);
    }
  }
}

TEST_CASE("results written by workers are visible after run, over many short runs") {
  ThreadPool pool(4);
  std::vector<std::size_t> values(8);
  for (std::size_t round = 1; round <= 20000; ++round) {
    pool.run(values.size(), [&](std::size_t t, std::size_t) { values[t] += round * t; });
    if (round % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // let it park
  }
  for (std::size_t t = 0; t < values.size(); ++t) REQUIRE(values[t] == t * 20000 * 20001 / 2);
}

TEST_CASE("all workers take part") {
  ThreadPool pool(3);
  std::atomic<int> arrived{0};
  // Each task waits for the others: it ends only if three threads run at the same time.
  pool.run(3, [&](std::size_t, std::size_t) {
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  REQUIRE(arrived == 3);
}

TEST_CASE("the first exception reaches the caller and the pool stays usable") {
  for (const std::size_t n_threads : {1, 2, 5}) {
    ThreadPool pool(n_threads);
    for (int round = 0; round < 100; ++round) {
      REQUIRE_THROWS_WITH(pool.run(50,
                                   [](std::size_t t, std::size_t) {
                                     if (t == 13) throw std::runtime_error("task 13");
                                   }),
                          "task 13");
      REQUIRE_THROWS_AS(pool.run(50, [](std::size_t, std::size_t) { throw 1; }), int);
      std::atomic<int> count{0};
      pool.run(50, [&](std::size_t, std::size_t) { ++count; });
      REQUIRE(count == 50);
    }
  }
}

TEST_CASE("a run inside a run of the same pool is refused, not a deadlock") {
  ThreadPool pool(2);
  REQUIRE_THROWS_AS(
      pool.run(2, [&](std::size_t, std::size_t) { pool.run(2, [](std::size_t, std::size_t) {}); }),
      Error);
}

TEST_CASE("pools of two threads don't disturb each other, nor does a pool inside a pool") {
  const auto count_to = [](std::size_t n) {
    ThreadPool pool(3);
    std::atomic<std::size_t> sum{0};
    for (int round = 0; round < 200; ++round) {
      pool.run(n, [&](std::size_t, std::size_t) { ++sum; });
    }
    return sum.load();
  };
  std::size_t a = 0, b = 0;
  std::thread first([&] { a = count_to(17); });
  std::thread second([&] { b = count_to(40); });
  first.join();
  second.join();
  REQUIRE(a == 200 * 17);
  REQUIRE(b == 200 * 40);

  ThreadPool outer(2);
  std::vector<std::size_t> sums(4);
  outer.run(4, [&](std::size_t t, std::size_t) { sums[t] = count_to(t + 1); });
  for (std::size_t t = 0; t < 4; ++t) REQUIRE(sums[t] == 200 * (t + 1));
}

TEST_CASE("run does not allocate") {
  ThreadPool pool(3);
  std::atomic<int> count{0};
  const auto task = [&](std::size_t, std::size_t) { ++count; };
  pool.run(10, task);
  const std::size_t before = n_allocations;
  for (int round = 0; round < 1000; ++round) pool.run(10, task);
  const std::size_t after = n_allocations;
  REQUIRE(after == before);
  REQUIRE(count == 10010);
}

TEST_CASE("more threads than cores, started and stopped many times") {
  for (int round = 0; round < 20; ++round) {
    ThreadPool pool(4 * default_thread_count() + 1);
    std::atomic<int> count{0};
    for (int i = 0; i < 20; ++i) pool.run(64, [&](std::size_t, std::size_t) { ++count; });
    REQUIRE(count == 20 * 64);
  }
}

TEST_CASE("workers leave signals to the host's threads") {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  sigset_t worker_mask[2];
  pool.run(2, [&](std::size_t, std::size_t worker) {
    pthread_sigmask(SIG_BLOCK, nullptr, &worker_mask[worker]);
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  REQUIRE(sigismember(&worker_mask[0], SIGINT) == 0);
  REQUIRE(sigismember(&worker_mask[1], SIGINT) == 1);
  // A worker that raises a fault runs the host's handler for it.
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL}) {
    REQUIRE(sigismember(&worker_mask[1], fault) == 0);
  }
}

TEST_CASE("an absurd thread count is an error") {
  REQUIRE_THROWS_AS(ThreadPool(1000000), Error);
}

#ifndef MIXTRAL_SANITIZED  // address and thread sanitizers reserve terabytes
TEST_CASE("threads that can't start are an error, and those started are stopped") {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{256u << 20, 256u << 20};  // address space for some of 200 stacks
    setrlimit(RLIMIT_AS, &limit);
    int result = 1;
    try {
      ThreadPool pool(200);
    } catch (const Error& e) {
      result = e.code() == ErrorCode::out_of_memory ? 0 : 2;
    }
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("Threads:", 0) == 0 && std::stoi(line.substr(8)) != 1) result = 3;
    }
    _exit(result);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
}
#endif

namespace {

namespace fs = std::filesystem;

/// A pretended /proc/self/cgroup and /sys/fs/cgroup.
struct CgroupTree {
  CgroupTree() {
    std::string pattern = (fs::temp_directory_path() / "mixtral-cgroup-XXXXXX").string();
    root = mkdtemp(pattern.data());
  }
  ~CgroupTree() { fs::remove_all(root); }
  void write(const fs::path& name, const std::string& text) const {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name) << text;
  }
  std::optional<double> quota() const {
    return detail::cpu_quota(root / "self", root / "mount");
  }
  fs::path root;
};

}  // namespace

TEST_CASE("cgroup version 2 quotas: the tightest of the group and its parents") {
  const CgroupTree tree;
  REQUIRE_FALSE(tree.quota());
  tree.write("self", "0::/a/b\n");
  REQUIRE_FALSE(tree.quota());
  tree.write("mount/a/b/cpu.max", "max 100000\n");
  REQUIRE_FALSE(tree.quota());
  tree.write("mount/a/cpu.max", "250000 100000\n");
  REQUIRE(tree.quota() == 2.5);
  tree.write("mount/a/b/cpu.max", "50000 100000\n");
  REQUIRE(tree.quota() == 0.5);
}

TEST_CASE("cgroup version 1 quotas, also when the host's path isn't visible") {
  const CgroupTree tree;
  tree.write("self", "4:memory:/x\n3:cpu,cpuacct:/docker/1234\n1:name=systemd:/\n0::/\n");
  tree.write("mount/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  tree.write("mount/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  REQUIRE_FALSE(tree.quota());
  tree.write("mount/cpu,cpuacct/cpu.cfs_quota_us", "400000\n");
  REQUIRE(tree.quota() == 4.0);
}

TEST_CASE("the default thread count is at least one and no more than the affinity allows") {
  const std::size_t all = default_thread_count();
  REQUIRE(all >= 1);
  cpu_set_t previous, one;
  REQUIRE(sched_getaffinity(0, sizeof previous, &previous) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &previous)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const std::size_t pinned = default_thread_count();
  REQUIRE(sched_setaffinity(0, sizeof previous, &previous) == 0);
  REQUIRE(pinned == 1);
  REQUIRE(default_thread_count() == all);
}
