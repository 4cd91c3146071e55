# SPDX-License-Identifier: MPL-2.0
#
# client.c again, for ruby-ffi-rzmq: the same words, the same checks.
require 'ffi-rzmq'

TIMEOUT_MS = 20_000
TYPES = { 'push' => ZMQ::PUSH, 'pub' => ZMQ::PUB, 'req' => ZMQ::REQ,
          'pull' => ZMQ::PULL, 'sub' => ZMQ::SUB, 'rep' => ZMQ::REP }.freeze

def check(code, what)
  abort "client: #{what}: #{ZMQ::Util.error_string}" unless ZMQ::Util.resultcode_ok?(code)
end

def send_number(socket, number)
  check(socket.send_strings(['', number.to_s, '']), 'send')
end

def receive_number(socket)
  frames = []
  check(socket.recv_strings(frames), 'receive')
  abort "client: #{frames.inspect} came" unless frames.size == 3 && frames[0].empty? && frames[2].empty?
  Integer(frames[1], 10)
end

def expect(got, wanted)
  abort "client: #{got} came, and not #{wanted}" unless got == wanted
end

def publish(socket, count)
  (0...count).cycle do |number|
    send_number(socket, number)
    sleep 0.0001
  end
end

def run(socket, kind, count)
  publish(socket, count) if kind == 'pub'
  first = kind == 'sub' ? receive_number(socket) : 0
  count.times do |i|
    send_number(socket, i) if %w[push req].include?(kind)
    case kind
    when 'req' then expect(receive_number(socket), 2 * i)
    when 'pull' then expect(receive_number(socket), i)
    when 'sub' then expect(receive_number(socket), (first + 1 + i) % count)
    when 'rep' then send_number(socket, 2 * receive_number(socket))
    end
  end
end

abort 'usage: client.rb push|pub|req|pull|sub|rep ENDPOINT COUNT' unless ARGV.size == 3 && TYPES.key?(ARGV[0])
kind, endpoint, count = ARGV
context = ZMQ::Context.new
socket = context.socket(TYPES[kind])
[ZMQ::RCVTIMEO, ZMQ::SNDTIMEO, ZMQ::LINGER].each { |option| check(socket.setsockopt(option, TIMEOUT_MS), 'option') }
check(socket.setsockopt(ZMQ::SUBSCRIBE, ''), 'subscribe') if kind == 'sub'
check(socket.connect(endpoint), endpoint)
run(socket, kind, Integer(count, 10))
socket.close
context.terminate
