// What the tests in Chromium share: random numbers that WIRE_SEED repeats, servers, and a relay that cuts connections.
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const http = require("node:http");
const net = require("node:net");

let seed = Number(process.env.WIRE_SEED ?? Date.now() % 1e6);
console.log(`WIRE_SEED=${seed}`);

exports.below = (end) => { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
};

exports.fail = (why) => {
  console.error("browser:", why);
  process.exit(1);
};

exports.listen = async (server) => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server.address().port;
};

// A site whose page is what `page` returns when it is asked for.
exports.serve = (page) => exports.listen(http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end(page());
}));

exports.startServer = async (program, ...flags) => {
  const server = spawn(program, ["--listen", "127.0.0.1:0", ...flags], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => server.kill("SIGKILL"));
  let printed = "";
  for await (const bytes of server.stdout) {
    printed += bytes;
    const port = printed.match(/ws:\/\/127\.0\.0\.1:(\d+)/);
    if (port) return Number(port[1]);
  }
  exports.fail("the server ended");
};

// Cuts each connection before it has brought the client `most` bytes. With `gently` the head comes whole, and the
// connection ends in a way that the client notices.
exports.relay = (port, most, gently = false) => {
  const relay = net.createServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    let left = exports.below(exports.below(3) === 0 && !gently ? 600 : most) + 1;
    let hasHead = !gently;
    const how = exports.below(16);
    for (const socket of [client, server]) socket.on("error", () => {});
    client.pipe(server);
    client.on("close", () => server.destroy());
    server.on("data", (bytes) => {
      // The head is sent in one write, and comes in one piece.
      if (!hasHead) left += bytes.indexOf("\r\n\r\n") + 4;
      hasHead = true;
      if (left > 0) client.write(bytes.subarray(0, left));
      if (left > 0 && left <= bytes.length) {
        relay.cuts += 1;
        if (how === 0 && !gently) server.pause(); // silent
        else if (how < 8) client.resetAndDestroy();
        else client.end();
      }
      left -= bytes.length;
    });
  });
  relay.cuts = 0;
  return relay;
};
