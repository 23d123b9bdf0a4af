// A save or load whose system calls fail, whose process is killed, whose machine loses power, whose disk is full.
#include <csignal>
#include <iostream>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <holon/core/random.hpp>

#include "checkpoint/saves.hpp"

using namespace holon;
using namespace scratch;

TEST_CASE("fault F1: each system call of a save fails in six ways, and the path holds old or new",
          "[checkpoint][fault]") {
    const auto keep = GENERATE(Generations::one, Generations::two);
    const std::string old_bytes(700, 'o'), new_bytes(900, 'n'), older_bytes(300, 'z');
    int injected = 0, calls = 1;
    for (int at = 1; at <= calls; ++at) {
        for (const Fault fault : {Fault::none, Fault::die_before, Fault::die_after, Fault::short_write, Fault::io_error,
                                  Fault::no_space, Fault::interrupted}) {
            const Directory dir;
            save(dir / "net", older_bytes);
            save(dir / "net", old_bytes, Generations::two);
            put(dir / "net.tmp-1-1", "left by a dead process");
            FaultyDisk disk(fault, at);
            const std::string sentence = save_refusal(dir / "net", new_bytes, keep, disk);
            const bool died = disk.dead();
            calls = std::max(calls, disk.calls());
            disk.revive();
            INFO("call " << at << ", fault " << int(fault) << ": " << sentence);
            const std::string found = bytes_of(dir / "net"), previous = bytes_of(dir / "net.previous");
            REQUIRE((found == old_bytes || found == new_bytes));
            REQUIRE((previous == older_bytes || previous == old_bytes));
            if (sentence.empty() && !died) REQUIRE(found == new_bytes);
            if (sentence.empty() && !died) REQUIRE(previous == (keep == Generations::two ? old_bytes : older_bytes));
            if (fault == Fault::none || fault == Fault::short_write) REQUIRE(sentence.empty());
            if (fault == Fault::interrupted && disk.hit_interruptible()) REQUIRE(sentence.empty());
            if (!sentence.empty() && !died) REQUIRE((found == old_bytes) == (sentence.find("saved") == sentence.npos));
            if (!died) REQUIRE(dir.names().size() <= 3);  // at most what was left before, or what could not be removed
            save(dir / "net", old_bytes, keep);
            REQUIRE(dir.names() == Names{"net", "net.previous"});
            ++injected;
        }
    }
    CHECK(calls >= 14);
    CHECK(injected == 7 * calls);
}

TEST_CASE("fault F1: each system call of a load fails, and nothing wrong is believed", "[checkpoint][fault]") {
    const Directory dir;
    const std::string values(4000, 'v');
    SafetensorsWriter writer;
    writer.add("a", "U8", {3000}, view(values).first(3000));
    writer.add("b", "U8", {1000}, view(values).first(1000));
    writer.write(dir / "net");
    int calls = 1;
    for (int at = 1; at <= calls; ++at) {
        for (const Fault fault :
             {Fault::none, Fault::die_before, Fault::short_write, Fault::io_error, Fault::interrupted}) {
            FaultyDisk disk(fault, at);
            std::string read(4000, '?');
            const std::string sentence = refusal([&] {
                const SafetensorsFile file(dir / "net", disk);
                file.read(*file.find("a"), std::as_writable_bytes(std::span(read)).first(3000));
                file.read(*file.find("b"), std::as_writable_bytes(std::span(read)).subspan(3000));
            });
            calls = std::max(calls, disk.calls());
            INFO("call " << at << ", fault " << int(fault) << ": " << sentence);
            if (sentence.empty()) REQUIRE(read == values);
            if (fault == Fault::none || fault == Fault::short_write) REQUIRE(sentence.empty());
            if (fault == Fault::interrupted && disk.hit_interruptible()) REQUIRE(sentence.empty());
            if (!sentence.empty()) REQUIRE(says(sentence, dir / "net"));
        }
    }
    CHECK(calls >= 6);
}

TEST_CASE("fault F2: killed at any time, the path holds a whole save and nothing piles up", "[checkpoint][fault]") {
    const Directory dir;
    const auto round = [&](std::uint64_t number) {
        const std::vector<std::uint64_t> values(20000, number);
        SafetensorsWriter writer;
        writer.add("w", "U64", {20000}, std::as_bytes(std::span(values)));
        writer.write(dir / "net", Generations::two);
    };
    round(0);
    round(0);
    Random random(23);
    for (int kill = 0; kill < 60; ++kill) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            try {
                for (std::uint64_t number = 1;; ++number) round(number);
            } catch (...) {
                ::_exit(3);
            }
        }
        ::usleep(useconds_t(500 + random.below(12000)));
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        for (const char* name : {"net", "net.previous"}) {
            const SafetensorsFile file(dir / name);
            std::vector<std::uint64_t> values(20000);
            file.read(*file.find("w"), std::as_writable_bytes(std::span(values)));
            REQUIRE(std::all_of(values.begin(), values.end(), [&](auto v) { return v == values[0]; }));
        }
        REQUIRE(dir.names().size() <= 4);
    }
    round(1);
    CHECK(dir.names() == Names{"net", "net.previous"});
}

TEST_CASE("fault F3: after a loss of power at any event, with any three unsynced blocks or names lost",
          "[checkpoint][fault]") {
    const std::string path = "/no-such-directory/net", previous = path + ".previous";
    const std::string old_bytes(500, 'o'), older_bytes(300, 'z');
    std::string new_bytes(1100, '\0');
    for (std::size_t i = 0; i < new_bytes.size(); ++i) new_bytes[i] = char('a' + i / 64);
    CrashDisk disk({{path, old_bytes}, {previous, older_bytes}});
    save(path, new_bytes, Generations::two, disk);

    int states = 0, wrong = 0, kept_old = 0;
    const auto judge = [&](std::size_t crash, const std::set<std::size_t>& lost) {
        const auto found = disk.after(crash, lost);
        const bool whole = found.count(path) && (found.at(path) == old_bytes || found.at(path) == new_bytes);
        const bool before =
            found.count(previous) && (found.at(previous) == old_bytes || found.at(previous) == older_bytes);
        const bool promised = crash < disk.events() || (found.at(path) == new_bytes && found.at(previous) == old_bytes);
        ++states;
        wrong += !(whole && before && promised);
        kept_old += whole && found.at(path) == old_bytes;
    };
    for (std::size_t crash = 0; crash <= disk.events(); ++crash) {
        const auto open = disk.unsafe(crash);
        judge(crash, {});
        judge(crash, std::set<std::size_t>(open.begin(), open.end()));
        for (std::size_t i = 0; i < open.size(); ++i) {
            judge(crash, {open[i]});
            for (std::size_t j = 0; j < i; ++j) {
                judge(crash, {open[i], open[j]});
                for (std::size_t k = 0; k < j; ++k) judge(crash, {open[i], open[j], open[k]});
            }
        }
    }
    CHECK(wrong == 0);
    CHECK(states >= 5000);
    CHECK(kept_old > 0);
    CHECK(kept_old < states);
    CHECK(disk.unsafe(disk.events()).empty());
}

TEST_CASE("fault F3: the crash disk does catch a save without its fsync", "[checkpoint][fault]") {
    struct Careless : CrashDisk {
        using CrashDisk::CrashDisk;
        int fsync(int) override { return 0; }
    } disk(CrashDisk::Names{{"/no-such-directory/net", "old"}});
    save("/no-such-directory/net", std::string(200, 'n'), Generations::one, disk);
    const auto open = disk.unsafe(disk.events());
    int wrong = 0;
    for (const std::size_t lost : open) {
        const std::string found = disk.after(disk.events(), {lost}).at("/no-such-directory/net");
        wrong += found != "old" && found != std::string(200, 'n');
    }
    CHECK(wrong > 0);
}

TEST_CASE("fault F4: a full disk of any size leaves the old file, and the sentence counts bytes",
          "[checkpoint][fault]") {
    const Directory dir;
    const auto mounted = [&](int pages, unsigned long flags) {
        const std::string size = "size=" + std::to_string(pages * 4096);
        return ::mount("tmpfs", dir.path().c_str(), "tmpfs", flags, size.c_str()) == 0;
    };
    if (!mounted(4, 0)) {
        std::cout
            << "SKIPPED: fault F4 on a small tmpfs: mounting needs root (the limit on file size is tested below)\n";
        return;
    }
    struct Unmount {
        std::string path;
        ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
    } const unmount{dir.path()};
    const std::string old_bytes(3000, 'o'), new_bytes(64 * 4096, 'n');
    save(dir / "net", old_bytes);
    int refused = 0;
    for (int pages = 2; pages <= 80; ++pages) {
        REQUIRE(mounted(pages, MS_REMOUNT));
        const std::string sentence = save_refusal(dir / "net", new_bytes, Generations::two);
        if (sentence.empty()) break;
        ++refused;
        REQUIRE(says(sentence, "No space left on device"));
        REQUIRE(says(sentence,
                     "it needs 262144 bytes and " + std::to_string((pages - 1) * 4096) + " are free in " + dir.path()));
        REQUIRE(bytes_of(dir / "net") == old_bytes);
        REQUIRE(dir.names() == Names{"net"});
    }
    CHECK(refused == 63);  // with 65 pages both files fit
    CHECK(bytes_of(dir / "net") == new_bytes);
    CHECK(bytes_of(dir / "net.previous") == old_bytes);
}

TEST_CASE("fault F4: a limit on file size leaves the old file", "[checkpoint][fault]") {
    const Directory dir;
    const std::string old_bytes(3000, 'o'), new_bytes(20000, 'n');
    save(dir / "net", old_bytes);
    struct Limited {
        Limited() { ::getrlimit(RLIMIT_FSIZE, &before); }
        ~Limited() {
            ::setrlimit(RLIMIT_FSIZE, &before);
            std::signal(SIGXFSZ, handler);
        }
        rlimit before{};
        void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
    };
    for (const rlim_t bytes : {1, 4096, 6666, 19999}) {
        std::string sentence;
        {
            const Limited limited;
            rlimit smaller = limited.before;
            smaller.rlim_cur = bytes;
            ::setrlimit(RLIMIT_FSIZE, &smaller);
            sentence = save_refusal(dir / "net", new_bytes);
        }
        CHECK(says(sentence, "File too large"));
        CHECK(says(sentence, "its 20000 bytes are more than the limit"));
        CHECK(bytes_of(dir / "net") == old_bytes);
        CHECK(dir.names() == Names{"net"});
    }
    save(dir / "net", new_bytes);
    CHECK(bytes_of(dir / "net") == new_bytes);
}
