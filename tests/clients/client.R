# SPDX-License-Identifier: MPL-2.0
#
# client.c again, for pbdZMQ: the same words, the same checks.
suppressMessages(library(pbdZMQ))

TIMEOUT_MS <- 120000L
TYPES <- c(push = "PUSH", pull = "PULL", pub = "PUB", sub = "SUB", req = "REQ", rep = "REP", pair = "PAIR", dealer = "DEALER",
           mirror = "PAIR")
PAUSE <- as.numeric(Sys.getenv("CLIENT_PAUSE", "0")) / 1000
TEXTS <- c(CLIENT_USER = "PLAIN_USERNAME", CLIENT_PASSWORD = "PLAIN_PASSWORD", CLIENT_SERVER_KEY = "CURVE_SERVERKEY",
           CLIENT_PUBLIC_KEY = "CURVE_PUBLICKEY", CLIENT_SECRET_KEY = "CURVE_SECRETKEY", CLIENT_ID = "IDENTITY")

arguments <- commandArgs(trailingOnly = TRUE)
kind <- arguments[1]
count <- as.integer(arguments[3])
envelope <- if (kind == "dealer") list(raw(0)) else list()

fail <- function(...) {
    message("client: ", ...)
    quit(status = 1)
}

context <- zmq.ctx.new()
socket <- zmq.socket(context, ZMQ.ST()[[TYPES[[kind]]]])
option <- function(name, value) zmq.setsockopt(socket, ZMQ.SO()[[name]], value)

send <- function(number) {
    zmq.send.multipart(socket, c(envelope, list(raw(0), charToRaw(format(number, scientific = FALSE)), raw(0))), serialize = FALSE)
}

receive <- function() {
    frames <- zmq.recv.multipart(socket, unserialize = FALSE)
    at <- length(envelope) + 2
    if (length(frames) != at + 1 || any(lengths(frames[-at]) > 0))
        fail("a message of another shape came")
    as.integer(rawToChar(frames[[at]]))
}

expect <- function(got, wanted) {
    if (got != wanted)
        fail(got, " came, and not ", wanted)
}

for (name in c("RCVTIMEO", "SNDTIMEO", "LINGER", "HEARTBEAT_TIMEOUT"))
    option(name, TIMEOUT_MS)
option("HEARTBEAT_IVL", as.integer(Sys.getenv("CLIENT_HEARTBEAT", "0")))
for (variable in names(TEXTS))
    if (nzchar(Sys.getenv(variable)))
        option(TEXTS[[variable]], Sys.getenv(variable))
if (kind == "sub")
    option("SUBSCRIBE", "")
zmq.connect(socket, arguments[2])

first <- if (kind == "sub") receive() else 0L
i <- 0L
while (i < count || kind == "pub") {
    if (kind == "push") {
        send(i)
    } else if (kind == "pub") {
        send(i %% count)
        Sys.sleep(0.001)
    } else if (kind == "pull") {
        expect(receive(), i)
    } else if (kind == "sub") {
        expect(receive(), (first + 1L + i) %% count)
    } else if (kind %in% c("rep", "mirror")) {
        send(2L * receive())
    } else {
        send(i)
        expect(receive(), 2L * i)
        Sys.sleep(PAUSE)
    }
    i <- i + 1L
}
zmq.close(socket)
zmq.ctx.destroy(context)
