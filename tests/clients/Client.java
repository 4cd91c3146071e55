// SPDX-License-Identifier: MPL-2.0
//
// client.c again, for jeromq and jzmq, which have the same interface: the same words, the same checks.
import java.util.Map;
import org.zeromq.ZMQ;

public class Client {
    private static final int TIMEOUT_MS = 120000;
    private static final long PAUSE_MS = Long.parseLong(System.getenv().getOrDefault("CLIENT_PAUSE", "0"));
    private static final Map<String, Integer> TYPES = Map.of("push", ZMQ.PUSH, "pull", ZMQ.PULL, "pub", ZMQ.PUB, "sub", ZMQ.SUB,
        "req", ZMQ.REQ, "rep", ZMQ.REP, "pair", ZMQ.PAIR, "dealer", ZMQ.DEALER, "mirror", ZMQ.PAIR);

    private static ZMQ.Socket socket;
    private static String kind;

    private static void fail(String what) {
        System.err.println("client: " + what);
        System.exit(1);
    }

    private static void sendFrame(String text, int flags) {
        if (!socket.send(text.getBytes(), flags))
            fail("not sent");
    }

    private static void send(long number) {
        if (kind.equals("dealer"))
            sendFrame("", ZMQ.SNDMORE);
        sendFrame("", ZMQ.SNDMORE);
        sendFrame(Long.toString(number), ZMQ.SNDMORE);
        sendFrame("", 0);
    }

    private static String receiveFrame(boolean more) {
        byte[] frame = socket.recv(0);
        if (frame == null || socket.hasReceiveMore() != more)
            fail(frame == null ? "nothing came" : "a message of another shape came");
        return new String(frame);
    }

    private static long receive() {
        String before = (kind.equals("dealer") ? receiveFrame(true) : "") + receiveFrame(true), number = receiveFrame(true);
        if (!(before + receiveFrame(false)).isEmpty())
            fail("a frame that is not empty");
        return Long.parseLong(number);
    }

    private static void expect(long got, long wanted) {
        if (got != wanted)
            fail(got + " came, and not " + wanted);
    }

    private static void publish(long count) throws InterruptedException {
        for (long i = 0;; i = (i + 1) % count) {
            send(i);
            Thread.sleep(1);
        }
    }

    private static void run(long count) throws InterruptedException {
        if (kind.equals("pub"))
            publish(count);
        long first = kind.equals("sub") ? receive() : 0;
        for (long i = 0; i < count; i++) {
            switch (kind) {
            case "push" -> send(i);
            case "pull" -> expect(receive(), i);
            case "sub" -> expect(receive(), (first + 1 + i) % count);
            case "rep", "mirror" -> send(2 * receive());
            default -> {
                send(i);
                expect(receive(), 2 * i);
                Thread.sleep(PAUSE_MS);
            }
            }
        }
    }

    public static void main(String[] args) throws InterruptedException {
        kind = args[0];
        ZMQ.Context context = ZMQ.context(1);
        socket = context.socket(TYPES.get(kind));
        socket.setReceiveTimeOut(TIMEOUT_MS);
        socket.setSendTimeOut(TIMEOUT_MS);
        socket.setLinger(TIMEOUT_MS);
        if (System.getenv("CLIENT_ID") != null)
            socket.setIdentity(System.getenv("CLIENT_ID").getBytes());
        if (kind.equals("sub"))
            socket.subscribe(new byte[0]);
        socket.connect(args[1]);
        run(Long.parseLong(args[2]));
        socket.close();
        context.term();
    }
}
