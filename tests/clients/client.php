<?php
// SPDX-License-Identifier: MPL-2.0
//
// client.c again, for php-zmq: the same words, the same checks.

const TIMEOUT_MS = 120000, HEARTBEAT_IVL = 75, HEARTBEAT_TIMEOUT = 77;
const TYPES = ['push' => ZMQ::SOCKET_PUSH, 'pull' => ZMQ::SOCKET_PULL, 'pub' => ZMQ::SOCKET_PUB, 'sub' => ZMQ::SOCKET_SUB,
    'req' => ZMQ::SOCKET_REQ, 'rep' => ZMQ::SOCKET_REP, 'pair' => ZMQ::SOCKET_PAIR, 'dealer' => ZMQ::SOCKET_DEALER,
    'mirror' => ZMQ::SOCKET_PAIR];
const OPTIONS = ['CLIENT_USER' => ZMQ::SOCKOPT_PLAIN_USERNAME, 'CLIENT_PASSWORD' => ZMQ::SOCKOPT_PLAIN_PASSWORD,
    'CLIENT_PUBLIC_KEY' => ZMQ::SOCKOPT_CURVE_PUBLICKEY, 'CLIENT_SECRET_KEY' => ZMQ::SOCKOPT_CURVE_SECRETKEY,
    'CLIENT_SERVER_KEY' => ZMQ::SOCKOPT_CURVE_SERVERKEY, 'CLIENT_ID' => ZMQ::SOCKOPT_IDENTITY];

function fail(string $what): void
{
    fwrite(STDERR, "client: $what\n");
    exit(1);
}

function receive(ZMQSocket $socket, array $envelope): int
{
    $frames = $socket->recvMulti();
    if (!$frames || $frames !== [...$envelope, '', (string)(int)$frames[count($frames) - 2], ''])
        fail(json_encode($frames) . ' came');
    return (int)$frames[count($frames) - 2];
}

function expect(int $got, int $wanted): void
{
    if ($got !== $wanted)
        fail("$got came, and not $wanted");
}

[, $kind, $endpoint, $count] = $argv;
$socket = new ZMQSocket(new ZMQContext(), TYPES[$kind]);
foreach ([ZMQ::SOCKOPT_RCVTIMEO, ZMQ::SOCKOPT_SNDTIMEO, ZMQ::SOCKOPT_LINGER] as $option)
    $socket->setSockOpt($option, TIMEOUT_MS);
if (getenv('CLIENT_HEARTBEAT')) {
    $socket->setSockOpt(HEARTBEAT_IVL, (int)getenv('CLIENT_HEARTBEAT'));
    $socket->setSockOpt(HEARTBEAT_TIMEOUT, TIMEOUT_MS);
}
foreach (OPTIONS as $variable => $option)
    if (getenv($variable) !== false)
        $socket->setSockOpt($option, getenv($variable));
if ($kind === 'sub')
    $socket->setSockOpt(ZMQ::SOCKOPT_SUBSCRIBE, '');
$socket->connect($endpoint);

$envelope = $kind === 'dealer' ? [''] : [];
$send = fn(int $number) => $socket->sendMulti([...$envelope, '', (string)$number, '']);
$first = $kind === 'sub' ? receive($socket, []) : 0;
for ($i = 0; $i < $count || $kind === 'pub'; $i++) {
    if (in_array($kind, ['push', 'pub', 'req', 'pair', 'dealer']))
        $send($i % $count);
    if ($kind === 'pub')
        usleep(1000);
    elseif ($kind === 'rep' || $kind === 'mirror')
        $send(2 * receive($socket, []));
    elseif ($kind !== 'push')
        expect(receive($socket, $envelope), ['pull' => $i, 'sub' => ($first + 1 + $i) % $count][$kind] ?? 2 * $i);
    if (in_array($kind, ['req', 'pair', 'dealer']))
        usleep(1000 * (int)getenv('CLIENT_PAUSE'));
}
