% SPDX-License-Identifier: MPL-2.0
%
% client.c again, for Octave's zeromq: the same words, the same checks.
1;
pkg load zeromq

function fail (varargin)
  fprintf (stderr, ["client: " sprintf(varargin{:}) "\n"]);
  exit (1);
end

function send (socket, kind, number)
  frames = {"", sprintf("%d", number), ""};
  if strcmp (kind, "dealer")
    frames = [{""}, frames];
  end
  for i = 1:numel (frames)
    zmq_send (socket, uint8 (frames{i}), ZMQ_SNDMORE * (i < numel (frames)));
  end
end

function number = receive (socket, kind)
  frames = {};
  do
    frames{end + 1} = char (zmq_recv (socket, 64, 0));
  until ! zmq_getsockopt (socket, ZMQ_RCVMORE)
  at = 2 + strcmp (kind, "dealer");
  others = [frames{[1:at-1, at+1:end]}];
  if numel (frames) != at + 1 || ! isempty (others)
    fail ("a message of another shape came");
  end
  number = str2double (frames{at});
end

function expect (got, wanted)
  if got != wanted
    fail ("%d came, and not %d", got, wanted);
  end
end

arguments = argv ();
kind = arguments{1};
count = str2double (arguments{3});
pause_s = max ([0, str2double(getenv ("CLIENT_PAUSE"))]) / 1000;
types = struct ("push", ZMQ_PUSH, "pull", ZMQ_PULL, "pub", ZMQ_PUB, "sub", ZMQ_SUB, "req", ZMQ_REQ, "rep", ZMQ_REP, ...
                "pair", ZMQ_PAIR, "dealer", ZMQ_DEALER, "mirror", ZMQ_PAIR);
texts = {"CLIENT_USER", ZMQ_PLAIN_USERNAME; "CLIENT_PASSWORD", ZMQ_PLAIN_PASSWORD; "CLIENT_SERVER_KEY", ZMQ_CURVE_SERVERKEY;
         "CLIENT_PUBLIC_KEY", ZMQ_CURVE_PUBLICKEY; "CLIENT_SECRET_KEY", ZMQ_CURVE_SECRETKEY; "CLIENT_ID", ZMQ_IDENTITY};

socket = zmq_socket (types.(kind));
for i = 1:rows (texts)
  if ! isempty (getenv (texts{i, 1}))
    zmq_setsockopt (socket, texts{i, 2}, getenv (texts{i, 1}));
  end
end
if strcmp (kind, "sub")
  zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "");
end
zmq_connect (socket, arguments{2});

first = 0;
if strcmp (kind, "sub")
  first = receive (socket, kind);
end
i = 0;
while i < count || strcmp (kind, "pub")
  switch kind
    case "push"
      send (socket, kind, i);
    case "pub"
      send (socket, kind, mod (i, count));
      pause (0.001);
    case "pull"
      expect (receive (socket, kind), i);
    case "sub"
      expect (receive (socket, kind), mod (first + 1 + i, count));
    case {"rep", "mirror"}
      send (socket, kind, 2 * receive (socket, kind));
    otherwise
      send (socket, kind, i);
      expect (receive (socket, kind), 2 * i);
      pause (pause_s);
  end
  i += 1;
end
if strcmp (kind, "push")
  pause (1 + 3000 * pause_s); % the binding does not wait until all is sent
end
zmq_close (socket);
