# SPDX-License-Identifier: MPL-2.0
#
# client.c again, for ruby-ffi-rzmq: the same words, the same checks.
require 'ffi-rzmq'

TIMEOUT_MS = 120_000
PAUSE = Integer(ENV.fetch('CLIENT_PAUSE', '0')) / 1000.0
TYPES = { 'push' => ZMQ::PUSH, 'pull' => ZMQ::PULL, 'pub' => ZMQ::PUB, 'sub' => ZMQ::SUB, 'req' => ZMQ::REQ, 'rep' => ZMQ::REP,
          'pair' => ZMQ::PAIR, 'dealer' => ZMQ::DEALER, 'mirror' => ZMQ::PAIR }.freeze
HEARTBEAT_IVL = 75 # ffi-rzmq has no names for these options
HEARTBEAT_TIMEOUT = 77
OPTIONS = { 'CLIENT_USER' => 45, 'CLIENT_PASSWORD' => 46, 'CLIENT_PUBLIC_KEY' => 48, 'CLIENT_SECRET_KEY' => 49, 'CLIENT_SERVER_KEY' => 50,
            'CLIENT_ID' => ZMQ::IDENTITY }.freeze

def check(code, what)
  abort "client: #{what}: #{ZMQ::Util.error_string}" unless ZMQ::Util.resultcode_ok?(code)
end

def set(socket, option, value)
  size = value.is_a?(Integer) ? 4 : value.bytesize
  pointer = LibC.malloc(size)
  value.is_a?(Integer) ? pointer.write_int(value) : pointer.write_string(value)
  check(LibZMQ.zmq_setsockopt(socket.socket, option, pointer, size), 'option')
  LibC.free(pointer)
end

def send_number(socket, number, envelope)
  check(socket.send_strings(envelope + ['', number.to_s, '']), 'send')
end

def receive_number(socket, envelope)
  frames = []
  check(socket.recv_strings(frames), 'receive')
  number = Integer(frames[-2], 10)
  abort "client: #{frames.inspect} came" unless frames == envelope + ['', number.to_s, '']
  number
end

def expect(got, wanted)
  abort "client: #{got} came, and not #{wanted}" unless got == wanted
end

def publish(socket, count)
  (0...count).cycle do |number|
    send_number(socket, number, [])
    sleep 0.001
  end
end

def run(socket, kind, count)
  publish(socket, count) if kind == 'pub'
  envelope = kind == 'dealer' ? [''] : []
  first = kind == 'sub' ? receive_number(socket, []) : 0
  count.times do |i|
    send_number(socket, i, envelope) if %w[push req pair dealer].include?(kind)
    case kind
    when 'req', 'pair', 'dealer'
      expect(receive_number(socket, envelope), 2 * i)
      sleep PAUSE
    when 'pull' then expect(receive_number(socket, []), i)
    when 'sub' then expect(receive_number(socket, []), (first + 1 + i) % count)
    when 'rep', 'mirror' then send_number(socket, 2 * receive_number(socket, []), [])
    end
  end
end

abort 'usage: client.rb KIND ENDPOINT COUNT' unless ARGV.size == 3 && TYPES.key?(ARGV[0])
kind, endpoint, count = ARGV
context = ZMQ::Context.new
socket = context.socket(TYPES[kind])
[ZMQ::RCVTIMEO, ZMQ::SNDTIMEO, ZMQ::LINGER].each { |option| check(socket.setsockopt(option, TIMEOUT_MS), 'option') }
if ENV.key?('CLIENT_HEARTBEAT')
  set(socket, HEARTBEAT_IVL, Integer(ENV['CLIENT_HEARTBEAT']))
  set(socket, HEARTBEAT_TIMEOUT, TIMEOUT_MS)
end
OPTIONS.each { |variable, option| set(socket, option, ENV[variable]) if ENV.key?(variable) }
check(socket.setsockopt(ZMQ::SUBSCRIBE, ''), 'subscribe') if kind == 'sub'
check(socket.connect(endpoint), endpoint)
run(socket, kind, Integer(count, 10))
socket.close
context.terminate
