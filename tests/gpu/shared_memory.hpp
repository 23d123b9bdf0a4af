// gpu/shared_memory.hpp: the memory that a block's threads share, watching them: an element that one thread writes and
// another touches without a barrier in between is an error in whichever order the threads ran, and so is an element
// read before anything was written to it, or one that is not there.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace host_cuda {

/// Who runs, and what was seen going wrong first. Nothing can be thrown out of a fibre: the scheduler throws.
struct Watch {
    std::size_t thread = 0;
    std::uint64_t epoch = 1;  // one more after every barrier and every block
    std::string complaint;

    void complain(const char* array, std::int64_t at, const std::string& what) {
        if (complaint.empty())
            complaint = "shared memory: " + std::string(array) + "[" + std::to_string(at) + "] " + what;
    }
};
inline Watch& watch() {
    static Watch only;
    return only;
}

template <class T> class SharedArray {
 public:
    SharedArray(const char* name, std::size_t count) : name_(name), cells_(count) {}

    /// An element: what is read from it and written to it goes through here.
    class Element {
     public:
        Element(SharedArray& array, std::int64_t at) : array_(array), at_(at) {}
        Element(const Element&) = default;
        operator T() const { return array_.read(at_); }
        Element& operator=(T value) {
            array_.write(at_, value);
            return *this;
        }
        Element& operator=(const Element& other) { return *this = T(other); }
        Element& operator+=(T value) { return *this = T(*this) + value; }

     private:
        SharedArray& array_;
        std::int64_t at_;
    };

    T read(std::int64_t at) {
        Watch& w = watch();
        if (!holds(at)) return T();
        Cell& c = cells_[std::size_t(at)];
        if (c.written == 0) w.complain(name_, at, "is read before it is written");
        if (c.written == w.epoch && c.writer != w.thread)
            w.complain(name_, at,
                       "is read by thread " + std::to_string(w.thread) + " and written by thread " +
                           std::to_string(c.writer) + " with no barrier in between");
        c.shared = c.read == w.epoch && (c.shared || c.reader != w.thread);
        c.read = w.epoch;
        c.reader = w.thread;
        return c.value;
    }
    void write(std::int64_t at, T value) {
        Watch& w = watch();
        if (!holds(at)) return;
        Cell& c = cells_[std::size_t(at)];
        const bool other_wrote = c.written == w.epoch && c.writer != w.thread,
                   other_read = c.read == w.epoch && (c.shared || c.reader != w.thread);
        if (other_wrote || other_read)
            w.complain(name_, at,
                       "is written by thread " + std::to_string(w.thread) + " and " +
                           (other_wrote ? "by thread " + std::to_string(c.writer) : "read by another") +
                           " with no barrier in between");
        c.written = w.epoch;
        c.writer = w.thread;
        c.value = value;
    }

 private:
    struct Cell {
        T value;
        std::uint64_t written = 0, read = 0;  // epochs; 0: never
        std::size_t writer = 0, reader = 0;   // the last of each
        bool shared = false;                  // more than one thread read in that epoch
    };
    bool holds(std::int64_t at) {
        if (at >= 0 && at < std::int64_t(cells_.size())) return true;
        watch().complain(name_, at, "is not there: it has " + std::to_string(cells_.size()) + " elements");
        return false;
    }
    const char* name_;
    std::vector<Cell> cells_;
};

/// What a kernel's name for shared memory stands for; copied like the pointer that it is on a card.
template <class T> struct SharedPointer {
    SharedArray<T>* array;
    typename SharedArray<T>::Element operator[](std::int64_t at) const { return {*array, at}; }
};

/// The shared arrays of the block that runs, by the place in the program that asks for them.
struct SharedArrays {
    std::map<const void*, std::shared_ptr<void>> by_place;

    template <class T> SharedPointer<T> get(const void* place, const char* name, std::size_t count) {
        auto& held = by_place[place];
        if (!held) held = std::make_shared<SharedArray<T>>(name, count);
        return {static_cast<SharedArray<T>*>(held.get())};
    }
};

}  // namespace host_cuda
