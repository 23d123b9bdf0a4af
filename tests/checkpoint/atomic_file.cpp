// What a save promises: whole or not at all, one writer, a reason where it is refused. Faults: save_faults.cpp.
#include <thread>

#include "checkpoint/saves.hpp"

using namespace holon;
using namespace scratch;

TEST_CASE("atomic file: nothing is seen before commit, nothing is left without it", "[checkpoint]") {
    const Directory dir;
    save(dir / "net", "old");
    {
        AtomicFile file(dir / "net", 3);
        file.write(view("new"));
        CHECK(bytes_of(dir / "net") == "old");
        CHECK(dir.names().size() == 2);
    }
    CHECK(bytes_of(dir / "net") == "old");
    CHECK(dir.names() == Names{"net"});
    save(dir / "net", "new");
    CHECK(bytes_of(dir / "net") == "new");
    CHECK(dir.names() == Names{"net"});
}

TEST_CASE("atomic file: two generations are kept when asked for", "[checkpoint]") {
    const Directory dir;
    for (const char* bytes : {"first", "second", "third"}) save(dir / "net", bytes, Generations::two);
    CHECK(bytes_of(dir / "net") == "third");
    CHECK(bytes_of(dir / "net.previous") == "second");
    save(dir / "net", "fourth");
    CHECK(bytes_of(dir / "net.previous") == "second");
    CHECK(dir.names() == Names{"net", "net.previous"});

    // A save that died between its two renames leaves one file under both names.
    REQUIRE(::unlink((dir / "net.previous").c_str()) == 0);
    REQUIRE(::link((dir / "net").c_str(), (dir / "net.previous").c_str()) == 0);
    save(dir / "net", "fifth", Generations::two);
    CHECK(bytes_of(dir / "net") == "fifth");
    CHECK(bytes_of(dir / "net.previous") == "fourth");
    CHECK(dir.names() == Names{"net", "net.previous"});
}

TEST_CASE("atomic file: where there are no hard links the old generation is copied", "[checkpoint]") {
    struct NoLinks : Disk {
        int link(const char*, const char*) override {
            errno = EPERM;
            return -1;
        }
    } disk;
    const Directory dir;
    const std::string big(3'000'000, 'b');
    save(dir / "net", big, Generations::two, disk);
    save(dir / "net", "second", Generations::two, disk);
    CHECK(bytes_of(dir / "net") == "second");
    CHECK(bytes_of(dir / "net.previous") == big);
    CHECK(dir.names() == Names{"net", "net.previous"});
}

TEST_CASE("atomic file: an old generation that changes hands or vanishes while it is linked is no failure",
          "[checkpoint]") {
    struct Racing : Disk {
        int left = 3;
        bool vanishes = false;
        int link(const char* from, const char* to) override {
            if (left-- <= 0) return Disk::link(from, to);
            if (vanishes) ::unlink(from);
            errno = ENOENT;
            return -1;
        }
    } disk;
    const Directory dir;
    put(dir / "net", "old");
    save(dir / "net", "new", Generations::two, disk);
    CHECK(disk.left < 0);
    CHECK(bytes_of(dir / "net.previous") == "old");
    disk.left = 1, disk.vanishes = true;
    save(dir / "net", "newer", Generations::two, disk);
    CHECK(bytes_of(dir / "net") == "newer");
    CHECK(bytes_of(dir / "net.previous") == "old");
    CHECK(dir.names() == Names{"net", "net.previous"});
}

TEST_CASE("atomic file: what dead processes left is removed, what others write or own is not", "[checkpoint]") {
    const Directory dir;
    const Names others = {"net.safetensors.tmp-", "net.safetensors.tmp-mine", "net.safetensors.tmp-1-2.bak",
                          "other.tmp-1-2"};
    for (const std::string& name : others) put(dir / name, "mine");
    for (const char* name :
         {"net.safetensors.tmp-1-2", "net.safetensors.tmp-1-2.previous", "net.safetensors.tmp-77-0.previous"}) {
        put(dir / name, "unfinished");
    }
    AtomicFile slow(dir / "net.safetensors", 4);
    slow.write(view("slow"));
    save(dir / "net.safetensors", "fast");
    for (const std::string& name : others) CHECK(bytes_of(dir / name) == "mine");
    CHECK(dir.names().size() == others.size() + 2);
    slow.commit();
    CHECK(bytes_of(dir / "net.safetensors") == "slow");
    CHECK(dir.names().size() == others.size() + 1);
}

TEST_CASE("atomic file: threads that save to one path leave one whole file", "[checkpoint]") {
    const Directory dir;
    std::string refused_one, refused_two;
    const auto work = [&](char letter, std::string& refused) {
        for (int i = 0; i < 200; ++i) refused += save_refusal(dir / "net", std::string(5000, letter), Generations::two);
    };
    save(dir / "net", std::string(5000, 'x'));
    std::thread one(work, 'a', std::ref(refused_one)), two(work, 'b', std::ref(refused_two));
    one.join(), two.join();
    CHECK(refused_one == "");
    CHECK(refused_two == "");
    for (const char* name : {"net", "net.previous"}) {
        const std::string bytes = bytes_of(dir / name);
        CHECK(bytes == std::string(5000, bytes[0]));
    }
    CHECK(dir.names() == Names{"net", "net.previous"});
}

TEST_CASE("atomic file: a path that cannot be written is refused with the reason", "[checkpoint]") {
    const Directory dir;
    CHECK(says(save_refusal(dir / "no/net"),
               "opening its directory " + (dir / "no") + " failed: No such file or directory"));
    CHECK(says(save_refusal(dir / "no/net"), "make the directory first"));
    put(dir / "file", "kept");
    CHECK(says(save_refusal(dir / "file/net"), "a file stands where a directory is needed"));
    CHECK(says(save_refusal(dir.path()), "it is a directory; name a file inside it"));
    CHECK(says(save_refusal(dir.path() + "/"), "names a directory"));
    CHECK(says(save_refusal(""), "names a directory"));
    CHECK(says(save_refusal(dir / std::string(300, 'x')), "File name too long"));
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    CHECK(says(save_refusal(dir / "fifo"), "neither new nor a regular file"));
    REQUIRE(::symlink("nowhere/net", (dir / "dangling").c_str()) == 0);
    CHECK(says(save_refusal(dir / "dangling"), "a symbolic link to nowhere"));
    CHECK(dir.names() == Names{"dangling", "fifo", "file"});
    CHECK(bytes_of(dir / "file") == "kept");
}

TEST_CASE("atomic file: a symbolic link stays one, its target is replaced", "[checkpoint]") {
    const Directory dir;
    REQUIRE(::mkdir((dir / "store").c_str(), 0755) == 0);
    put(dir / "store/net", "old");
    REQUIRE(::symlink("store/net", (dir / "link").c_str()) == 0);
    save(dir / "link", "new", Generations::two);
    CHECK(bytes_of(dir / "store/net") == "new");
    CHECK(bytes_of(dir / "store/net.previous") == "old");
    CHECK(dir.names() == Names{"link", "store"});
    struct stat found {};
    REQUIRE(::lstat((dir / "link").c_str(), &found) == 0);
    CHECK(S_ISLNK(found.st_mode));
}

TEST_CASE("atomic file: a directory without the right to write is named", "[checkpoint]") {
    const Directory dir;
    put(dir / "net", "old");
    REQUIRE(::chmod(dir.path().c_str(), 0555) == 0);
    const bool root = ::geteuid() == 0;  // root may write anywhere: be nobody for a moment
    if (root) REQUIRE(::seteuid(65534) == 0);
    const std::string sentence = save_refusal(dir / "net");
    if (root) REQUIRE(::seteuid(0) == 0);
    CHECK(says(sentence, "creating a file beside it failed: Permission denied"));
    CHECK(says(sentence,
               "make " + dir.path() + " writable or choose another place; the file that was there is unchanged"));
    CHECK(bytes_of(dir / "net") == "old");
}
