// checkpoint/network.hpp: a network, its optimizer and its generators in one safetensors file, and back again to the
// bit.
#pragma once
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <holon/checkpoint/safetensors.hpp>
#include <holon/layer/freeze.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/sgd.hpp>

namespace holon {

using Metadata = std::map<std::string, std::string>;

namespace detail {

std::vector<std::int64_t> file_shape(Role role, const Shape& s);
#ifdef HOLON_INLINE
HOLON_INLINE std::vector<std::int64_t> file_shape(Role role, const Shape& s) {
    if (role == Role::filter) return {s.n, s.c, s.h, s.w};
    if (role == Role::matrix) return {s.n, s.c};
    return {s.c};
}
#endif

template <class A> constexpr const char* file_type() { return std::same_as<A, double> ? "F64" : "F32"; }

template <class A, Device D>
void add_tensor(SafetensorsWriter& file, const std::string& name, Role role, const Tensor<A, D>& value) {
    file.add(name, file_type<A>(), file_shape(role, value.shape()), [value](Sink& sink) {
        const std::vector<A> values = to_nchw(to_host(value));
        sink.write(std::as_bytes(std::span(values)));
    });
}

/// Elements of a file's tensor, as A, in the file's order.
template <class A>
std::vector<A> read_values(const SafetensorsFile& file, const TensorEntry& entry, std::size_t count) {
    std::vector<std::byte> bytes(entry.end - entry.begin);
    file.read(entry, bytes);
    std::vector<A> out(count);
    const auto each = [&]<class From>(From) {
        for (std::size_t i = 0; i < count; ++i) {
            From value;
            std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
            if constexpr (std::same_as<From, double> || std::same_as<From, float>)
                out[i] = A(value);
            else
                out[i] = A(float(value));
        }
    };
    if (entry.dtype == "F32")
        each(float{});
    else if (entry.dtype == "F64")
        each(double{});
    else if (entry.dtype == "BF16")
        each(bfloat16{});
    else if (entry.dtype == "F16")
        each(float16{});
    else
        throw DataError(
            text(file.path(), ": ", entry.name, " is ", entry.dtype, "; F32, F64, F16 or BF16 is needed for weights"));
    return out;
}

template <class A, Device D>
void read_tensor(const SafetensorsFile& file, const TensorEntry& entry, Role role, Tensor<A, D> into) {
    const std::vector<std::int64_t> wanted = file_shape(role, into.shape());
    expects<DataError>(entry.shape == wanted, file.path(), ": ", entry.name, " has shape ", shown(entry.shape),
                       ", the network's is ", shown(wanted),
                       "; is this file from another network, top or number of classes?");
    const std::vector<A> values = read_values<A>(file, entry, std::size_t(into.size()));
    copy_from_host(into, from_nchw(into.shape(), values.data()));
}

std::string format_random(const Random& random);
#ifdef HOLON_INLINE
HOLON_INLINE std::string format_random(const Random& random) {
    return text(random.seed(), ' ', random.stream(), ' ', random.position());
}
#endif

Random parse_random(const std::string& path, const std::string& key, const std::string& value);
#ifdef HOLON_INLINE
HOLON_INLINE Random parse_random(const std::string& path, const std::string& key, const std::string& value) {
    std::istringstream in(value);
    std::uint64_t seed = 0, stream = 0, position = 0;
    expects<DataError>(bool(in >> seed >> stream >> position), path, ": metadata ", key, " = \"", value,
                       "\" is not three whole numbers");
    Random random(seed, stream);
    random.seek(position);
    return random;
}
#endif

}  // namespace detail

namespace detail {
template <class A, Device D> void add_network(SafetensorsWriter& file, const Members<A, D>& members) {
    Visitor<A, D> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { detail::add_tensor(file, name, p.role(), p.value()); };
    visit.on_state = [&](const std::string& name, auto& state) {
        detail::add_tensor(file, name, Role::vector, state.value());
        if (name.ends_with(".running_var"))
            file.add(name.substr(0, name.size() - 11) + "num_batches_tracked", "I64", {}, [](Sink& sink) {
                const std::int64_t not_counted = 0;  // PyTorch reads it only where momentum is None
                sink.write(std::as_bytes(std::span(&not_counted, 1)));
            });
    };
    visit.on_random = [&](const std::string& name, Random& random) {
        file.metadata("holon.random." + name, detail::format_random(random));
    };
    members.tell(visit);
}
}  // namespace detail

/// Parameters and running statistics under their dotted names in PyTorch's layouts, with the `num_batches_tracked` that
/// its loader expects; generators (dropout) go into the metadata as `holon.random.<name>`.
template <class Net> void add_network(SafetensorsWriter& file, Net& net) { detail::add_network(file, Members(net)); }

/// Moments as `adam.first.<name>` and `adam.second.<name>`, the step count in the metadata.
template <class A, Device D> void add_optimizer(SafetensorsWriter& file, const Adam<A, D>& adam) {
    file.metadata("holon.adam.steps", text(adam.steps));
    for (const auto& [name, moments] : adam.moments) {
        detail::add_tensor(file, "adam.first." + name, Role::filter, moments.first);
        detail::add_tensor(file, "adam.second." + name, Role::filter, moments.second);
    }
}
/// Velocities as `sgd.velocity.<name>`.
template <class A, Device D> void add_optimizer(SafetensorsWriter& file, const Sgd<A, D>& sgd) {
    file.metadata("holon.sgd.steps", text(sgd.steps));
    for (const auto& [name, velocity] : sgd.velocities)
        detail::add_tensor(file, "sgd.velocity." + name, Role::filter, velocity);
}

struct LoadOptions {
    /// Members under these names may be absent from the file, or there in another shape; they then keep what they have.
    std::vector<std::string> fresh = {};
    /// Names of the file under these are passed over, and counted in the report.
    std::vector<std::string> skip = {};
};

struct LoadReport {
    std::size_t loaded = 0;
    std::vector<std::string> kept_fresh;  ///< members that keep their first values
    std::vector<std::string> skipped;     ///< tensors of the file that were passed over
    std::vector<std::string> notices;     ///< sentences for the run's header
};

namespace detail {
template <class A, Device D>
LoadReport load_network(const SafetensorsFile& file, const Members<A, D>& members, const LoadOptions& options) {
    const auto covered = [](const std::vector<std::string>& prefixes, std::string_view name) {
        for (const std::string& prefix : prefixes)
            if (under(name, prefix)) return true;
        return false;
    };
    std::map<std::string, const TensorEntry*> entries;
    for (const TensorEntry& entry : file.tensors()) {
        std::string name = entry.name;
        if (name.starts_with("module.")) name.erase(0, 7);
        expects<DataError>(entries.emplace(name, &entry).second, file.path(), ": ", name,
                           " is there twice, once with \"module.\" before it");
    }
    LoadReport report;
    std::set<std::string> used;
    std::vector<std::string> missing, misshaped;
    std::vector<std::function<void()>> reads;
    const auto want = [&](const std::string& name, Role role, auto tensor) {
        const auto found = entries.find(name);
        const bool fits = found != entries.end() && found->second->shape == detail::file_shape(role, tensor.shape());
        if (found != entries.end()) used.insert(name);
        if (!fits && covered(options.fresh, name)) {
            report.kept_fresh.push_back(name);
            return;
        }
        if (found == entries.end()) {
            missing.push_back(name);
            return;
        }
        const TensorEntry* entry = found->second;
        if (!fits) {
            misshaped.push_back(text(entry->name, " has shape ", detail::shown(entry->shape), ", the network's is ",
                                     detail::shown(detail::file_shape(role, tensor.shape()))));
            return;
        }
        reads.push_back([&file, entry, role, tensor] { detail::read_tensor(file, *entry, role, tensor); });
    };
    Visitor<A, D> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { want(name, p.role(), p.writable()); };
    visit.on_state = [&](const std::string& name, auto& state) { want(name, Role::vector, state.writable()); };
    members.tell(visit);

    std::vector<std::string> unknown;
    for (const auto& [name, entry] : entries) {
        if (used.count(name) || name.ends_with("num_batches_tracked") || under(name, "adam") || under(name, "sgd"))
            continue;
        if (covered(options.skip, name))
            report.skipped.push_back(name);
        else
            unknown.push_back(name);
    }
    const auto list = [](const std::vector<std::string>& names) {
        std::string out;
        for (std::size_t i = 0; i < names.size() && i < 8; ++i) out += (i ? ", " : "") + names[i];
        if (names.size() > 8) out += text(", and ", names.size() - 8, " more");
        return out;
    };
    expects<DataError>(missing.empty() && unknown.empty(), file.path(),
                       " does not fit the network:", missing.empty() ? "" : " missing " + list(missing) + ";",
                       unknown.empty() ? "" : " unknown " + list(unknown) + ";",
                       " choose the network and top that the file was made with");
    expects<DataError>(misshaped.empty(), file.path(), ": ", list(misshaped),
                       "; is this file from another network, top or number of classes?");
    file.verify();  // all of it, before the first parameter is touched
    for (const auto& read : reads) read();
    report.loaded = reads.size();
    if (!report.skipped.empty()) report.notices.push_back(text(file.path(), ": passed over ", list(report.skipped)));
    if (!report.kept_fresh.empty())
        report.notices.push_back(text(file.path(), ": first values kept for ", list(report.kept_fresh)));
    if (!file.has_checksums())
        report.notices.push_back(
            text(file.path(), " carries no checksums (another program wrote it): damage would go unseen"));

    visit = {};
    visit.on_random = [&](const std::string& name, Random& random) {
        const std::string key = "holon.random." + name;
        if (const auto found = file.metadata().find(key); found != file.metadata().end())
            random = detail::parse_random(file.path(), key, found->second);
    };
    members.tell(visit);
    return report;
}
}  // namespace detail

/// Fills every parameter and running statistic of `net` from the file, names matched exactly (a leading "module." is
/// taken off). What is missing, left over or of another shape is refused with all the names, unless `options` allows
/// it. Nothing in `net` is changed when the names do not match.
template <class Net> LoadReport load_network(const SafetensorsFile& file, Net& net, const LoadOptions& options = {}) {
    return detail::load_network(file, Members(net), options);
}

namespace detail {
std::int64_t read_steps(const SafetensorsFile& file, const std::string& key);
#ifdef HOLON_INLINE
HOLON_INLINE std::int64_t read_steps(const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata().find(key);
    expects<DataError>(found != file.metadata().end(), file.path(), ": no ", key,
                       " in the metadata; this file holds weights only and cannot be resumed from");
    std::istringstream in(found->second);
    std::int64_t steps = -1;
    expects<DataError>(bool(in >> steps) && steps >= 0, file.path(), ": ", key, " = \"", found->second,
                       "\" is not a count");
    return steps;
}
#endif
template <class A, Device D, class Net, class Place>
void load_moments(const SafetensorsFile& file, Net& net, const std::string& prefix, const Place& place) {
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
        if (const TensorEntry* entry = file.find(prefix + name)) {
            Tensor<A, D> moment = zeros<A, D>(p.shape(), p.value().context());
            read_tensor(file, *entry, Role::filter, moment);
            place(name, std::move(moment));
        }
    };
    Members(net).tell(visit);
}
}  // namespace detail

/// Moments and step count as `add_optimizer` wrote them; rates and decays are the caller's.
template <class A, Device D, class Net> void load_optimizer(const SafetensorsFile& file, Net& net, Adam<A, D>& adam) {
    adam.steps = detail::read_steps(file, "holon.adam.steps");
    adam.moments.clear();
    detail::load_moments<A, D>(file, net, "adam.first.", [&](const std::string& name, Tensor<A, D> m) {
        adam.moments[name].first = std::move(m);
    });
    detail::load_moments<A, D>(file, net, "adam.second.", [&](const std::string& name, Tensor<A, D> m) {
        adam.moments[name].second = std::move(m);
    });
    for (const auto& [name, moments] : adam.moments)
        expects<DataError>(moments.first && moments.second, file.path(), ": ", name,
                           " has only one of Adam's two moments");
}
template <class A, Device D, class Net> void load_optimizer(const SafetensorsFile& file, Net& net, Sgd<A, D>& sgd) {
    sgd.steps = detail::read_steps(file, "holon.sgd.steps");
    sgd.velocities.clear();
    detail::load_moments<A, D>(file, net, "sgd.velocity.",
                               [&](const std::string& name, Tensor<A, D> m) { sgd.velocities[name] = std::move(m); });
}

/// Weights alone.
template <class Net> void save(const std::string& path, Net& net, const Metadata& metadata = {}) {
    SafetensorsWriter file;
    add_network(file, net);
    for (const auto& [key, value] : metadata) file.metadata(key, value);
    file.write(path);
}
/// Weights, optimizer and generators: what `resume` needs.
template <class Net, class Optimizer>
void save(const std::string& path, Net& net, const Optimizer& optimizer, const Metadata& metadata) {
    SafetensorsWriter file;
    add_network(file, net);
    add_optimizer(file, optimizer);
    for (const auto& [key, value] : metadata) file.metadata(key, value);
    file.write(path);
}
template <class Net> LoadReport load(const std::string& path, Net& net, const LoadOptions& options = {}) {
    return load_network(SafetensorsFile(path), net, options);
}

}  // namespace holon
