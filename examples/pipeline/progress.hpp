// pipeline/progress.hpp: where a long run stands: one line that moves on a terminal, plain lines in a file.
#pragma once
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace holon::pipeline {

/// Writes to standard error: rate and time left on one line that moves if that is a terminal, else as plain lines; at most
/// every `every` seconds (0: a tenth of a second on a terminal, 30 otherwise).
class Progress {
 public:
    Progress(std::string title, std::size_t total, double every = 0)
        : title_(std::move(title)),
          total_(total),
          terminal_(isatty(STDERR_FILENO) == 1),
          every_(every > 0 ? every : terminal_ ? 0.1 : 30.0) {}
    ~Progress() {
        if (terminal_ && drawn_) std::fputs("\r\033[K", stderr);
    }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// `done` of the total are finished; `note` is shown behind rate and time left.
    void update(std::size_t done, const std::string& note = {}) {
        const Clock::time_point now = Clock::now();
        const double since = std::chrono::duration<double>(now - last_).count();
        if (since < every_) return;
        last_ = now;
        const double elapsed = std::chrono::duration<double>(now - start_).count();
        const double rate = elapsed > 0 ? double(done) / elapsed : 0;
        const long left = rate > 0 ? long(double(total_ - done) / rate) : 0;
        std::fprintf(stderr, "%s%s %zu/%zu  %.1f/s  %ld:%02ld left  %s%s", terminal_ ? "\r\033[K" : "", title_.c_str(), done,
                     total_, rate, left / 60, left % 60, note.c_str(), terminal_ ? "" : "\n");
        std::fflush(stderr);
        drawn_ = true;
    }
    double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
    using Clock = std::chrono::steady_clock;
    std::string title_;
    std::size_t total_;
    bool terminal_, drawn_ = false;
    double every_;
    Clock::time_point start_ = Clock::now(), last_ = start_;
};

}  // namespace holon::pipeline
