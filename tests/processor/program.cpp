// A program that is linked as the others are, and needs no data.
#include <cstdio>

int main() { std::puts("it runs"); }
