// Test kit: runs the tests of one program, looks for leaks around each, and counts.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
using listener_base = Catch::EventListenerBase;
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
using listener_base = Catch::TestEventListenerBase;
#endif

#include "leaks.hpp"

#include <cstdio>
#include <string>
#include <thread>

namespace kit {
namespace {

int passed = 0;
int failed = 0;
int skipped = 0;
std::string skip_reason;  // empty: the running test was not skipped
leaks before;

class counting_listener : public listener_base {
 public:
  using listener_base::listener_base;

  void testCaseStarting(const Catch::TestCaseInfo&) override {
    skip_reason.clear();
    before = leaks::now();
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const std::string leaked = leaks::settled_since(before);
    const bool ok = stats.totals.assertions.failed == 0 && leaked.empty();
    if (!leaked.empty()) std::printf("LEAK in \"%s\": %s\n", stats.testInfo.name.c_str(), leaked.c_str());
    if (!skip_reason.empty()) std::printf("SKIPPED \"%s\": %s\n", stats.testInfo.name.c_str(), skip_reason.c_str());
    ++(!ok ? failed : !skip_reason.empty() ? skipped : passed);
  }
};

CATCH_REGISTER_LISTENER(counting_listener)

}  // namespace

void skip(const std::string& reason) {
  skip_reason = reason;
}

}  // namespace kit

int main(int argc, char** argv) {
  std::thread([] {}).join();  // with the first thread the thread sanitizer starts one of its own
  kit::leaks::now();          // whatever the first look opens and keeps open is no leak
  const int result = Catch::Session().run(argc, argv);
  std::printf("%d passed, %d failed, %d skipped\n", kit::passed, kit::failed, kit::skipped);
  return result != 0 || kit::failed > 0 ? 1 : 0;
}
