// SPDX-License-Identifier: MPL-2.0
//
// client.c again, for the zmq crate: the same words, the same checks.
use std::{env, process, thread, time::Duration};

const TIMEOUT_MS: i32 = 120_000;
const TYPES: [(&str, zmq::SocketType); 9] = [
    ("push", zmq::PUSH), ("pull", zmq::PULL), ("pub", zmq::PUB), ("sub", zmq::SUB), ("req", zmq::REQ),
    ("rep", zmq::REP), ("pair", zmq::PAIR), ("dealer", zmq::DEALER), ("mirror", zmq::PAIR),
];

fn fail(what: String) -> ! {
    eprintln!("client: {}", what);
    process::exit(1)
}

fn number_of(variable: &str) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

struct Client {
    socket: zmq::Socket,
    envelope: Vec<Vec<u8>>,
}

impl Client {
    fn send(&self, number: u64) {
        let mut frames = self.envelope.clone();
        frames.extend([Vec::new(), number.to_string().into_bytes(), Vec::new()]);
        self.socket.send_multipart(frames, 0).unwrap_or_else(|problem| fail(format!("send: {}", problem)));
    }

    fn receive(&self) -> u64 {
        let frames = self.socket.recv_multipart(0).unwrap_or_else(|problem| fail(format!("receive: {}", problem)));
        let at = self.envelope.len() + 1;
        let is_right = frames.len() == at + 2 && frames.iter().enumerate().all(|(i, frame)| i == at || frame.is_empty());
        if !is_right {
            fail(format!("{:?} came", frames));
        }
        String::from_utf8_lossy(&frames[at]).parse().unwrap_or_else(|_| fail(format!("{:?} came", frames)))
    }
}

fn expect(got: u64, wanted: u64) {
    if got != wanted {
        fail(format!("{} came, and not {}", got, wanted));
    }
}

fn set_options(socket: &zmq::Socket) -> zmq::Result<()> {
    socket.set_rcvtimeo(TIMEOUT_MS)?;
    socket.set_sndtimeo(TIMEOUT_MS)?;
    socket.set_linger(TIMEOUT_MS)?;
    socket.set_heartbeat_ivl(number_of("CLIENT_HEARTBEAT") as i32)?;
    socket.set_heartbeat_timeout(TIMEOUT_MS)?;
    if let Ok(user) = env::var("CLIENT_USER") {
        socket.set_plain_username(Some(&user))?;
        socket.set_plain_password(env::var("CLIENT_PASSWORD").ok().as_deref())?;
    }
    if let (Ok(server), Ok(public), Ok(secret)) =
        (env::var("CLIENT_SERVER_KEY"), env::var("CLIENT_PUBLIC_KEY"), env::var("CLIENT_SECRET_KEY"))
    {
        let key = |text: String| zmq::z85_decode(&text).unwrap_or_else(|_| fail("a key that is none".into()));
        socket.set_curve_serverkey(&key(server))?;
        socket.set_curve_publickey(&key(public))?;
        socket.set_curve_secretkey(&key(secret))?;
    }
    if let Ok(id) = env::var("CLIENT_ID") {
        socket.set_identity(id.as_bytes())?;
    }
    Ok(())
}

fn run(client: &Client, kind: &str, count: u64) {
    let first = if kind == "sub" { client.receive() } else { 0 };
    for i in (0..).take_while(|&i| i < count || kind == "pub") {
        match kind {
            "push" => client.send(i),
            "pub" => {
                client.send(i % count);
                thread::sleep(Duration::from_millis(1));
            }
            "pull" => expect(client.receive(), i),
            "sub" => expect(client.receive(), (first + 1 + i) % count),
            "rep" | "mirror" => client.send(2 * client.receive()),
            _ => {
                client.send(i);
                expect(client.receive(), 2 * i);
                thread::sleep(Duration::from_millis(number_of("CLIENT_PAUSE")));
            }
        }
    }
}

fn main() -> zmq::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let (kind, endpoint) = (arguments[1].as_str(), arguments[2].as_str());
    let count = arguments[3].parse().unwrap_or_else(|_| fail("COUNT is no number".into()));
    let found = TYPES.iter().find(|(name, _)| *name == kind).unwrap_or_else(|| fail(format!("no kind {}", kind)));
    let socket = zmq::Context::new().socket(found.1)?;
    set_options(&socket)?;
    if kind == "sub" {
        socket.set_subscribe(b"")?;
    }
    socket.connect(endpoint)?;
    let envelope = if kind == "dealer" { vec![Vec::new()] } else { Vec::new() };
    run(&Client { socket, envelope }, kind, count);
    Ok(())
}
