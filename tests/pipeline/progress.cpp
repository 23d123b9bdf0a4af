// pipeline/progress.hpp: one line that moves on a terminal, plain lines in a file, each with rate and time left.
#include "pipeline/progress.hpp"

#include <fcntl.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using holon::pipeline::Progress;

namespace {

/// Standard error goes to `descriptor` while it lives.
class Errors {
 public:
    explicit Errors(int descriptor) : before_(::dup(STDERR_FILENO)) { ::dup2(descriptor, STDERR_FILENO); }
    ~Errors() {
        ::dup2(before_, STDERR_FILENO);
        ::close(before_);
    }

 private:
    int before_;
};

/// Half of 40 done after a fifth of a second, and again at once, which is too soon to be shown.
void report(double every) {
    Progress progress("epoch 3", 40, every);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    progress.update(20, "loss 0.5");
    progress.update(21, "loss 0.4");
}

}  // namespace

TEST_CASE("progress in a file is plain lines with rate and time left", "[pipeline]") {
    const scratch::Directory folder;
    const int file = ::open((folder / "errors").c_str(), O_CREAT | O_WRONLY, 0600);
    REQUIRE(file >= 0);
    {
        const Errors here(file);
        report(0.15);
        report(0);  // the first half minute of a run leaves no line
    }
    ::close(file);
    const std::string said = scratch::bytes_of(folder / "errors");
    int done = 0, all = 0, minutes = -1, seconds = -1;
    double rate = 0;
    char note[32] = {};
    REQUIRE(std::sscanf(said.c_str(), "epoch 3 %d/%d %lf/s %d:%d left loss %31s", &done, &all, &rate, &minutes,
                        &seconds, note) == 6);
    CHECK(done == 20);
    CHECK(all == 40);
    CHECK(rate > 1);
    CHECK(rate <= 101);  // 20 in at least 0.2 seconds, as shown with one digit
    CHECK(minutes == 0);
    CHECK(std::abs(double(seconds) - 20 / rate) <= 1);
    CHECK(std::string(note) == "0.5");
    CHECK(std::count(said.begin(), said.end(), '\n') == 1);
    CHECK(said.find_first_of("\r\033") == said.npos);
}

TEST_CASE("progress on a terminal is one line, wiped in the end", "[pipeline]") {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) {
        WARN("SKIPPED: no pseudo-terminal can be had here");
        return;
    }
    const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
    REQUIRE(slave >= 0);
    {
        const Errors there(slave);
        report(0);
    }
    REQUIRE(::write(slave, "!", 1) == 1);  // the end: what is written to a terminal arrives in pieces, and not at once
    std::string said;
    while (!said.ends_with('!')) {
        char seen[512];
        const ssize_t bytes = ::read(master, seen, sizeof seen);
        REQUIRE(bytes > 0);
        said.append(seen, std::size_t(bytes));
    }
    said.pop_back();
    ::close(slave);
    ::close(master);
    CHECK(said.starts_with("\r\033[Kepoch 3 20/40  "));
    CHECK(said.ends_with("left  loss 0.5\r\033[K"));
    CHECK(said.find('\n') == said.npos);
}
