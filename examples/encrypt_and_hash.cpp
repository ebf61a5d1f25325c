// Example: random data through one program into the next, several such chains at once; no byte passes through here
// between the two.
#include <ringlet/ringlet.hpp>

#include <random>
#include <string>

#include <fmt/core.h>

using namespace ringlet;
using process::cmd;

std::string random_bytes(std::size_t count) {
  std::random_device source;
  std::string bytes;
  while (bytes.size() < count) bytes.push_back(static_cast<char>(source()));
  return bytes;
}

task<> encrypt_and_hash(int number) {
  auto encrypt = cmd("openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-pass", "env:PASSWORD");
  encrypt.env("PASSWORD", "a secret of no worth").input(random_bytes(100'000));
  auto hash = cmd("openssl", "dgst", "-sha256", "-r").check();
  const auto digest = co_await process::check_output(std::move(encrypt) | std::move(hash));
  fmt::print("chain {}: {}\n", number, digest.substr(0, 64));
}

task<> chains() {
  auto all = [](nursery& n) -> task<> {
    for (int i = 1; i <= 3; ++i) n.spawn(encrypt_and_hash, i);
    co_return;
  };
  co_await with_nursery(all);
}

int main() {
  try {
    run(chains);
  } catch (const std::exception& e) {
    fmt::print(stderr, "encrypt_and_hash: {}\n", e.what());
    return 1;
  }
}
