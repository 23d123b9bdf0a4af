// pipeline/phantom.cpp: how a phantom is drawn.
#include "pipeline/phantom.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>

#include <holon/core/error.hpp>
#include <holon/core/random.hpp>

#include "pipeline/manifest.hpp"
#include "pipeline/png_out.hpp"

namespace holon::pipeline {

namespace {

constexpr double pi = 3.14159265358979323846;

/// A plane of doubles in the image's frame.
struct Plane {
    int rows, columns;
    std::vector<double> values;
    Plane(int r, int c) : rows(r), columns(c), values(std::size_t(r) * std::size_t(c)) {}
    double& at(int y, int x) { return values[std::size_t(y) * std::size_t(columns) + std::size_t(x)]; }
    double at(int y, int x) const { return values[std::size_t(y) * std::size_t(columns) + std::size_t(x)]; }
};

double smooth(double t) { return t * t * (3 - 2 * t); }

/// Octaves of interpolated lattice noise; each halving of the wavelength halves the variance, which is a power spectrum of
/// 1/f^3 in two dimensions. Variance about 1.
Plane power_law_noise(int rows, int columns, double longest, Random& random) {
    Plane out(rows, columns);
    double amplitude = 1, variance = 0;
    for (double wavelength = longest; wavelength >= 2; wavelength /= 2, amplitude *= std::sqrt(0.5)) {
        const double shift_y = random.uniform(), shift_x = random.uniform();
        const int h = int(rows / wavelength) + 3, w = int(columns / wavelength) + 3;
        std::vector<double> lattice(std::size_t(h) * std::size_t(w));
        for (double& v : lattice) v = random.normal();
        const auto node = [&](int y, int x) { return lattice[std::size_t(y) * std::size_t(w) + std::size_t(x)]; };
        for (int y = 0; y < rows; ++y)
            for (int x = 0; x < columns; ++x) {
                const double v = y / wavelength + shift_y, u = x / wavelength + shift_x;
                const int i = int(v), j = int(u);
                const double a = smooth(v - i), b = smooth(u - j);
                out.at(y, x) += amplitude * ((1 - a) * ((1 - b) * node(i, j) + b * node(i, j + 1)) +
                                             a * ((1 - b) * node(i + 1, j) + b * node(i + 1, j + 1)));
            }
        variance += amplitude * amplitude * 0.5;
    }
    for (double& v : out.values) v /= std::sqrt(variance);
    return out;
}

/// The breast against the chest wall at column 0: distance inside the skin, in pixels, negative outside.
struct Outline {
    double middle, height, depth, tilt;
    double inside(double y, double x) const {
        const double v = (y - middle - tilt * x) / height, u = x / depth;
        return (1 - std::sqrt(v * v + u * u)) * std::min(height, depth);
    }
};

/// Adds a disc with a soft edge of about a pixel.
void add_disc(Plane& plane, double y, double x, double radius, double height) {
    const int reach = int(radius + 3);
    for (int i = std::max(0, int(y) - reach); i <= std::min(plane.rows - 1, int(y) + reach); ++i)
        for (int j = std::max(0, int(x) - reach); j <= std::min(plane.columns - 1, int(x) + reach); ++j)
            plane.at(i, j) += height / (1 + std::exp(3 * (std::hypot(i - y, j - x) - radius)));
}

/// Raises a line of soft discs to at least `height`, thinning towards its end.
void raise_line(Plane& plane, double y, double x, double angle, double length, double width, double height, double bend) {
    for (double s = 0; s < length; s += 0.5) {
        const double w = width * (1 - 0.7 * s / length);
        const int reach = int(w + 2);
        for (int i = std::max(0, int(y) - reach); i <= std::min(plane.rows - 1, int(y) + reach); ++i)
            for (int j = std::max(0, int(x) - reach); j <= std::min(plane.columns - 1, int(x) + reach); ++j)
                plane.at(i, j) = std::max(plane.at(i, j), height / (1 + std::exp(3 * (std::hypot(i - y, j - x) - w))));
        angle += bend;
        y += 0.5 * std::sin(angle);
        x += 0.5 * std::cos(angle);
    }
}

/// A mass of mean radius `radius` in a plane of its own, 1 inside. Smooth: an oval with two slow waves. Jagged: faster
/// waves of the same mean and spicules around.
void draw_mass(Plane& plane, double y, double x, double radius, bool malignant, Random& random) {
    const double squeeze = random.uniform(0.8, 1.0), turn = random.uniform(0, pi);
    double phase[12], size[12] = {};
    for (double& p : phase) p = random.uniform(0, 2 * pi);
    if (malignant)
        for (int k = 4; k < 11; ++k) size[k] = random.uniform(0.03, 0.09);
    else
        for (int k = 2; k < 4; ++k) size[k] = random.uniform(0.0, 0.05);
    const int reach = int(radius * 1.8 + 3);
    for (int i = std::max(0, int(y) - reach); i <= std::min(plane.rows - 1, int(y) + reach); ++i)
        for (int j = std::max(0, int(x) - reach); j <= std::min(plane.columns - 1, int(x) + reach); ++j) {
            const double v = i - y, u = j - x;
            const double a = (u * std::cos(turn) + v * std::sin(turn)), b = (v * std::cos(turn) - u * std::sin(turn)) / squeeze;
            const double angle = std::atan2(b, a);
            double edge = radius;
            for (int k = 2; k < 12; ++k) edge += radius * size[k] * std::cos(k * angle + phase[k]);
            plane.at(i, j) = std::max(plane.at(i, j), 1 / (1 + std::exp(1.2 * (std::hypot(a, b) - edge))));
        }
    if (!malignant) return;
    const int spicules = 9 + int(random.below(7));
    const double first = random.uniform(0, 2 * pi);
    for (int k = 0; k < spicules; ++k) {
        const double angle = first + 2 * pi * k / spicules + random.uniform(-0.2, 0.2);
        raise_line(plane, y + 0.8 * radius * std::sin(angle), x + 0.8 * radius * std::cos(angle), angle,
                   radius * random.uniform(0.5, 1.1), random.uniform(1.0, 1.7), 0.8, random.uniform(-0.02, 0.02));
    }
}

/// Specks inside a circle, 1 at their middle. The two kinds spread about the same amount of brightness.
void draw_calcifications(Plane& plane, double y, double x, double radius, bool malignant, Random& random) {
    const int count = malignant ? 14 + int(random.below(9)) : 4 + int(random.below(3));
    for (int k = 0; k < count; ++k) {
        const double angle = random.uniform(0, 2 * pi);
        const double away = radius * (malignant ? 0.6 : 0.85) * std::sqrt(random.uniform());
        const double v = y + away * std::sin(angle), u = x + away * std::cos(angle);
        if (malignant) {
            const double length = random.uniform(0.5, 2.5), turn = random.uniform(0, 2 * pi), height = random.uniform(0.6, 1.2);
            for (double s = 0; s <= length; s += 0.5)
                add_disc(plane, v + s * std::sin(turn), u + s * std::cos(turn), random.uniform(0.3, 0.7), height * 0.5);
        } else {
            add_disc(plane, v, u, random.uniform(1.5, 2.4), random.uniform(0.7, 1.0));
        }
    }
}

struct Place {
    double y, x;
};

/// A place with room for `radius` inside the breast and away from the places taken.
Place find_place(const Outline& outline, int rows, int columns, double radius, const std::vector<Place>& taken, Random& random) {
    Place best{outline.middle, outline.depth * 0.4};
    double widest = -1e9;
    for (int tries = 0; tries < 200; ++tries) {
        const Place p{random.uniform(radius, rows - radius), random.uniform(radius, columns - radius)};
        double room = outline.inside(p.y, p.x) - radius * 1.3;
        for (const Place& other : taken) room = std::min(room, std::hypot(p.y - other.y, p.x - other.x) - 3 * radius);
        if (room > 0) return p;
        if (room > widest) widest = room, best = p;
    }
    return best;
}

}  // namespace

PhantomView draw_phantom(const PhantomOptions& o, std::uint64_t number, int view, bool malignant) {
    Random patient(o.seed, 2 * number * 4096 + 1), random(o.seed, (2 * number + 1) * 4096 + std::uint64_t(view));
    const double scale = std::min(o.rows / 256.0, o.columns / 192.0);
    const double density = patient.uniform(0.25, 0.65), brightness = patient.uniform(0.85, 1.15);
    const bool left = view % 2 == 0 ? patient.uniform() < 0.5 : (patient.uniform(), number % 2 == 0);
    const Outline outline{o.rows * random.uniform(0.46, 0.54), o.rows * random.uniform(0.40, 0.47),
                          o.columns * random.uniform(0.72, 0.92), view == 1 ? random.uniform(0.05, 0.15) : 0.0};

    // Tissue: coarse noise decides where glands are, fine noise their texture; fat towards the skin.
    const Plane coarse = power_law_noise(o.rows, o.columns, 96 * scale, random);
    const Plane fine = power_law_noise(o.rows, o.columns, 24 * scale, random);
    Plane grey(o.rows, o.columns);
    for (int y = 0; y < o.rows; ++y)
        for (int x = 0; x < o.columns; ++x) {
            const double depth = outline.inside(y, x);
            const double skin = 1 / (1 + std::exp(-depth / (2.5 * scale)));
            const double gland = 1 / (1 + std::exp(-(depth / (14 * scale) - 1.5)));
            const double tissue = 0.22 + gland * (0.16 + density * 0.28 + 0.075 * coarse.at(y, x) + 0.03 * fine.at(y, x));
            grey.at(y, x) = brightness * skin * std::max(0.05, tissue);
        }
    if (view == 1) {  // the pectoral muscle in the upper corner at the chest wall
        const double wide = o.columns * random.uniform(0.22, 0.36), high = o.rows * random.uniform(0.35, 0.55);
        for (int y = 0; y < o.rows; ++y)
            for (int x = 0; x < o.columns; ++x)
                grey.at(y, x) += 0.16 / (1 + std::exp((x / wide + y / high - 1) * 25));
    }
    Plane lines(o.rows, o.columns);
    for (int k = 0, vessels = 3 + int(random.below(4)); k < vessels; ++k)
        raise_line(lines, o.rows * random.uniform(0.25, 0.75), o.columns * random.uniform(0.02, 0.25), random.uniform(-0.9, 0.9),
                   o.columns * random.uniform(0.4, 0.7), scale * random.uniform(0.8, 1.6), random.uniform(0.05, 0.11),
                   random.uniform(-0.012, 0.012));

    PhantomView out;
    std::vector<Place> taken;
    const auto add_dense_spot = [&] {  // without an outline: glands that happen to lie together
        const double radius = scale * random.uniform(9, 20);
        const Place p = find_place(outline, o.rows, o.columns, radius, taken, random);
        taken.push_back(p);
        const double height = random.uniform(0.06, 0.14);
        for (int y = 0; y < o.rows; ++y)
            for (int x = 0; x < o.columns; ++x) {
                const double d = std::hypot(y - p.y, x - p.x) / radius;
                lines.at(y, x) = std::max(lines.at(y, x), height * std::exp(-d * d) * (1 + 0.25 * fine.at(y, x)));
            }
    };
    const auto add_lesion = [&](bool bad, bool mass) {
        const double radius = scale * random.uniform(10, 17);
        const Place p = find_place(outline, o.rows, o.columns, radius * (mass && bad ? 1.2 : 1.0), taken, random);
        taken.push_back(p);
        Plane shape(o.rows, o.columns);
        double height;
        if (mass) {
            draw_mass(shape, p.y, p.x, radius, bad, random);
            height = random.uniform(0.10, 0.19);
        } else {
            draw_calcifications(shape, p.y, p.x, radius, bad, random);
            height = random.uniform(0.20, 0.32);
        }
        PhantomView::Drawn drawn{mass ? (bad ? Finding::malignant_mass : Finding::benign_mass)
                                      : (bad ? Finding::malignant_calcification : Finding::benign_calcification),
                                 {o.columns, o.rows, 0, 0}, Image(o.rows, o.columns)};
        for (int y = 0; y < o.rows; ++y)
            for (int x = 0; x < o.columns; ++x) {
                grey.at(y, x) += height * std::min(shape.at(y, x), 1.3);
                // Calcifications are marked as a reader would: the area that they lie in.
                const bool inside = mass ? shape.at(y, x) > 0.4 : std::hypot(y - p.y, x - p.x) < radius;
                if (!inside) continue;
                drawn.mask.at(y, x) = 65535;
                drawn.box = {std::min(drawn.box.x0, x), std::min(drawn.box.y0, y), std::max(drawn.box.x1, x + 1),
                             std::max(drawn.box.y1, y + 1)};
            }
        out.lesions.push_back(std::move(drawn));
    };
    // What a patient has is the same in both views, and as much of it with and without malignancy.
    const int findings = 1 + int(patient.below(2));
    for (int k = 0; k < findings; ++k) {
        const bool mass = patient.uniform() < 0.6, none = patient.uniform() < 0.25;
        if (k == 0 && malignant)
            add_lesion(true, mass);
        else if (!none)
            add_lesion(false, mass);
        else
            add_dense_spot();
    }
    for (int k = 0, spots = 1 + int(random.below(3)); k < spots; ++k) add_dense_spot();

    out.image = Image(o.rows, o.columns);
    for (int y = 0; y < o.rows; ++y)
        for (int x = 0; x < o.columns; ++x) {
            const double inside = 1 / (1 + std::exp(-outline.inside(y, x) / (2.5 * scale)));
            double v = grey.at(y, x) + lines.at(y, x) * inside + 0.012 * random.normal() * (0.3 + inside);
            v = 1.15 * v / (1 + 0.35 * v);  // film saturates
            out.image.at(y, x) = std::uint16_t(std::lround(std::clamp(v, 0.0, 1.0) * 65535));
        }
    if (!left) {  // the right breast is the left one in a mirror
        const auto mirror = [&](Image& image) {
            for (int y = 0; y < image.rows; ++y)
                std::reverse(image.pixels.begin() + std::ptrdiff_t(y) * image.columns,
                             image.pixels.begin() + std::ptrdiff_t(y + 1) * image.columns);
        };
        mirror(out.image);
        for (auto& lesion : out.lesions) {
            mirror(lesion.mask);
            lesion.box = {o.columns - lesion.box.x1, lesion.box.y0, o.columns - lesion.box.x0, lesion.box.y1};
        }
    }
    return out;
}

Dataset write_phantoms(const std::string& folder, const PhantomOptions& o) {
    expects<DataError>(o.train >= 2 && o.validation >= 2 && o.test >= 2, "phantoms: ", o.train, ", ", o.validation, " and ",
                       o.test, " patients; each split needs at least 2");
    expects<DataError>(o.rows >= 128 && o.columns >= 96 && o.rows <= 8192 && o.columns <= 8192, "phantoms: size ", o.rows, 'x',
                       o.columns, " is not between 128x96 and 8192x8192");
    std::error_code error;
    for (const char* sub : {"/images", "/masks"}) {
        std::filesystem::create_directories(folder + sub, error);
        std::error_code unseen;
        expects<DataError>(std::filesystem::is_directory(folder + sub, unseen), folder, sub, ": cannot be made (", error.message(),
                           "); choose another --out");
    }
    struct Job {
        std::uint64_t number;
        int view;
        Split split;
    };
    std::vector<Job> jobs;
    std::uint64_t number = 0;
    for (const auto& [split, count] : {std::pair{Split::train, o.train}, {Split::validation, o.validation}, {Split::test, o.test}})
        for (int k = 0; k < count; ++k, ++number)
            for (int view = 0; view < 2; ++view) jobs.push_back({number, view, split});
    Dataset data;
    data.source = "phantom:" + folder;
    data.records.resize(jobs.size());
    std::exception_ptr failed;
#pragma omp parallel for schedule(dynamic)
    for (std::size_t j = 0; j < jobs.size(); ++j) {
        try {
            const Job& job = jobs[j];
            const bool malignant = job.number % 2 == 1;
            const PhantomView drawn = draw_phantom(o, job.number, job.view, malignant);
            const std::string name = text('P', job.number, job.view ? "_MLO" : "_CC");
            Record record;
            record.image = folder + "/images/" + name + ".png";
            record.patient = text('P', job.number);
            record.label = malignant;
            record.split = job.split;
            write_png16(record.image, drawn.image);
            for (std::size_t k = 0; k < drawn.lesions.size(); ++k) {
                const auto& lesion = drawn.lesions[k];
                const std::string mask = folder + "/masks/" + name + "_" + std::to_string(k) + ".png";
                write_png8(mask, lesion.mask);
                record.lesions.push_back({lesion.finding, lesion.box, mask});
            }
            data.records[j] = std::move(record);
        } catch (...) {
#pragma omp critical
            failed = std::current_exception();
        }
    }
    if (failed) std::rethrow_exception(failed);
    write_manifest(folder + "/manifest.csv", data);
    return data;
}

}  // namespace holon::pipeline
