# SPDX-License-Identifier: MPL-2.0
#
# client.c again, for ZMQ::FFI: the same words, the same checks.
use strict;
use warnings;
use Time::HiRes qw(usleep);
use ZMQ::FFI;
use ZMQ::FFI::Constants qw(:all);

use constant { TIMEOUT_MS => 120000, HEARTBEAT_IVL => 75, HEARTBEAT_TIMEOUT => 77 };
my %types = (push => ZMQ_PUSH, pull => ZMQ_PULL, pub => ZMQ_PUB, sub => ZMQ_SUB, req => ZMQ_REQ, rep => ZMQ_REP,
    pair => ZMQ_PAIR, dealer => ZMQ_DEALER, mirror => ZMQ_PAIR);
my %options = (CLIENT_USER => 45, CLIENT_PASSWORD => 46, CLIENT_PUBLIC_KEY => 48, CLIENT_SECRET_KEY => 49,
    CLIENT_SERVER_KEY => 50, CLIENT_ID => ZMQ_IDENTITY);
my ($kind, $endpoint, $count) = @ARGV;
die "usage: client.pl KIND ENDPOINT COUNT\n" unless @ARGV == 3 && exists $types{$kind};
my $context = ZMQ::FFI->new();
my $socket = $context->socket($types{$kind});
my @envelope = $kind eq 'dealer' ? ('') : ();

sub send_number { $socket->send_multipart([@envelope, '', "$_[0]", '']) }

sub receive_number {
    my @frames = $socket->recv_multipart();
    my $number = $frames[-2];
    die "client: (@frames) came\n" unless join('|', @frames) eq join('|', @envelope, '', $number, '');
    return $number;
}

sub expect { die "client: $_[0] came, and not $_[1]\n" unless $_[0] == $_[1] }

my $first;
my $pause = 1000 * ($ENV{CLIENT_PAUSE} // 0);
my %turns = (
    push => sub { send_number($_[0]) },
    pull => sub { expect(receive_number(), $_[0]) },
    sub => sub { $first //= receive_number(); expect(receive_number(), ($first + 1 + $_[0]) % $count) },
    rep => sub { send_number(2 * receive_number()) },
    req => sub { send_number($_[0]); expect(receive_number(), 2 * $_[0]); usleep($pause) },
);
@turns{qw(pair dealer mirror)} = @turns{qw(req req rep)};

$socket->set($_, 'int', TIMEOUT_MS) for ZMQ_RCVTIMEO, ZMQ_SNDTIMEO, ZMQ_LINGER;
if ($ENV{CLIENT_HEARTBEAT}) {
    $socket->set(HEARTBEAT_IVL, 'int', $ENV{CLIENT_HEARTBEAT});
    $socket->set(HEARTBEAT_TIMEOUT, 'int', TIMEOUT_MS);
}
exists $ENV{$_} and $socket->set($options{$_}, 'string', $ENV{$_}) for keys %options;
$socket->subscribe('') if $kind eq 'sub';
$socket->connect($endpoint);
for (my $i = 0; $kind eq 'pub'; $i = ($i + 1) % $count) {
    send_number($i);
    usleep(1000);
}
$turns{$kind}->($_) for 0 .. $count - 1;
$socket->close();
