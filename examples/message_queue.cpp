// Example: two processes and a queue of messages each way. The program starts itself again, passes on one end of a
// socket pair, sends sentences through it and gets them back word by word from the end to the beginning.
#include <ringlet/ringlet.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include <fmt/core.h>

using namespace ringlet;
using process::cmd;

constexpr std::uint32_t longest_message = 1 << 20;

/// A message is its length, in this machine's order of bytes, and its text.
task<> send(unix_stream& to, std::string_view text) {
  const auto length = static_cast<std::uint32_t>(text.size());
  std::string message(sizeof length, '\0');
  std::memcpy(message.data(), &length, sizeof length);
  message += text;
  co_await to.write_all(message);
}

/// The length of the next message; nothing where the stream ends instead.
task<std::optional<std::uint32_t>> receive_length(unix_stream& from) {
  std::uint32_t length = 0;
  std::size_t got = 0;
  try {
    co_await from.read_exactly(std::as_writable_bytes(std::span(&length, 1)), got);
  } catch (const end_of_stream&) {
    if (got > 0) throw;
    co_return std::nullopt;
  }
  if (length > longest_message) throw std::runtime_error("a message is too long");
  co_return length;
}

task<std::optional<std::string>> receive(unix_stream& from) {
  const auto length = co_await receive_length(from);
  if (!length) co_return std::nullopt;
  std::string text(*length, '\0');
  co_await from.read_exactly(std::as_writable_bytes(std::span(text)));
  co_return text;
}

std::string backwards(const std::string& sentence) {
  std::string turned;
  for (std::size_t end = sentence.size(); end != std::string::npos && end > 0;) {
    const std::size_t space = sentence.rfind(' ', end - 1);
    const std::size_t start = space == std::string::npos ? 0 : space + 1;
    turned += (turned.empty() ? "" : " ") + sentence.substr(start, end - start);
    end = space;
  }
  return turned;
}

task<> work(int fd) {
  unix_stream queue{unique_fd(fd)};
  while (auto sentence = co_await receive(queue)) co_await send(queue, backwards(*sentence));
}

task<> ask(unix_stream& queue) {
  const std::array sentences{"wall the behind is door the", "messages take turns", ""};
  for (const char* sentence : sentences) co_await send(queue, sentence);
  co_await queue.shutdown_send();  // the worker reads this as the end of the queue
}

task<> print_answers(unix_stream& queue) {
  while (auto answer = co_await receive(queue)) fmt::print("the worker says: \"{}\"\n", *answer);
}

task<> talk_to_worker() {
  auto [ours, theirs] = unix_stream::pair();
  auto worker = cmd("/proc/self/exe", "worker", std::to_string(theirs.fd())).pass_fd(theirs.fd());
  auto child = co_await process::spawn(std::move(worker));
  co_await theirs.close();  // or the end of the worker would not be the end of the stream
  co_await when_all(ask(ours), print_answers(ours));
  const auto ended = co_await child.wait();
  fmt::print("the worker has ended: {}\n", ended.to_string());
}

int main(int argc, char** argv) {
  const bool is_worker = argc == 3 && std::string_view(argv[1]) == "worker";
  try {
    if (is_worker) {
      run(work, std::stoi(argv[2]));
    } else {
      run(talk_to_worker);
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "message_queue: {}\n", e.what());
    return 1;
  }
}
