// pipeline/interrupt.hpp: Ctrl-C and friends end a step, not a file.
#pragma once
#include <csignal>

namespace holon::pipeline {

/// After `install`, which forgets what came before, SIGINT, SIGTERM and SIGHUP only set a flag; a second one of the
/// same kind ends the process at once.
class Interrupt {
 public:
    static void install() {
        received_ = 0;
        struct sigaction action {};
        action.sa_handler = [](int signal) { received_ = signal; };
        action.sa_flags = int(SA_RESETHAND);
        sigemptyset(&action.sa_mask);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
    }
    /// The signal that came, or 0.
    static int received() { return received_; }
    /// What a shell expects of a program that a signal ended: 128 + signal (130 for Ctrl-C).
    static int exit_code() { return 128 + received_; }

 private:
    static inline volatile std::sig_atomic_t received_ = 0;
};

}  // namespace holon::pipeline
