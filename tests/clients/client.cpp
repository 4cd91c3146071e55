// SPDX-License-Identifier: MPL-2.0
//
// client.c again, for cppzmq: the same words, the same checks.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>
#include <zmq_addon.hpp>

static constexpr int timeout_ms = 120000;

static const std::map<std::string, zmq::socket_type> types = {
    { "push", zmq::socket_type::push }, { "pull", zmq::socket_type::pull },     { "pub", zmq::socket_type::pub },
    { "sub", zmq::socket_type::sub },   { "req", zmq::socket_type::req },       { "rep", zmq::socket_type::rep },
    { "pair", zmq::socket_type::pair }, { "dealer", zmq::socket_type::dealer }, { "mirror", zmq::socket_type::pair },
};

[[noreturn]] static void
fail(const std::string &what)
{
    std::cerr << "client: " << what << '\n';
    std::exit(1);
}

static long
number_of(const char *variable)
{
    const char *text = std::getenv(variable);
    return text ? std::atol(text) : 0;
}

static void
pause_ms(long ms)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

static void
send(zmq::socket_t &socket, long number, const std::vector<std::string> &envelope)
{
    zmq::multipart_t message;
    for (const std::string &frame : envelope)
        message.addstr(frame);
    message.addstr("");
    message.addstr(std::to_string(number));
    message.addstr("");
    if (!message.send(socket))
        fail("not sent");
}

static long
receive(zmq::socket_t &socket, const std::vector<std::string> &envelope)
{
    zmq::multipart_t message(socket);
    std::vector<std::string> frames;
    while (!message.empty())
        frames.push_back(message.popstr());
    if (frames.size() != envelope.size() + 3)
        fail("a message of another shape came");
    long number = std::stol(frames[envelope.size() + 1]);
    frames[envelope.size() + 1].clear();
    for (const std::string &frame : frames)
        if (!frame.empty())
            fail("a frame that is not empty");
    return number;
}

static void
expect(long got, long wanted)
{
    if (got != wanted)
        fail(std::to_string(got) + " came, and not " + std::to_string(wanted));
}

static void
run(zmq::socket_t &socket, const std::string &kind, long count)
{
    std::vector<std::string> envelope(kind == "dealer" ? 1 : 0);
    long first = kind == "sub" ? receive(socket, {}) : 0;
    for (long i = 0; i < count || kind == "pub"; i++) {
        if (kind == "push") {
            send(socket, i, {});
        } else if (kind == "pub") {
            send(socket, i % count, {});
            pause_ms(1);
        } else if (kind == "pull") {
            expect(receive(socket, {}), i);
        } else if (kind == "sub") {
            expect(receive(socket, {}), (first + 1 + i) % count);
        } else if (kind == "rep" || kind == "mirror") {
            send(socket, 2 * receive(socket, {}), {});
        } else {
            send(socket, i, envelope);
            expect(receive(socket, envelope), 2 * i);
            pause_ms(number_of("CLIENT_PAUSE"));
        }
    }
}

template <typename Option>
static void
set_text(zmq::socket_t &socket, const char *variable, Option option)
{
    if (const char *text = std::getenv(variable))
        socket.set(option, std::string(text));
}

int
main(int argc, char **argv)
{
    if (argc != 4 || !types.count(argv[1]))
        fail("usage: client KIND ENDPOINT COUNT");
    std::string kind = argv[1];
    zmq::context_t context;
    zmq::socket_t socket(context, types.at(kind));
    socket.set(zmq::sockopt::rcvtimeo, timeout_ms);
    socket.set(zmq::sockopt::sndtimeo, timeout_ms);
    socket.set(zmq::sockopt::linger, timeout_ms);
    socket.set(zmq::sockopt::heartbeat_ivl, static_cast<int>(number_of("CLIENT_HEARTBEAT")));
    socket.set(zmq::sockopt::heartbeat_timeout, timeout_ms);
    set_text(socket, "CLIENT_USER", zmq::sockopt::plain_username);
    set_text(socket, "CLIENT_PASSWORD", zmq::sockopt::plain_password);
    set_text(socket, "CLIENT_SERVER_KEY", zmq::sockopt::curve_serverkey);
    set_text(socket, "CLIENT_PUBLIC_KEY", zmq::sockopt::curve_publickey);
    set_text(socket, "CLIENT_SECRET_KEY", zmq::sockopt::curve_secretkey);
    set_text(socket, "CLIENT_ID", zmq::sockopt::routing_id);
    if (kind == "sub")
        socket.set(zmq::sockopt::subscribe, "");
    socket.connect(argv[2]);
    run(socket, kind, std::atol(argv[3]));
    return 0;
}
