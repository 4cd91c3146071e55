// SPDX-License-Identifier: MPL-2.0
//
// client.c again, for zeromq.js 6: the same words, the same checks.
const zmq = require('zeromq')
const { setTimeout: wait } = require('node:timers/promises')

const TIMEOUT_MS = 120000
const TYPES = { push: zmq.Push, pull: zmq.Pull, pub: zmq.Publisher, sub: zmq.Subscriber, req: zmq.Request, rep: zmq.Reply,
  pair: zmq.Pair, dealer: zmq.Dealer, mirror: zmq.Pair }
const OPTIONS = { CLIENT_USER: 'plainUsername', CLIENT_PASSWORD: 'plainPassword', CLIENT_PUBLIC_KEY: 'curvePublicKey',
  CLIENT_SECRET_KEY: 'curveSecretKey', CLIENT_SERVER_KEY: 'curveServerKey', CLIENT_ID: 'routingId' }

const [kind, endpoint, text] = process.argv.slice(2)
const count = Number(text)
const envelope = kind === 'dealer' ? [''] : []
const options = { linger: TIMEOUT_MS }
if (kind !== 'push' && kind !== 'pub') options.receiveTimeout = TIMEOUT_MS
if (process.env.CLIENT_HEARTBEAT) {
  options.heartbeatInterval = Number(process.env.CLIENT_HEARTBEAT)
  options.heartbeatTimeout = TIMEOUT_MS
}
for (const [variable, option] of Object.entries(OPTIONS)) {
  if (variable in process.env && !(option === 'routingId' && ['push', 'pull', 'pub', 'sub', 'pair', 'mirror'].includes(kind))) {
    options[option] = process.env[variable]
  }
}
const socket = new TYPES[kind](options)

const send = number => socket.send([...envelope, '', String(number), ''])

async function receive () {
  const frames = (await socket.receive()).map(String)
  const number = Number(frames.at(-2))
  if (JSON.stringify(frames) !== JSON.stringify([...envelope, '', String(number), ''])) throw new Error(`${JSON.stringify(frames)} came`)
  return number
}

function expect (got, wanted) {
  if (got !== wanted) throw new Error(`${got} came, and not ${wanted}`)
}

async function ask (i) {
  await send(i)
  expect(await receive(), 2 * i)
  if (process.env.CLIENT_PAUSE) await wait(Number(process.env.CLIENT_PAUSE))
}

async function answer () {
  await send(2 * await receive())
}

let first
const turns = {
  push: send,
  pull: async i => expect(await receive(), i),
  pub: async i => { await send(i); await wait(1) },
  sub: async i => { first ??= await receive(); expect(await receive(), (first + 1 + i) % count) },
  req: ask, pair: ask, dealer: ask, rep: answer, mirror: answer
}

async function main () {
  if (kind === 'sub') socket.subscribe('')
  socket.connect(endpoint)
  for (let i = 0; i < count || kind === 'pub'; i++) await turns[kind](i % count)
  socket.close()
}

main().catch(problem => { console.error(`client: ${problem.stack}`); process.exit(1) })
