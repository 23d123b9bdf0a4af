// pipeline/csv.cpp: what spreadsheets write, and what they must not.
#include "pipeline/csv.hpp"

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;
using Cells = std::vector<std::string>;

namespace {

std::vector<Cells> cells(const std::string& text) {
    std::vector<Cells> out;
    for (const CsvRow& row : parse_csv(text, "t.csv")) out.push_back(row.cells);
    return out;
}

}  // namespace

TEST_CASE("CSV cells, quoted and not", "[pipeline]") {
    CHECK(cells("a,b\n1,2\n") == std::vector<Cells>{{"a", "b"}, {"1", "2"}});
    CHECK(cells("a,b\r\n1,2") == std::vector<Cells>{{"a", "b"}, {"1", "2"}});
    CHECK(cells("a\rb\r") == std::vector<Cells>{{"a"}, {"b"}});
    CHECK(cells("\xEF\xBB\xBF"
                "a\n") == std::vector<Cells>{{"a"}});
    CHECK(cells("\"a,b\",\"c\"\"d\",\"\"\n") == std::vector<Cells>{{"a,b", "c\"d", ""}});
    CHECK(cells("\"two\nlines\r\n\",x\ny,z") == std::vector<Cells>{{"two\nlines\r\n", "x"}, {"y", "z"}});
    CHECK(cells("a,\n,b\n,\n") == std::vector<Cells>{{"a", ""}, {"", "b"}, {"", ""}});
    CHECK(cells("\n\na\n\r\n\nb\n") == std::vector<Cells>{{"a"}, {"b"}});
    CHECK(cells(" a , b ") == std::vector<Cells>{{" a ", " b "}});
    CHECK(cells("").empty());
}

TEST_CASE("CSV rows know the line they begin on", "[pipeline]") {
    const auto rows = parse_csv("h\n\"a\nb\"\nc\r\n\r\nd\re", "t.csv");
    std::vector<std::size_t> lines;
    for (const CsvRow& row : rows) lines.push_back(row.line);
    CHECK(lines == std::vector<std::size_t>{1, 2, 4, 6, 7});
}

TEST_CASE("CSV text that is refused", "[pipeline]") {
    for (const auto& [text, words] :
         std::vector<std::pair<std::string, Cells>>{{"a\nb,\"c\n\n", {"t.csv line 2", "cell 2", "never closed"}},
                                                    {"a\n\nb\"c\n", {"t.csv line 3", "cell 1", "quote inside"}},
                                                    {"a\n\"b\"c\n", {"t.csv line 2", "after the closing quote"}},
                                                    {std::string("a\nb\0c\n", 6), {"t.csv line 2", "NUL"}}}) {
        const std::string sentence = refusal([&, t = text] { parse_csv(t, "t.csv"); });
        INFO(sentence);
        for (const std::string& word : words) CHECK(sentence.find(word) != sentence.npos);
    }
}

TEST_CASE("a CSV cell that is written is read back", "[pipeline]") {
    for (const std::string value : {"plain", "", "a,b", "\"", "a\"\"b", "two\nlines", "\r\n", " space "})
        CHECK(cells(csv_cell(value) + ",x\n") == std::vector<Cells>{{value, "x"}});
}

TEST_CASE("columns of a CSV table by name", "[pipeline]") {
    const scratch::Directory folder;
    const std::string path = folder / "t.csv";
    scratch::put(path, "b, a \n1,2\n3,4\n");
    const CsvTable table(path);
    REQUIRE(table.rows() == 2);
    CHECK(table.cell(1, table.column("a")) == "4");
    CHECK(table.place(1) == path + " line 3");
    CHECK(refusal([&] { table.column("c"); }).find("no column 'c'; there are: b, a") != std::string::npos);

    const auto sentence = [&](const std::string& text) {
        scratch::put(path, text);
        return refusal([&] {
            CsvTable t(path);
            (void)t.column("x");
        });
    };
    CHECK(sentence("a,b\n1\n").find("line 2: 1 cells, the header has 2") != std::string::npos);
    CHECK(sentence("a,b\n1,2\n1,2,3\n").find("line 3: 3 cells") != std::string::npos);
    CHECK(sentence("a,a\n").find("two columns are named 'a'") != std::string::npos);
    CHECK(sentence("\n\n").find("without a header") != std::string::npos);
    CHECK(sentence("a;x\n1;2\n").find("not semicolons") != std::string::npos);
    CHECK(refusal([&] { CsvTable t(folder / "absent.csv"); }).find("No such file") != std::string::npos);
}
