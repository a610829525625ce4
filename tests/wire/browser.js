// A page in headless Chromium with the JavaScript of docs/wire.md: its connections are cut at random bytes, and it shows
// every message once and in order. node browser.js CHAT_SERVER CHROMIUM; WIRE_SEED repeats a run.
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [program, browser] = process.argv.slice(2);
const COUNT = 500, MAX_AHEAD = 100, PATIENCE = 30_000, SPEED = 20;

let seed = Number(process.env.WIRE_SEED ?? Date.now() % 1e6);
console.log(`WIRE_SEED=${seed}`);
function below(end) { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
}

function fail(why) {
  console.error(`browser: ${why}`);
  process.exit(1);
}

async function listen(server) {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server.address().port;
}

function page(port) {
  const text = fs.readFileSync(path.join(__dirname, "../../docs/wire.md"), "utf8");
  const [, block] = text.split("\n## Thirty lines")[1].match(/\n```js\n(.*?)\n```/s);
  return `<!doctype html><meta charset="utf-8"><title>chat</title><script>
const wait = window.setTimeout;
window.setTimeout = (act, ms, ...given) => wait(act, ms / ${SPEED}, ...given);
${block}
chat("ws://127.0.0.1:${port}/rooms/r?history=1000", {
  message: ({ text }) => show(text.split(" ")[0]),
  entered: ({ recovered, reason }) => recovered === false && show("missing: " + reason),
  end: (code, reason) => show("end: " + code + " " + reason),
});
</script>`;
}

async function startServer(origin) {
  const server = spawn(program, ["--listen", "127.0.0.1:0", "--origin", origin], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => server.kill("SIGKILL"));
  let printed = "";
  for await (const bytes of server.stdout) {
    printed += bytes;
    const port = printed.match(/ws:\/\/127\.0\.0\.1:(\d+)/);
    if (port) return Number(port[1]);
  }
  fail("the server ended");
}

let cuts = 0;
function relay(port) {
  return net.createServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    let left = below(below(3) === 0 ? 600 : 6_000);
    const how = below(16);
    for (const socket of [client, server]) socket.on("error", () => {});
    client.pipe(server);
    client.on("close", () => server.destroy());
    server.on("data", (bytes) => {
      if (left > 0) client.write(bytes.subarray(0, left));
      if (left > 0 && left <= bytes.length) {
        cuts += 1;
        if (how === 0) server.pause(); // silent
        else if (how < 8) client.resetAndDestroy();
        else client.end();
      }
      left -= bytes.length;
    });
  });
}

async function main() {
  let html;
  const site = await listen(http.createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(html);
  }));
  const port = await startServer(`http://127.0.0.1:${site}`);
  html = page(await listen(relay(port)));

  const publisher = new WebSocket(`ws://127.0.0.1:${port}/rooms/r?echo=false`);
  await once(publisher, "open");
  const window = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
  const tab = await window.newPage();
  tab.on("pageerror", (error) => fail(error));
  let [published, shown] = [0, 0];
  let deadline;
  const done = new Promise((resolve) => {
    const publish = () => {
      clearTimeout(deadline);
      deadline = setTimeout(() => fail(`nothing comes behind ${shown}, after ${cuts} cuts`), PATIENCE);
      while (published < Math.min(COUNT, shown + MAX_AHEAD)) publisher.send(`${++published} ${"x".repeat(below(300))}`);
    };
    tab.exposeFunction("show", (line) => {
      if (line !== String(shown + 1)) fail(`${line}, after ${shown}`);
      shown += 1;
      if (shown === COUNT) resolve();
      publish();
    }).then(() => tab.goto(`http://127.0.0.1:${site}/`));
    publish();
  });
  await done;
  clearTimeout(deadline);
  if (cuts < 15) fail(`only ${cuts} cuts`);
  console.log(`the page showed ${COUNT} messages once and in order, over ${cuts} cuts`);
  await window.close();
  process.exit();
}

main().catch(fail);
